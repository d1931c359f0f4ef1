//! The recorded routes with one resource in place of another: what a reload takes up.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Writes the routes to a file of this folder; `/rest/V1/modules` needs this resource.
pub(crate) fn routes(folder: &Path, resource: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("config/magento/webapi_routes.json")).unwrap();
    let mut routes: serde_json::Value = serde_json::from_str(&text).unwrap();
    let modules = routes.as_array_mut().unwrap().iter_mut().find(|route| route["route"] == "/V1/modules");
    modules.unwrap()["resources"] = serde_json::json!([resource]);
    let path = folder.join("webapi_routes.json");
    fs::write(&path, routes.to_string()).unwrap();
    path
}
