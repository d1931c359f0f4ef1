//! What does not start says which setting, which file, and the way out.

use std::{fs, net::TcpListener, path::Path};

use crate::{
    callers::{CONSUMER_KEY, CONSUMER_SECRET, FULL, PROTECTED, TOKEN, TOKEN_SECRET, gate, get},
    support::{
        gate::Setup,
        process::{Ended, Process, run},
        upstream::Upstream,
        wire::exchange,
    },
};

fn setup() -> Setup {
    Setup::before(([127, 0, 0, 1], 9).into())
}

fn with_config(command: &str, config: &Path) -> Ended {
    run(&[command, "--config", config.to_str().unwrap()])
}

/// The complaint about a configuration that cannot be used, by `serve` and by `check` alike.
fn complaint(config: &Path) -> String {
    let (served, checked) = (with_config("serve", config), with_config("check", config));
    for ended in [&served, &checked] {
        assert_eq!(ended.code, Some(78), "{ended:?}");
    }
    assert_eq!(served.stderr, checked.stderr, "both say the same");
    served.stderr
}

fn assert_names(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

#[test]
fn every_mistake_of_a_configuration_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("portcullis.toml");
    fs::write(
        &config,
        "[listen]\nprxy = \"127.0.0.1:0\"\nheader_timeout = \"soon\"\n[upstream]\nurl = \"ftp://a\"\n[acl]\nmode = \"maybe\"\n",
    )
    .unwrap();
    let ended = with_config("serve", &config);
    assert_eq!(ended.code, Some(78));
    assert_names(
        &ended.stderr,
        &[
            "listen.prxy",
            "listen.proxy",
            "listen.header_timeout",
            "upstream.url",
            "store.url",
            "crypt_key",
            "acl.mode",
        ],
    );
    assert_eq!(with_config("check", &config).stderr, ended.stderr);
    let missing = with_config("serve", &folder.path().join("none.toml"));
    assert_eq!(missing.code, Some(78));
    assert_names(&missing.stderr, &["none.toml"]);
    fs::write(&config, "[listen\n").unwrap();
    assert_names(&complaint(&config), &["portcullis.toml"]);
}

#[test]
fn a_database_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = setup().write(folder.path());
    let database = folder.path().join("portcullis.db");
    assert_names(&complaint(&config), &["store.url", database.to_str().unwrap(), "portcullis migrate"]);
    assert!(!database.exists(), "looking creates nothing");
    fs::write(&database, "This is a text file, long enough to be taken for something else.".repeat(20))
        .unwrap();
    assert_names(&complaint(&config), &["store.url", "portcullis.db", "not a SQLite database"]);
    fs::remove_file(&database).unwrap();
    fs::File::create(&database).unwrap();
    assert_names(&complaint(&config), &["store.url", "portcullis migrate"]);
    fs::remove_file(&database).unwrap();
    fs::create_dir(&database).unwrap();
    assert_names(&complaint(&config), &["store.url", "portcullis.db"]);
}

#[test]
fn a_crypt_key_of_another_installation_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    setup().prepare(folder.path());
    let other =
        setup().with("magento", "crypt_key = \"ffffffffffffffffffffffffffffffff\"").write(folder.path());
    let text = complaint(&other);
    assert_names(&text, &["magento.crypt_key", "decrypt", "key of the installation"]);
    assert!(!text.contains("ffffffff"), "the key itself is nobody's business");
}

#[test]
fn rules_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    setup().prepare(folder.path());
    for (setting, content, words) in [
        ("tree", None, &["acl.tree", "rules.json"][..]),
        ("routes", None, &["acl.routes", "rules.json"]),
        ("tree", Some("no json"), &["acl.tree", "rules.json"]),
        ("tree", Some("{\"a\":1}"), &["acl.tree", "rules.json"]),
        ("routes", Some("[{\"method\":\"GET\"}]"), &["acl.routes", "rules.json"]),
        ("routes", Some("[]"), &["acl.routes", "rules.json"]),
    ] {
        let rules = folder.path().join("rules.json");
        let _ = fs::remove_file(&rules);
        if let Some(content) = content {
            fs::write(&rules, content).unwrap();
        }
        let config = setup().with("acl", &format!("{setting} = \"rules.json\"")).write(folder.path());
        let ended = with_config("check", &config);
        if ended.code == Some(0) && content == Some("[]") {
            continue;
        }
        assert_eq!(ended.code, Some(78), "{setting} {content:?}");
        assert_names(&ended.stderr, words);
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for setting in ["proxy", "admin"] {
        let setup = setup().with("listen", &format!("{setting} = \"{address}\""));
        let ended = with_config("serve", &setup.prepare(folder.path()));
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert_names(&ended.stderr, &[&format!("listen.{setting}"), &address, "in use"]);
    }
}

#[test]
fn a_second_gate_does_not_take_half_of_the_first_ones_clients() {
    // The workers share their port, so the kernel let another process share it as well.
    let upstream = Upstream::start();
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let running = Process::serve(&gate(&upstream).with("log", "level = \"info\"").prepare(first.path()));
    let address = running.proxy.to_string();
    let config = setup().with("listen", &format!("proxy = \"{address}\"")).prepare(second.path());
    let ended = with_config("serve", &config);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert_names(&ended.stderr, &["listen.proxy", &address]);
    // Neither may two processes write one journal.
    let config = setup().write(first.path());
    let ended = with_config("serve", &config);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert_names(&ended.stderr, &["nonces.journal", "in use by another process"]);
    running.kill();
}

#[test]
fn the_cause_below_a_failure_is_told() {
    let folder = tempfile::tempdir().unwrap();
    // A file where the journal's folder should be.
    fs::write(folder.path().join("nonces"), "").unwrap();
    let ended = with_config("serve", &setup().prepare(folder.path()));
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert_names(&ended.stderr, &["nonces.journal", "nonces"]);
    assert!(
        ended.stderr.to_lowercase().contains("directory") || ended.stderr.contains("exists"),
        "{}",
        ended.stderr
    );
}

#[test]
fn wrong_usage_exits_2() {
    for arguments in [&["serv"][..], &["serve", "--confg", "x"], &["sign"], &["migrate", "extra"]] {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("Usage") || ended.stderr.contains("--help"), "{ended:?}");
    }
}

#[test]
fn the_commands_do_what_they_say() {
    let version = run(&["version"]);
    assert_eq!(
        (version.code, version.stdout.as_str()),
        (Some(0), concat!("portcullis ", env!("CARGO_PKG_VERSION"), "\n"))
    );

    let folder = tempfile::tempdir().unwrap();
    let config = setup().write(folder.path());
    for words in ["created", "nothing to do"] {
        let migrated = with_config("migrate", &config);
        assert_eq!(migrated.code, Some(0), "{migrated:?}");
        assert_names(&migrated.stdout, &["portcullis.db", words]);
    }
    let checked = with_config("check", &config);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert_names(&checked.stdout, &["listen.proxy", "can be used"]);
    assert!(!checked.stdout.contains("0123456789abcdef"), "a secret was shown:\n{}", checked.stdout);
}

#[test]
fn a_header_that_sign_prints_passes_the_gate() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let process = Process::serve(&gate(&upstream).with("log", "level = \"info\"").prepare(folder.path()));
    let url = format!("http://shop.test{PROTECTED}?x=a%20b");
    let secrets = folder.path().join("secrets");
    fs::write(&secrets, format!("{CONSUMER_SECRET}\n{TOKEN_SECRET}\n")).unwrap();
    let by_file = ["--secrets-file", secrets.to_str().unwrap()];
    let by_argument = ["--consumer-secret", CONSUMER_SECRET, "--token-secret", TOKEN_SECRET];
    for given in [&by_file[..], &by_argument] {
        let ended =
            run(&[&["sign", "--consumer-key", CONSUMER_KEY, "--token", TOKEN], given, &[url.as_str()]]
                .concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let authorization = ended.stdout.trim().strip_prefix("Authorization: ").unwrap();
        let target = format!("{PROTECTED}?x=a%20b");
        assert_eq!(exchange(process.proxy, &get(&target, &[("Authorization", authorization)])).status(), 200);
        assert_eq!(upstream.take_one().header("x-auth-method").as_deref(), Some("oauth1"));
    }
    assert_eq!(exchange(process.proxy, &get(PROTECTED, &[("Authorization", FULL)])).status(), 200);
    process.kill();
}
