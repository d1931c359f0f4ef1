//! `webapi/webapisecurity/allow_insecure`: the routes that it opens to everybody (`MAGENTO_AUTH` section 8.8).
//!
//! Magento rewrites them while it converts its configuration, so the import does it too. The setting is read where an
//! installation's files have it: defaults in `config.xml`, over them the dump in `app/etc/config.php`. What the database
//! or `env.php` says is not seen; an operator repeats it with a flag.

use super::{webapi::WebapiRoute, xml::Element};
use crate::{
    auth::route::is_open_read,
    config::{PhpLiteral, is_truthy_text},
};

/// Opens the listed routes that are there.
pub(super) fn open(routes: &mut [WebapiRoute]) {
    let listed = |route: &&mut WebapiRoute| route.method == "GET" && is_open_read(&route.route);
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
