//! `stage`: sets the comparison's stage, for `benches/compare`.
//!
//! `stage store FOLDER UPSTREAM PROXY ADMIN` writes a configuration for these ports, a seeded store, and the head of each
//! caller's request. `stage sign FOLDER COUNT` writes so many fresh signatures, one a line.

#[path = "mod.rs"]
mod support;

use std::{fs, path::Path, process::ExitCode};

use portcullis::{clock::Clock, store::sql::SqlStore};

use support::{
    callers::{self, Integration},
    requests::{Caller, signature},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["store", folder, upstream, proxy, admin] => store(Path::new(folder), [upstream, proxy, admin]),
        ["sign", folder, count] => sign(Path::new(folder), count.parse().unwrap_or(1)),
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}

fn store(folder: &Path, ports: [&str; 3]) {
    write(folder, "acl.json", callers::TREE);
    write(folder, "webapi_routes.json", callers::ROUTES);
    write(folder, "portcullis.toml", &configuration(ports));
    let url = format!("sqlite://{}", folder.join("portcullis.db").display());
    let now = Clock::system().now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(async {
        SqlStore::migrate(&url).await.expect("the store is created");
        let store = SqlStore::open(&url).await.expect("the store opens");
        callers::seed(&store, now).await;
        store.close().await;
    });
    for caller in Caller::ALL {
        write(folder, &format!("{}.head", caller.name()), &caller.head(now).text());
    }
}

/// As the documentation has it, but for one worker, as nginx has, and no access log.
fn configuration([upstream, proxy, admin]: [&str; 3]) -> String {
    let crypt_key = callers::CRYPT_KEY;
    format!(
        r#"
        [listen]
        proxy = "127.0.0.1:{proxy}"
        admin = "127.0.0.1:{admin}"
        workers = 1
        [upstream]
        url = "http://127.0.0.1:{upstream}"
        [store]
        url = "sqlite://portcullis.db"
        [magento]
        crypt_key = "{crypt_key}"
        [acl]
        tree = "acl.json"
        routes = "webapi_routes.json"
        [log]
        level = "warn"
        access = "off"
        "#
    )
}

fn sign(folder: &Path, count: usize) {
    let now = Clock::system().now();
    let mut integration = Integration::new();
    let lines = (0..count).map(|_| signature(&mut integration, now) + "\n");
    write(folder, "oauth.list", &lines.collect::<String>());
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).expect("the folder can be written");
}
