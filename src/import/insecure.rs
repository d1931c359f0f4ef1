//! `webapi/webapisecurity/allow_insecure`: the routes that it opens to everybody (`MAGENTO_AUTH` section 8.8).
//!
//! Magento rewrites them while it converts its configuration, so the import does it too. The setting is read where an
//! installation's files have it: defaults in `config.xml`, over them the dump in `app/etc/config.php`. What the database
//! or `env.php` says is not seen; an operator repeats it with a flag.

use super::{webapi::WebapiRoute, xml::Element};
use crate::config::{PhpLiteral, is_truthy_text};

/// The GET routes of `WebapiSecurity`'s list.
const ROUTES: [&str; 31] = [
    "/V1/products",
    "/V1/products/:sku",
    "/V1/products/attributes/:attributeCode",
    "/V1/products/types",
    "/V1/products/attribute-sets/sets/list",
    "/V1/products/attribute-sets/:attributeSetId",
    "/V1/products/attribute-sets/:attributeSetId/attributes",
    "/V1/products/attribute-sets/groups/list",
    "/V1/products/attributes/:attributeCode/options",
    "/V1/products/media/types/:attributeSetName",
    "/V1/products/:sku/media/:entryId",
    "/V1/products/:sku/media",
    "/V1/products/:sku/group-prices/:customerGroupId/tiers",
    "/V1/categories/:categoryId",
    "/V1/categories",
    "/V1/products/:sku/options",
    "/V1/products/:sku/options/:optionId",
    "/V1/products/links/types",
    "/V1/products/links/:type/attributes",
    "/V1/products/:sku/links/:type",
    "/V1/categories/:categoryId/products",
    "/V1/stockStatuses/:productSku",
    "/V1/configurable-products/:sku/children",
    "/V1/configurable-products/:sku/options/:id",
    "/V1/configurable-products/:sku/options/all",
    "/V1/cmsPage/:pageId",
    "/V1/cmsBlock/:blockId",
    "/V1/store/storeViews",
    "/V1/store/storeGroups",
    "/V1/store/websites",
    "/V1/store/storeConfigs",
];

/// Opens the listed routes that are there.
pub(super) fn open(routes: &mut [WebapiRoute]) {
    let listed = |route: &&mut WebapiRoute| route.method == "GET" && ROUTES.contains(&route.route.as_str());
    for route in routes.iter_mut().filter(listed) {
        route.resources = vec!["anonymous".to_owned()];
    }
}

/// What a `config.xml` says, and where; `None` if it says nothing.
pub(super) fn in_config_xml(root: &Element) -> Option<(bool, String)> {
    let path = ["default", "webapi", "webapisecurity", "allow_insecure"];
    let element = root.below(&path).pop()?;
    Some((is_truthy_text(element.text.trim()), element.place.to_string()))
}

/// What `app/etc/config.php` says; it stands over every `config.xml` and over the database.
pub(super) fn in_config_php(file: &PhpLiteral) -> Option<bool> {
    let path = ["system", "default", "webapi", "webapisecurity", "allow_insecure"];
    path.iter().try_fold(file, |array, name| array.entry(name)).map(PhpLiteral::is_truthy)
}
