//! The reads that `webapi/webapisecurity/allow_insecure` opens to everybody.
//!
//! `Magento_WebapiSecurity` rewrites the resource of 31 GET routes to `anonymous` when its setting is on
//! (`MAGENTO_AUTH` section 8.8, MAGENTO_FACTS 25). Here both tables are kept, and the setting chooses between them.

use crate::auth::{
    acl::Resource,
    route::{Route, RouteTable},
};

/// The templates, in the order of Magento's `etc/di.xml`.
const OPEN_READS: [&str; 31] = [
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

/// What the routes ask for when they are open.
const ANONYMOUS: &str = "anonymous";

/// Whether the setting opens the GET route of this template.
#[must_use]
pub fn is_open_read(template: &str) -> bool {
    OPEN_READS.contains(&template)
}

impl RouteTable {
    /// The same routes in the same order, the reads of `WebapiSecurity` open to everybody.
    #[must_use]
    pub fn with_open_reads(mut self) -> Self {
        self.change_reads(|route| {
            if is_open_read(&route.template) {
                open(route);
            }
        });
        self
    }
}

/// HTTPS is asked for as before: the setting is about resources.
fn open(route: &mut Route) {
    route.resources = vec![Resource::Anonymous];
    ANONYMOUS.clone_into(&mut route.resource_header);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::acl::AclTree;

    #[test]
    fn exactly_the_recorded_reads_are_opened() {
        let tree = AclTree::from_json(include_str!("../../../tests/vectors/acl.json")).unwrap();
        let guarded =
            RouteTable::from_json(include_str!("../../../tests/vectors/webapi_routes.json"), &tree).unwrap();
        let recorded: Vec<String> =
            serde_json::from_str(include_str!("../../../tests/vectors/webapi_allow_insecure.json")).unwrap();
        let open = guarded.clone().with_open_reads();
        let mut opened = Vec::new();
        for (before, after) in guarded.routes().iter().zip(open.routes()) {
            assert_eq!((&before.template, before.index), (&after.template, after.index));
            if before != after {
                assert_eq!(
                    (after.resources.as_slice(), after.resource_header.as_str()),
                    (&[Resource::Anonymous][..], "anonymous")
                );
                opened.push(after.template.clone());
            }
        }
        opened.sort_unstable();
        assert_eq!(opened, recorded);
    }

    #[test]
    fn writes_of_the_same_templates_stay_closed() {
        let tree = AclTree::from_json("[]").unwrap();
        let json = r#"[{"method":"GET","route":"/V1/products","resources":["self"]},
                       {"method":"POST","route":"/V1/products","resources":["self"]}]"#;
        let table = RouteTable::from_json(json, &tree).unwrap().with_open_reads();
        let needs = |method| {
            let path = crate::auth::route::CanonicalPath::parse("/V1/products").unwrap();
            table.resolve(method, path).unwrap().unwrap().resources.clone()
        };
        assert_eq!(needs("GET"), [Resource::Anonymous]);
        assert_eq!(needs("POST"), [Resource::SelfOnly]);
    }
}
