//! `stage`: sets the comparison's stage, for `benches/compare`.
//!
//! `stage store FOLDER UPSTREAM PROXY ADMIN` writes a configuration for these ports, a seeded store, the head of each
//! caller's request and of some that must be refused, and the signing key for a gate in Lua. `stage sign FOLDER COUNT` writes
//! so many fresh signatures, one a line. `stage auth FOLDER` is the service behind `auth_request`.

mod auth_service;
#[path = "mod.rs"]
mod support;

use std::{fs, path::Path, process::ExitCode, time::Duration};

use portcullis::{auth::time::UnixTime, clock::Clock, store::sql::SqlStore};

use support::{
    callers::{self, Integration},
    requests::{Caller, Head, signature},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["store", folder, upstream, proxy, admin] => store(Path::new(folder), [upstream, proxy, admin]),
        ["sign", folder, count] => sign(Path::new(folder), count.parse().unwrap_or(1)),
        ["auth", folder] => auth_service::serve(Path::new(folder)),
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
    for (name, head) in refused(now) {
        write(folder, &format!("{name}.head"), &head.text());
    }
    write(folder, "credentials", &credentials());
}

/// What no gate may let pass.
fn refused(now: UnixTime) -> [(&'static str, Head); 4] {
    let name = "authorization";
    let other_token = |value: &str| format!("{}z", value.strip_suffix('x').expect("the token ends in x"));
    let other_signature = |value: &str| {
        let (signed, signature) = value.rsplit_once('.').expect("a JWT has dots");
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        format!("{signed}.{first}{}", &signature[1..])
    };
    let signed_at = |now| signature(&mut Integration::new(), now);
    let long_ago = signed_at(now.minus(Duration::from_secs(3600)));
    let mut tampered = Caller::Oauth.head(now);
    tampered.target = tampered.target.replace("=20&", "=100&");
    [
        ("bearer_wrong", Caller::Bearer.head(now).with(name, other_token)),
        ("jwt_wrong", Caller::Jwt.head(now).with(name, other_signature)),
        ("oauth_late", Caller::Oauth.head(now).with(name, |_| long_ago.clone())),
        ("oauth_wrong", tampered),
    ]
}

/// For the gate in Lua, which has no store to ask for signing keys.
fn credentials() -> String {
    let known = callers::integration();
    let fields = [callers::CONSUMER_KEY, known.token, callers::CONSUMER_SECRET, callers::TOKEN_SECRET];
    format!("{}\t{}\t{}\t{}\n", fields.join("\t"), known.user_type, known.user_id, known.acl)
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
        level = "error"
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
