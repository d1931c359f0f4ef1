//! `portcullis import` and `portcullis acl`, as an operator runs them.
//!
//! `tests/magento_root` has two installations made for this: `shop` can be read whole, `broken` has a mistake of every
//! kind. What comes out stands in `expected`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use portcullis::{
    auth::{
        acl::{AclTree, Resource},
        route::RouteTable,
        secret::Secret,
        time::UnixTime,
    },
    config::Declaration,
    import::{self, Destination, Previous, Rules},
    store::sql::{IntegrationStatus, NewAdmin, NewConsumer, NewIntegration, NewRole, RoleOwner, SqlStore},
};
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/magento_root").join(name)
}

fn expected(name: &str) -> String {
    fs::read_to_string(fixture("expected").join(name)).unwrap()
}

fn portcullis(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).output().unwrap()
}

fn import_into(root: &Path, out: &Path, flags: &[&str]) -> Output {
    let mut arguments =
        vec!["import", "--magento-root", root.to_str().unwrap(), "--out", out.to_str().unwrap()];
    arguments.extend(flags);
    portcullis(&arguments)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn files_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn modules_are_merged_as_magento_merges_them() {
    let out = tempfile::tempdir().unwrap();
    let output = import_into(&fixture("shop"), out.path(), &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(files_in(out.path()), ["acl.json", "integrations.json", "webapi_routes.json"]);
    let written = |name: &str| fs::read_to_string(out.path().join(name)).unwrap();
    assert_eq!(written("acl.json"), expected("acl.json").trim_end());
    assert_eq!(written("webapi_routes.json"), expected("webapi_routes.json").trim_end());
    assert_eq!(written("integrations.json"), expected("integrations.json").trim_end());
    assert_eq!(
        stderr(&output).lines().collect::<Vec<_>>(),
        [
            "vendor/acme/module-core/etc/integration.xml:9: the ACL resource Acme_Core::removed is in no acl.xml below Magento_Backend::admin; it is passed over",
            "app/code/Shop/Custom/etc/integration/api.xml:13: the integration Nobody is in no integration/config.xml; it is passed over",
            "app/code/Shop/Custom/etc/integration/config.xml:6: an integration.xml declares this integration too, and counts alone",
        ]
    );
    let text = stdout(&output);
    assert!(
        text.contains("6 modules read (1 disabled), 15 resources, 11 routes, 3 integrations\n"),
        "{text}"
    );
    assert!(text.contains("only full access passes: Acme_Bundle::undeclared"), "{text}");
    assert!(!text.contains("allow_insecure"), "{text}");
}

#[test]
fn what_is_written_is_what_the_gate_loads() {
    let tree = AclTree::from_json(&expected("acl.json")).unwrap();
    let table = RouteTable::from_json(&expected("webapi_routes.json"), &tree).unwrap();
    let ids: Vec<_> = tree.indices().map(|index| tree.id(index).unwrap()).collect();
    let place = |id: &str| ids.iter().position(|known| *known == id);
    assert!(place("Acme_Core::first_tie") < place("Acme_Catalog::second_tie"), "ties keep the module order");
    assert!(place("Acme_Orders::orders") < place("Acme_Core::tools"), "a later sortOrder counts");
    assert_eq!(place("Acme_Catalog::experiment_a"), None, "disabled with all below");
    assert_eq!(place("Acme_Legacy::everything"), None, "of a disabled module");
    assert_eq!(tree.title(tree.find("Magento_Backend::admin").unwrap()), Some("Back Office"));
    let route = |method, template| {
        table.routes().iter().find(|route| route.method == method && route.template == template)
    };
    let delete = route("DELETE", "/V1/products/:sku").unwrap();
    assert_eq!(delete.resource_header, "Acme_Catalog::products, Acme_Orders::orders");
    assert!(delete.resources.iter().all(|resource| matches!(resource, Resource::Named(_))));
    assert_eq!(route("GET", "/V1/products/:sku").unwrap().resource_header, "Acme_Catalog::products");
    assert!(route("GET", "/V1/bundle").unwrap().requires_https, "secure=\"false\" is true to Magento");
    assert!(route("GET", "/V1/legacy").is_none());
    assert_eq!(
        route("GET", "/V1/twice").unwrap().resource_header,
        "Acme_Core::tools",
        "the later one stands"
    );
}

/// A copy of the clean installation with one file changed.
fn shop_with(file: &str, change: impl Fn(String) -> String) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let root = tempfile::tempdir().unwrap();
    copy(&fixture("shop"), root.path());
    let path = root.path().join(file);
    fs::write(&path, change(fs::read_to_string(&path).unwrap_or_default())).unwrap();
    root
}

#[test]
fn allow_insecure_opens_the_listed_get_routes_whoever_sets_it() {
    let config_xml = "vendor/acme/module-core/etc/config.xml";
    let in_xml = shop_with(config_xml, |text| text.replace(">0<", ">1<"));
    let dump = "'system' => ['default' => ['webapi' => ['webapisecurity' => ['allow_insecure' => '1']]]],";
    let in_php = shop_with("app/etc/config.php", |text| text.replace("'scopes'", &format!("{dump}'scopes'")));
    let later = shop_with("app/code/Shop/Quiet/etc/config.xml", |_| {
        "<config><default><webapi><webapisecurity><allow_insecure>1</allow_insecure></webapisecurity></webapi></default></config>".to_owned()
    });
    for (root, flag, who) in [
        (fixture("shop"), true, "--allow-insecure"),
        (in_xml.path().to_owned(), false, "vendor/acme/module-core/etc/config.xml:6"),
        (in_php.path().to_owned(), false, "app/etc/config.php"),
        (later.path().to_owned(), false, "app/code/Shop/Quiet/etc/config.xml:1"),
    ] {
        let imported = import::read(&root, flag).unwrap();
        assert_eq!(imported.problems, []);
        assert_eq!(imported.insecure_by.as_deref(), Some(who));
        let rules = Rules::of(&imported).unwrap();
        assert_eq!(rules.routes, expected("webapi_routes_insecure.json").trim_end(), "{who}");
        assert_eq!(rules.tree, expected("acl.json").trim_end());
    }
    let off = dump.replace("'1'", "'0'");
    let dumped_off = shop_with(config_xml, |text| text.replace(">0<", ">1<"));
    let list = dumped_off.path().join("app/etc/config.php");
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, text.replace("'scopes'", &format!("{off}'scopes'"))).unwrap();
    assert_eq!(
        import::read(dumped_off.path(), false).unwrap().insecure_by,
        None,
        "the dump stands over defaults"
    );
}

#[test]
fn what_cannot_be_read_is_listed_with_its_line_and_nothing_is_written() {
    let out = tempfile::tempdir().unwrap();
    let output = import_into(&fixture("broken"), out.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), expected("problems.txt"));
    assert_eq!(files_in(out.path()), [""; 0]);
}

#[test]
fn lenient_writes_what_could_be_read() {
    let out = tempfile::tempdir().unwrap();
    let output = import_into(&fixture("broken"), out.path(), &["--lenient"]);
    assert!(output.status.success());
    let problems = expected("problems.txt");
    let text = fs::read_to_string(out.path().join("integrations.json")).unwrap();
    let names: Vec<_> = Declaration::read_file(&text).unwrap().into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["Two addresses", "Odd resource", "Fine", "Out of order"]);
    let listed: Vec<_> = problems.lines().filter(|line| !line.starts_with("portcullis:")).collect();
    assert_eq!(stderr(&output).lines().collect::<Vec<_>>(), listed);
    let text = fs::read_to_string(out.path().join("webapi_routes.json")).unwrap();
    let routes: Vec<Value> = serde_json::from_str(&text).unwrap();
    let routes: Vec<_> = routes.iter().map(|route| route["route"].as_str().unwrap()).collect();
    assert_eq!(routes, ["/V1/tools", "/V1/twice", "/V1/fine"]);
}

#[test]
fn an_installation_without_a_list_of_modules_is_refused() {
    let out = tempfile::tempdir().unwrap();
    let output = import_into(out.path(), out.path(), &["--lenient"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--magento-root is the folder that holds app/etc/config.php"));
    let computed =
        shop_with("app/etc/config.php", |text| text.replace("'Acme_Core' => 1", "'Acme_Core' => on()"));
    let output = import_into(computed.path(), out.path(), &["--lenient"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("app/etc/config.php:4 is not a plain array"), "{}", stderr(&output));
    assert_eq!(files_in(out.path()), [""; 0]);
}

#[test]
fn a_file_that_is_too_large_or_none_is_a_problem() {
    let large = shop_with("vendor/acme/module-core/etc/acl.xml", |text| text + &" ".repeat(5 << 20));
    let problems = import::read(large.path(), false).unwrap().problems;
    assert_eq!(
        problems[0].to_string(),
        "vendor/acme/module-core/etc/acl.xml: cannot be read: it is larger than 4194304 bytes"
    );
    let folder = shop_with("app/etc/config.php", |text| text);
    fs::create_dir(folder.path().join("app/code/Shop/Quiet/etc/webapi.xml")).unwrap();
    let problems = import::read(folder.path(), false).unwrap().problems;
    assert_eq!(problems[0].to_string(), "app/code/Shop/Quiet/etc/webapi.xml: is no file");
}

#[test]
fn a_second_import_changes_nothing_and_touches_nothing() {
    let out = tempfile::tempdir().unwrap();
    import_into(&fixture("shop"), out.path(), &[]);
    let modified = |name: &str| fs::metadata(out.path().join(name)).unwrap().modified().unwrap();
    let all = || ["acl.json", "webapi_routes.json", "integrations.json"].map(modified);
    let before = all();
    let text = stdout(&import_into(&fixture("shop"), out.path(), &[]));
    assert_eq!(text.matches(".json: unchanged").count(), 3, "{text}");
    assert_eq!(all(), before);
}

#[test]
fn an_operator_sees_what_changes() {
    let out = tempfile::tempdir().unwrap();
    import_into(&fixture("shop"), out.path(), &[]);
    let renamed = shop_with("vendor/acme/orders/src/etc/acl.xml", |text| {
        text.replace("Acme_Orders::create", "X_Y::new")
    });
    let text = stdout(&import_into(renamed.path(), out.path(), &["--allow-insecure"]));
    for line in [
        "acl.json: replaced; 1 added, 1 removed, 0 changed",
        "  + X_Y::new \"Create\" below Acme_Orders::orders at 10",
        "  - Acme_Orders::create \"Create\" below Acme_Orders::orders at 10",
        "webapi_routes.json: replaced; 0 added, 0 removed, 3 changed",
        "  ~ GET /V1/categories (Acme_Catalog::categories) Acme\\Catalog\\Api\\CategoriesInterface::getTree -> (anonymous)",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    let moved =
        shop_with("app/code/Shop/Custom/etc/integration/config.xml", |text| text.replace("refunds@", "r@"));
    let text = stdout(&import_into(moved.path(), out.path(), &[]));
    let line = "  ~ Refund desk refunds@shop.example.com (Magento_Backend::admin, Acme_Orders::orders, Shop_Custom::refund) -> r@shop.example.com (";
    assert!(text.contains(line), "{text}");
    fs::write(out.path().join("acl.json"), "{").unwrap();
    let text = stdout(&import_into(&fixture("shop"), out.path(), &[]));
    assert!(text.contains("acl.json: replaced; the old file is not comparable"), "{text}");
}

#[test]
fn a_failed_write_leaves_both_files_as_they_were() {
    let out = tempfile::tempdir().unwrap();
    let rules = Rules::of(&import::read(&fixture("shop"), false).unwrap()).unwrap();
    let tree = out.path().join("acl.json");
    fs::write(&tree, "[]").unwrap();
    let routes = out.path().join("missing/routes.json");
    let destination = Destination { tree: tree.clone(), routes, integrations: None };
    let error = rules.write(&destination).unwrap_err().to_string();
    assert!(error.contains("missing/routes.json"), "{error}");
    assert_eq!(fs::read_to_string(&tree).unwrap(), "[]");
    assert_eq!(files_in(out.path()), ["acl.json"], "no temporary file is left");
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link() {
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("real.json"), "[]").unwrap();
    std::os::unix::fs::symlink("real.json", out.path().join("acl.json")).unwrap();
    let rules = Rules::of(&import::read(&fixture("shop"), false).unwrap()).unwrap();
    let path = |name: &str| out.path().join(name);
    let destination = Destination {
        tree: path("acl.json"),
        routes: path("routes.json"),
        integrations: Some(path("integrations.json")),
    };
    let previous: Vec<_> = rules.compare(&destination).into_iter().map(|(_, previous)| previous).collect();
    assert!(matches!(previous.as_slice(), [Previous::Different(_), Previous::Missing, Previous::Missing]));
    rules.write(&destination).unwrap();
    assert_eq!(fs::read_link(out.path().join("acl.json")).unwrap(), Path::new("real.json"));
    assert_eq!(fs::read_to_string(out.path().join("real.json")).unwrap(), rules.tree);
}

#[cfg(unix)]
#[test]
fn the_file_mode_is_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let out = tempfile::tempdir().unwrap();
    let tree = out.path().join("acl.json");
    fs::write(&tree, "[]").unwrap();
    fs::set_permissions(&tree, fs::Permissions::from_mode(0o640)).unwrap();
    import_into(&fixture("shop"), out.path(), &[]);
    assert_eq!(fs::metadata(&tree).unwrap().permissions().mode() & 0o777, 0o640);
    assert_ne!(fs::read_to_string(&tree).unwrap(), "[]");
}

/// Magento's own tree and routes as the modules of an installation.
fn installation_of(tree: &Value, routes: &Value) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |file: &str, text: String| {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("app/etc/config.php", "<?php return ['modules' => ['A_All' => 1, 'A_Odd' => 1]];".to_owned());
    for name in ["All", "Odd"] {
        write(&format!("app/code/A/{name}/registration.php"), "<?php".to_owned());
        write(
            &format!("app/code/A/{name}/etc/module.xml"),
            format!("<config><module name=\"A_{name}\"/></config>"),
        );
    }
    let acl = |body: String| format!("<config><acl><resources>{body}</resources></acl></config>");
    // The second module says everything again: nothing may change.
    for name in ["All", "Odd"] {
        write(&format!("app/code/A/{name}/etc/acl.xml"), acl(acl_xml(tree)));
        write(
            &format!("app/code/A/{name}/etc/webapi.xml"),
            format!("<routes>{}</routes>", webapi_xml(routes)),
        );
    }
    root
}

fn escaped(value: &Value) -> String {
    value.as_str().unwrap().replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

fn acl_xml(siblings: &Value) -> String {
    let mut xml = String::new();
    for node in siblings.as_array().unwrap() {
        let (id, title) = (escaped(&node["id"]), escaped(&node["title"]));
        write!(xml, "<resource id=\"{id}\" title=\"{title}\" sortOrder=\"{}\">", node["sortOrder"]).unwrap();
        xml.push_str(&acl_xml(&node["children"]));
        xml.push_str("</resource>");
    }
    xml
}

fn webapi_xml(routes: &Value) -> String {
    let mut xml = String::new();
    for route in routes.as_array().unwrap() {
        let (url, method) = (escaped(&route["route"]), escaped(&route["method"]));
        let secure = u8::from(route["secure"].as_bool().unwrap());
        let (class, function) = (escaped(&route["service"]["class"]), escaped(&route["service"]["method"]));
        write!(
            xml,
            "<route url=\"{url}\" method=\"{method}\" secure=\"{secure}\">\
             <service class=\"{class}\" method=\"{function}\"/><resources>"
        )
        .unwrap();
        for resource in route["resources"].as_array().unwrap() {
            write!(xml, "<resource ref=\"{}\"/>", escaped(resource)).unwrap();
        }
        xml.push_str("</resources><data>");
        for (name, parameter) in route["parameters"].as_object().unwrap() {
            let value =
                if parameter["value"].is_null() { "null".to_owned() } else { escaped(&parameter["value"]) };
            write!(xml, "<parameter name=\"{name}\" force=\"{}\">{value}</parameter>", parameter["force"])
                .unwrap();
        }
        xml.push_str("</data></route>");
    }
    xml
}

#[test]
fn magentos_own_rules_come_back_as_they_went_in() {
    let text = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/magento").join(name);
        fs::read_to_string(path).unwrap()
    };
    let parsed = |name: &str| serde_json::from_str::<Value>(&text(name)).unwrap();
    let root = installation_of(&parsed("acl.json"), &parsed("webapi_routes.json"));
    let imported = import::read(root.path(), false).unwrap();
    assert_eq!(imported.problems, []);
    let rules = Rules::of(&imported).unwrap();
    assert_eq!(rules.tree, text("acl.json"));
    assert_eq!(serde_json::from_str::<Value>(&rules.routes).unwrap(), parsed("webapi_routes.json"));
    assert_eq!(rules.unknown_resources, ["Magento_AdobeStockImage::actions_view"]);
}

#[test]
fn integrations_are_written_where_the_configuration_names_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.toml");
    let config = "[upstream]\nurl = 'http://127.0.0.1:1'\n[store]\nurl = 'sqlite::memory:'\n[magento]\ncrypt_key = 'k'\n\
        [acl]\ntree = 'acl.json'\nroutes = 'webapi_routes.json'\n";
    let root = fixture("shop");
    let arguments = ["import", "--magento-root", root.to_str().unwrap(), "--config", path.to_str().unwrap()];
    fs::write(&path, config).unwrap();
    let text = stdout(&portcullis(&arguments));
    assert!(text.contains("the integrations are not written"), "{text}");
    assert!(!folder.path().join("declared.json").exists());
    fs::write(&path, format!("{config}[integrations]\nfile = 'declared.json'\n")).unwrap();
    let text = stdout(&portcullis(&arguments));
    assert!(text.contains("declared.json: written"), "{text}");
    let written = fs::read_to_string(folder.path().join("declared.json")).unwrap();
    assert_eq!(Declaration::read_file(&written).unwrap().len(), 3);
}

/// A folder with a configuration, the imported rules and a store in which the clerk may see orders.
async fn gate_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = r#"
        [upstream]
        url = "http://127.0.0.1:1"
        [store]
        url = "sqlite://portcullis.db"
        [magento]
        crypt_key = "0123456789abcdef0123456789abcdef"
        [acl]
        tree = "acl.json"
        routes = "webapi_routes.json"
        "#;
    fs::write(folder.path().join("portcullis.toml"), config).unwrap();
    let url = format!("sqlite://{}", folder.path().join("portcullis.db").display());
    SqlStore::migrate(&url).await.unwrap();
    let store = SqlStore::open(&url).await.unwrap();
    let now = UnixTime::from_seconds(1_700_000_000);
    let groups = [
        ("root", "Administrators", &["Magento_Backend::all"][..], &[][..]),
        (
            "clerk",
            "Order clerks",
            &["Magento_Backend::admin", "Acme_Orders::orders"][..],
            &["Acme_Catalog::catalog"][..],
        ),
    ];
    for (username, group, allowed, denied) in groups {
        let role = NewRole { owner: RoleOwner::AdminGroup(group), allowed, denied };
        let group_id = Some(store.insert_role(&role).await.unwrap());
        let password_hash = &Secret::new(String::new());
        let email = &format!("{username}@example.com");
        let admin = NewAdmin { username, email, firstname: username, lastname: "x", password_hash, group_id };
        store.insert_admin(&admin, now).await.unwrap();
    }
    let nobody =
        NewRole { owner: RoleOwner::AdminGroup("Empty"), allowed: &["Acme_Orders::create"], denied: &[] };
    store.insert_role(&nobody).await.unwrap();
    let encrypted_secret = &Secret::new("x".to_owned());
    let consumer = NewConsumer { name: "Warehouse", key: &"k".repeat(32), encrypted_secret };
    let consumer_id = store.insert_consumer(&consumer, now).await.unwrap();
    let integration = NewIntegration {
        name: "Warehouse",
        email: "w@example.com",
        consumer_id,
        status: IntegrationStatus::Inactive,
    };
    let id = store.insert_integration(&integration, now).await.unwrap();
    let owner = RoleOwner::Integration(id);
    let role = NewRole {
        owner,
        allowed: &["Magento_Backend::admin", "Acme_Orders::create"],
        denied: &["Acme_Catalog::catalog"],
    };
    store.insert_role(&role).await.unwrap();
    store.close().await;
    folder
}

#[tokio::test]
async fn the_shell_shows_tree_routes_and_holders() {
    let folder = gate_folder().await;
    let config = folder.path().join("portcullis.toml");
    let config = config.to_str().unwrap();
    let root = fixture("shop");
    let imported = portcullis(&["import", "--magento-root", root.to_str().unwrap(), "--config", config]);
    assert!(imported.status.success(), "{}", stderr(&imported));
    let acl = |arguments: &[&str]| {
        let output = portcullis(&[&["acl"], arguments, &["--config", config]].concat());
        (output.status.code(), stdout(&output), stderr(&output))
    };
    let (_, tree, _) = acl(&["tree"]);
    assert!(
        tree.starts_with("Magento_Backend::all  Allow everything\nMagento_Backend::admin  Back Office\n"),
        "{tree}"
    );
    assert!(tree.contains("\n    Shop_Custom::refund  Refund & return\n"), "{tree}");

    let (_, all, _) = acl(&["routes"]);
    assert_eq!(all.lines().count(), 11);
    assert!(
        all.contains("GET     /V1/modules         Acme_Core::tools, Acme_Core::settings  (HTTPS only)\n"),
        "{all}"
    );
    let (_, some, _) = acl(&["routes", "--resource", "Acme_Catalog::products", "--method", "delete"]);
    assert_eq!(some, "DELETE  /V1/products/:sku  Acme_Catalog::products, Acme_Orders::orders\n");
    let (_, undeclared, _) = acl(&["routes", "--resource", "Acme_Bundle::undeclared"]);
    assert_eq!(undeclared.lines().count(), 1);

    let (_, holders, error) = acl(&["who-can", "Acme_Orders::create"]);
    assert_eq!(
        holders.lines().collect::<Vec<_>>(),
        [
            "role              1  Administrators",
            "role              3  Order clerks",
            "role              5  Empty",
            "admin             1  root  through role 1 Administrators",
            "admin             2  clerk  through role 3 Order clerks",
            "integration       1  Warehouse  (inactive)",
        ],
        "{error}"
    );
    let (_, holders, _) = acl(&["who-can", "Acme_Catalog::products"]);
    assert_eq!(holders.lines().count(), 2, "{holders}");
    let (_, holders, _) = acl(&["who-can", "Acme_Bundle::undeclared"]);
    assert!(holders.starts_with("in no acl.xml, so that only full access passes:\nrole"), "{holders}");
    let (_, holders, _) = acl(&["who-can", "anonymous"]);
    assert_eq!(holders, "everybody, guests included\n");

    for (typed, nearest) in [
        ("Acme_Order::create", "the nearest are Acme_Orders::create, "),
        ("refund", "the nearest are Shop_Custom::refund, "),
        ("create", "the nearest are Acme_Orders::create, "),
    ] {
        let (code, output, error) = acl(&["who-can", typed]);
        assert_eq!((code, output.as_str()), (Some(1), ""));
        assert!(error.contains(nearest), "{error}");
    }
}

#[test]
fn a_destination_is_needed_and_only_one() {
    let root = fixture("shop");
    let root = root.to_str().unwrap();
    assert_eq!(portcullis(&["import", "--magento-root", root]).status.code(), Some(2));
}
