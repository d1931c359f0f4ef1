//! Whole configurations: what is accepted, what is refused with which words, and what must never be printed.

use std::{fs, net::IpAddr, path::Path, time::Duration};

use proptest::prelude::*;

use super::{keys::KEYS, *};
use crate::auth::jwt::{AcceptedKeys, JwtAlgorithm};

const SAMPLE: &str = include_str!("../../config/portcullis.toml");

/// The least that is valid, without sections that tests want to write themselves.
const UPSTREAM: &str = "[upstream]\nurl = 'http://127.0.0.1:8081'\n";
const STORE: &str = "[store]\nurl = 'sqlite::memory:'\n";
const MAGENTO: &str = "[magento]\ncrypt_key = 'k3y-of-tests'\n";
const ACL: &str = "[acl]\ntree = 'acl.json'\nroutes = 'routes.json'\n";

/// A wrong section and the exact list of what is said about it.
const WRONG: &[(&str, &[&str])] = &[
    ("[listen]\nprxy = 1", &["listen.prxy: is not a known setting; did you mean listen.proxy?"]),
    ("[lisen]\nproxy = 1", &["lisen: is not a known setting; did you mean listen?"]),
    ("'listen.proxy' = 1", &["listen.proxy: is not a known setting; did you mean listen.proxy?"]),
    (
        "listen = 5",
        &["listen: is a section and has no value of its own; set one of its keys, such as listen.proxy"],
    ),
    (
        "[listen]\nproxy = '8080'",
        &["listen.proxy: \"8080\" is not an IP address and port; write one such as \"127.0.0.1:8080\""],
    ),
    (
        "[listen]\nadmin = '0.0.0.0:9090'",
        &["listen.admin: an admin listener off loopback needs TLS; name a certificate in [listen.admin_tls]"],
    ),
    (
        "[listen]\nproxy = '0.0.0.0:9090'",
        &["listen.admin: is taken by listen.proxy (0.0.0.0:9090); choose another port"],
    ),
    (
        "[listen]\nmax_headers = 'many'",
        &["listen.max_headers: \"many\" is not a whole number; write one such as 100"],
    ),
    (
        "[listen]\nmax_header_bytes = '4KiB'",
        &["listen.max_header_bytes: 4KiB is out of range; choose between 8KiB and 1MiB"],
    ),
    (
        "[listen]\nidle_timeout = 75",
        &["listen.idle_timeout: the number is not a duration; write one such as \"600s\", \"250ms\", \"1h\""],
    ),
    (
        "[listen]\nmax_body = 1979-05-27",
        &["listen.max_body: a table or date is not a size; write bytes, or \"64KiB\", \"1MiB\", \"1GiB\""],
    ),
    (
        "[listen]\ntrusted_proxies = ['10.0.0.0/8', 'lan', '::/200']",
        &[
            "listen.trusted_proxies: \"lan\" is not a network; write one such as \"10.0.0.0/8\" or \"192.0.2.7\"; \
               \"::/200\" is not a network; write one such as \"10.0.0.0/8\" or \"192.0.2.7\"",
        ],
    ),
    (
        "[upstream]",
        &[
            "upstream.url: is required; write one such as \"http://127.0.0.1:8081\", or several as [[upstream.endpoint]]",
        ],
    ),
    (
        "[upstream]\nurl = 'http://a'\nendpoint = [{ url = 'http://b' }]",
        &["upstream.url: stands beside [[upstream.endpoint]]; keep one of the two"],
    ),
    (
        "[upstream]\nendpoint = [{ url = 'http://a' }, { url = 'https://a' }]",
        &["upstream.endpoint: \"a\" stands there twice; give each a name of its own"],
    ),
    ("[upstream]\nendpoint = []", &["upstream.endpoint: has 0 endpoints; write 1 to 64"]),
    (
        "[upstream]\nendpoint = [{ url = 'http://a', weight = 0 }]",
        &["upstream.endpoint: endpoint \"http://a\": its weight is out of range; choose between 1 and 1000"],
    ),
    (
        "[upstream]\nurl = 'https://a'\ntls.certificate_file = 'c.pem'",
        &["upstream.tls.key_file: is required with certificate_file"],
    ),
    (
        "[upstream]\nurl = 'http://a'\nhealth = { path = 'health', status = '600' }",
        &[
            "upstream.health.path: is no path; write one such as \"/health_check.php\"",
            "upstream.health.status: \"600\" is no range of statuses; write one such as \"200-399\"",
        ],
    ),
    (
        "[upstream]\nurl = 'http://a'\nejection = { time = '1h' }",
        &["upstream.ejection.max_time: is less than upstream.ejection.time; raise it"],
    ),
    (
        "[upstream]\nurl = 'http://a/rest'",
        &["upstream.url: has a path, query or fragment; write scheme, host and port alone"],
    ),
    (
        "[upstream]\nurl = 'http://a'\nproof = { header = 'X-Proof' }",
        &["upstream.proof.header: has no secret; set upstream.proof.secret_file"],
    ),
    (
        "[upstream]\nurl = 'http://a'\nproof = { secret = '0123456789abcdef' }",
        &["upstream.proof.header: is required with a secret; name the header to send it in"],
    ),
    (
        "[upstream]\nurl = 'http://a'\nproof = { header = 'Cookie', secret = 'short' }",
        &[
            "upstream.proof.header: cookie has a meaning of its own; choose a name such as \"X-Portcullis-Proof\"",
            "upstream.proof.secret: the secret needs at least 16 visible ASCII characters and no blank; generate one, for example with openssl rand -hex 32",
        ],
    ),
    (
        "[upstream]\nurl = 'http://a'\nproof = { header = 'x_auth-user-id', secret = '0123456789abcdef' }",
        &[
            "upstream.proof.header: x_auth-user-id begins with headers.prefix; choose a name such as \"X-Portcullis-Proof\"",
        ],
    ),
    ("[store]", &["store.url: is required; write one such as \"sqlite://portcullis.db\""]),
    (
        "[store]\nurl = 'mysql://h/d'",
        &["store.url: names no user; write \"mysql://user:password@host/database\""],
    ),
    (
        "[store]\nurl = 'postgres://u:p@h'",
        &["store.url: names no database; write \"postgres://user:password@host/database\""],
    ),
    (
        "[store]\nurl = 'mysql://u:p@/d'",
        &["store.url: names no host; write \"mysql://user:password@host/database\""],
    ),
    (
        "[store]\nurl = 'mysql://u:p/q@h/d'",
        &["store.url: has a character in its user or password that must be encoded, such as / as %2F"],
    ),
    (
        "[store]\nurl = 'mysql://u:p@h/d?sslmode=REQUIRED'",
        &[
            "store.url: has an option that is not known; there are ssl-mode, ssl-ca, ssl-cert, ssl-key, socket",
        ],
    ),
    (
        "[store]\nurl = 'mysql://u:p@h/d'\n[jobs]\nrevocations = '1d'",
        &["jobs.revocations: Magento deletes no revocations from its own database; write 0s"],
    ),
    (
        "[store]\nurl = 'postgres://u:p@h/d'\nattached = true",
        &["store.attached: is for a Magento's own database, which is MySQL or MariaDB"],
    ),
    (
        "[store]\nurl = 'postgres://u:p@h/d'\nread_url = 'mysql://u:p@h/d'",
        &["store.read_url: is not a server of the same kind as store.url"],
    ),
    (
        "[store]\nurl = 'mysql://u:p@h/d'\ntable_prefix = 'm2-'",
        &["store.table_prefix: may have letters, digits and underscores, 32 at most"],
    ),
    (
        "[store]\nurl = 'mysql://u:p@h/d'\nattached = false\ntable_prefix = 'm2_'",
        &["store.table_prefix: is for a Magento's own database; tables of ours have none"],
    ),
    (
        "[store]\nurl = 'sqlite://a?mode=rw'",
        &["store.url: has options, which are not supported; write \"sqlite://\" and the path alone"],
    ),
    ("[magento]", &["magento.crypt_key: is required; set it, or magento.crypt_key_file, or magento.env_php"]),
    (
        "[magento]\ncrypt_key = ' '",
        &["magento.crypt_key: the key is blank; write the value of crypt/key in app/etc/env.php"],
    ),
    (
        "[magento]\ncrypt_key = 'a'\ncrypt_key_file = 'b'",
        &["magento.crypt_key_file: magento.crypt_key is set as well; keep one of the two"],
    ),
    (
        "[magento]\ncrypt_key = 'a'\nenv_php = 'b'",
        &["magento.env_php: the crypt key is set as well; keep one of the two"],
    ),
    (
        "[magento]\ncrypt_key = 'a'\njwt_algorithm = 'A128KW'",
        &[
            "magento.jwt_algorithm: A128KW wraps tokens with a constant key, so that anyone could make them; set HS256 in Magento and here",
        ],
    ),
    (
        "[magento]\ncrypt_key = 'a'\njwt_algorithm = 'none'",
        &["magento.jwt_algorithm: \"none\" is not known here; write \"HS256\" or \"HS384\" or \"HS512\""],
    ),
    (
        "[magento]\ncrypt_key = 'a'\ncustomer_token_lifetime = 0.5\nadmin_token_lifetime = '0.5'",
        &[
            "magento.customer_token_lifetime: the number is not a duration; write one such as \"600s\", \"250ms\", \"1h\"",
            "magento.admin_token_lifetime: \"0.5\" is not a duration; write one such as \"600s\", \"250ms\", \"1h\"",
        ],
    ),
    (
        "[magento]\ncrypt_key = 'a'\ncustomer_token_lifetime = ''\nadmin_token_lifetime = '1s'",
        &[
            "magento.customer_token_lifetime: \"\" is not a duration; write one such as \"600s\", \"250ms\", \"1h\"",
            "magento.admin_token_lifetime: 1s is out of range; choose between 1m and 366days, or 0s for none",
        ],
    ),
    (
        "[magento]\ncrypt_key = 'a b'\njwt_accept_keys = [1, 3]",
        &[
            "magento.jwt_accept_keys: there is no key 3: crypt/key holds 2 keys, counted from 1, the newest last",
        ],
    ),
    (
        "[magento]\ncrypt_key = 'a'\njwt_accept_keys = [0]",
        &[
            "magento.jwt_accept_keys: there is no key 0: crypt/key holds 1 key, counted from 1, the newest last",
        ],
    ),
    (
        "[magento]\ncrypt_key = 'a'\njwt_accept_keys = []",
        &["magento.jwt_accept_keys: names no key; write \"none\" if user JWTs are to be refused"],
    ),
    (
        "[magento]\ncrypt_key = 'a'\njwt_accept_keys = 'first'",
        &[
            "magento.jwt_accept_keys: \"first\" names no keys; write \"all\", \"last\", \"none\" or places in crypt/key from 1, such as [2]",
        ],
    ),
    (
        "[magento]\ncrypt_key = 'a'\nversion = '2.4.9'",
        &[
            "magento.version: \"2.4.9\" is not known here; write \"2.4.4\" or \"2.4.5\" or \"2.4.6\" or \"2.4.7\" or \"2.4.8\"",
        ],
    ),
    (
        "[oauth]\nsignature_methods = ['PLAINTEXT']",
        &["oauth.signature_methods: \"PLAINTEXT\" is not known here; write \"HMAC-SHA256\" or \"HMAC-SHA1\""],
    ),
    (
        "[oauth]\nsignature_methods = []",
        &[
            "oauth.signature_methods: is empty, so that nothing could be accepted; write \"HMAC-SHA256\" or \"HMAC-SHA1\"",
        ],
    ),
    ("[oauth]\nreadings = ['magento', 'magento']", &["oauth.readings: magento stands there twice; keep one"]),
    (
        "[oauth]\ntimestamp_window = '2days'",
        &["oauth.timestamp_window: 2days is out of range; choose between 1s and 1day"],
    ),
    (
        "[oauth]\ntimestamp_window = '1m'",
        &["oauth.future_window: 10m is more than oauth.timestamp_window (1m); set it to 1m or less"],
    ),
    (
        "[sessions]\nhandler = 'file'",
        &["sessions.handler: \"file\" is not known here; write \"off\" or \"files\" or \"redis\""],
    ),
    (
        "[sessions]\nhandler = 'files'\nredis_url = 'redis://h'",
        &["sessions.path: is required with handler \"files\"; name the folder of session.save_path"],
    ),
    (
        "[sessions]\nhandler = 'redis'",
        &["sessions.redis_url: is required with handler \"redis\"; set it, or sessions.redis_url_file"],
    ),
    (
        "[sessions]\nhandler = 'redis'\nredis_url = 'rediss://h'",
        &[
            "sessions.redis_url: does not begin with redis://; write one such as \"redis://:password@127.0.0.1:6379/2\"",
        ],
    ),
    (
        "[sessions]\ncookie = 'a;b'\nttl = '2m'",
        &[
            "sessions.cookie: is no name of a session cookie; write one such as \"PHPSESSID\"",
            "sessions.ttl: 2m is out of range; choose between 0s and 1m",
        ],
    ),
    (
        "[acl]\ntree = 'a'",
        &["acl.routes: is required; name the file that portcullis import writes, or set acl.mode to \"off\""],
    ),
    (
        "[acl]\nmode = 'of'",
        &["acl.mode: \"of\" is not known here; write \"enforce\" or \"report\" or \"shadow\" or \"off\""],
    ),
    (
        "[headers]\nprefix = 'Content-'",
        &["headers.prefix: would take content-disposition away from clients; write one such as \"X-Auth-\""],
    ),
    (
        "[forms]\nbudget = '512KiB'",
        &["forms.budget: 512KiB has no room for one form of forms.max (1MiB); raise it"],
    ),
    (
        "[log]\nlevel = 'inof'",
        &[
            "log.level: \"inof\" is not a filter; write a level such as \"info\", or \"info,portcullis=debug\"",
        ],
    ),
    (
        "[log]\naccess = 'of'",
        &[
            "log.access: \"of\" is not known here; write \"stdout\", \"off\" or a path such as \"./access.log\"",
        ],
    ),
    ("replies = 'json'", &["replies: \"json\" is not known here; write \"magento\" or \"problem\""]),
];

/// A configuration in which `section` stands instead of the section of its name.
fn with(section: &str) -> String {
    let header = |text: &str| text.lines().find(|line| line.starts_with('[')).map(ToOwned::to_owned);
    let own = header(section);
    let rest = [UPSTREAM, STORE, MAGENTO, ACL].into_iter().filter(|part| header(part) != own);
    format!("{section}\n{}", rest.collect::<String>())
}

fn load(text: &str) -> Result<Config, ConfigErrors> {
    Config::from_toml(text, Path::new("/etc/portcullis"))
}

fn load_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.toml");
    fs::write(&file, text).unwrap();
    let result =
        Config::load(Some(&file), variables.iter().map(|(name, value)| ((*name).into(), (*value).into())));
    result.map_err(|errors| {
        let strip = |finding: &Finding| Finding {
            source: if finding.source == Source::File(file.clone()) {
                Source::File("p.toml".into())
            } else {
                finding.source.clone()
            },
            ..finding.clone()
        };
        ConfigErrors::new(errors.iter().map(strip).collect())
    })
}

fn errors(text: &str) -> Vec<String> {
    let errors = load(text).expect_err("a wrong configuration");
    errors.iter().map(|finding| finding.to_string().trim_start_matches("<text>: ").to_owned()).collect()
}

fn value(config: &Config, key: &str) -> (String, Source) {
    let setting = config.effective().iter().find(|setting| setting.key == key).unwrap();
    (setting.value.clone(), setting.source.clone())
}

#[test]
fn the_least_configuration_has_the_documented_defaults() {
    let config = load(&with("")).unwrap();
    assert_eq!(config.listen.proxy.to_string(), "127.0.0.1:8080");
    assert_eq!(config.listen.max_body, Some(64 << 20));
    assert_eq!(config.listen.workers, None);
    let endpoint = &config.upstream.endpoints[0];
    assert_eq!((endpoint.name.as_str(), endpoint.weight, endpoint.port()), ("127.0.0.1:8081", 1, 8081));
    assert_eq!(config.upstream.credentials, Credentials::Strip);
    assert!(config.upstream.proof.is_none());
    assert_eq!(config.store.database, Database::SqliteMemory);
    assert_eq!(config.magento.written.admin_token_lifetime, None);
    assert_eq!(config.magento.settings, SettingsHome::File);
    assert_eq!(config.magento.jwt_accept_keys, AcceptedKeys::All);
    assert_eq!(value(&config, "magento.admin_token_lifetime"), ("4h".into(), Source::Default));
    assert_eq!(config.oauth.signature_methods, [SignatureMethod::HmacSha256]);
    assert_eq!(config.oauth.readings, [Reading::Rfc5849, Reading::Magento]);
    assert_eq!(config.nonces.journal.as_deref(), Some(Path::new("/etc/portcullis/nonces")));
    assert_eq!(config.acl.unmatched, Unmatched::Forward);
    assert_eq!(config.log.access, AccessLog::Stdout);
    assert!(config.sessions.storage.is_none() && !config.sessions.admin);
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
}

#[test]
fn sessions_are_where_the_handler_says() {
    let config = load(&with("[sessions]\nhandler = 'files'\npath = 'var/session'")).unwrap();
    let Some(SessionStorage::Files(path)) = &config.sessions.storage else { panic!("{config:?}") };
    assert_eq!(path, Path::new("/etc/portcullis/var/session"));
    let config = load(&with("[sessions]\nhandler = 'redis'\nredis_url = 'redis://:hunter2@h/2'")).unwrap();
    let Some(SessionStorage::Redis(url)) = &config.sessions.storage else { panic!("{config:?}") };
    assert!(url.equals(b"redis://:hunter2@h/2") && !format!("{config:?}").contains("hunter2"));
    assert_eq!(value(&config, "sessions.redis_url").0, "***");
    for slip in ["path = 'a'", "redis_url = 'redis://h'", "handler = 'files'\npath = 'a'\nadmin = true"] {
        assert_eq!(load(&with(&format!("[sessions]\n{slip}"))).unwrap().warnings().len(), 1, "{slip}");
    }
}

#[test]
fn wrong_settings_are_refused_with_the_way_out() {
    for (section, expected) in WRONG {
        assert_eq!(errors(&with(section)), *expected, "{section}");
    }
}

#[test]
fn every_mistake_of_a_file_is_listed() {
    let text = "
        replies = 'xml'
        colour = 'blue'
        [listen]
        proxy = 'here'
        admin = '192.0.2.1:9090'
        workers = -1
        [upstream]
        url = 'ftp://a'
        [magento]
        integration_as_bearer = 'yes'
        [cache]
        ttl = '1year'
        [acl]
        anonymous = 'maybe'
        [log]
        format = 'xml'
    ";
    let errors = load(text).unwrap_err();
    let keys: Vec<_> = errors.iter().map(|finding| finding.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "colour",
            "replies",
            "listen.proxy",
            "listen.workers",
            "listen.admin",
            "upstream.url",
            "store.url",
            "magento.crypt_key",
            "magento.integration_as_bearer",
            "cache.ttl",
            "acl.anonymous",
            "acl.tree",
            "acl.routes",
            "log.format",
        ]
    );
    assert!(errors.iter().all(|finding| finding.source == Source::File("<text>".into())));
}

#[test]
fn text_that_is_not_toml_is_located_and_not_quoted() {
    let errors = errors("[magento]\ncrypt_key = hunter2\n");
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("line 2 is not TOML: ") && !errors[0].contains("hunter2"), "{}", errors[0]);
}

#[test]
fn a_file_that_cannot_be_read_is_named_beside_wrong_variables() {
    let variables = [("PORTCULLIS__LISTEN__PRXY".to_owned(), "1".to_owned())];
    let errors =
        Config::load(Some(Path::new("/nowhere/p.toml")), variables.into_iter()).unwrap_err().to_string();
    let (first, second) = errors.split_once('\n').unwrap();
    assert!(first.starts_with("/nowhere/p.toml: cannot be read: "), "{first}");
    assert_eq!(
        second,
        "environment variable PORTCULLIS__LISTEN__PRXY: listen.prxy: is not a known setting; did you mean listen.proxy?"
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let text = with("[listen]\nproxy = '127.0.0.1:1'\nmax_headers = 50\n");
    let config = load_with(
        &text,
        &[
            ("PORTCULLIS__LISTEN__PROXY", "127.0.0.1:2"),
            ("PORTCULLIS__LISTEN__TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.7"),
            ("PORTCULLIS__MAGENTO__CRYPT_KEY", "00123"),
            ("PORTCULLIS__MAGENTO__INTEGRATION_AS_BEARER", "true"),
            ("PORTCULLIS__UPSTREAM__PROOF__HEADER", "X-Proof"),
            ("PORTCULLIS__UPSTREAM__PROOF__SECRET", "0123456789012345"),
            ("PORTCULLIS__REPLIES", "problem"),
            ("PORTCULLIS__CACHE__ENTRIES", "7"),
            ("PORTCULLIS_PORT", "tcp://10.0.0.1:80"),
            ("HOME", "/root"),
        ],
    )
    .unwrap();
    assert_eq!(config.listen.proxy.port(), 2);
    assert_eq!(config.listen.max_headers, 50);
    assert!(config.listen.trusted_proxies[1].contains(&IpAddr::from([192, 0, 2, 7])));
    assert!(config.magento.crypt_key.equals(b"00123"), "digits stay text");
    assert_eq!(config.magento.written.integration_as_bearer, Some(true));
    assert_eq!(config.upstream.proof.as_ref().unwrap().value(), "0123456789012345");
    assert_eq!(config.replies, Replies::Problem);
    assert_eq!(config.cache.entries, 7);
    assert_eq!(value(&config, "listen.proxy").1, Source::Environment("PORTCULLIS__LISTEN__PROXY".into()));
    assert!(matches!(value(&config, "listen.max_headers").1, Source::File(path) if path.ends_with("p.toml")));
    assert_eq!(value(&config, "listen.admin"), ("127.0.0.1:9090".into(), Source::Default));
}

#[test]
fn wrong_variables_are_named() {
    for (name, text, expected) in [
        (
            "PORTCULLIS__LISTEN",
            "x",
            "listen: is a section and has no value of its own; set one of its keys, such as listen.proxy",
        ),
        (
            "PORTCULLIS__LISTEN__PROXY__X",
            "x",
            "listen.proxy.x: is not a known setting; did you mean listen.proxy?",
        ),
        ("PORTCULLIS__LISTEN.PROXY", "x", "listen.proxy: is not a known setting; did you mean listen.proxy?"),
        ("PORTCULLIS__", "x", ": is not a known setting; remove it, or see the sample file for what exists"),
        (
            "PORTCULLIS__LISTEN__proxy",
            "x",
            "listen.proxy: the names of variables are upper case; rename it to PORTCULLIS__LISTEN__PROXY",
        ),
        (
            "PORTCULLIS__MAGENTO__CRYPT_KEY",
            "a\u{fffd}",
            "magento.crypt_key: the value is not UTF-8; write it in UTF-8",
        ),
        (
            "PORTCULLIS__LISTEN__WORKERS",
            "two",
            "listen.workers: \"two\" is not a whole number; write one such as 100",
        ),
    ] {
        let errors = load_with(&with(""), &[(name, text)]).unwrap_err().to_string();
        let expected = format!("environment variable {name}: {}", expected.trim_start_matches(": "));
        assert_eq!(errors, expected);
    }
}

#[test]
fn the_environment_alone_is_enough() {
    let variables = [
        ("PORTCULLIS__UPSTREAM__URL", "http://a"),
        ("PORTCULLIS__STORE__URL", "sqlite://p.db"),
        ("PORTCULLIS__MAGENTO__CRYPT_KEY", "k"),
        ("PORTCULLIS__ACL__MODE", "off"),
    ];
    let config =
        Config::load(None, variables.iter().map(|(name, value)| ((*name).into(), (*value).into()))).unwrap();
    assert_eq!(config.acl.mode, AclMode::Off);
    assert_eq!(config.store.database, Database::SqliteFile("p.db".into()));
    let nothing = Config::load(None, std::iter::empty()).unwrap_err();
    assert!(nothing.iter().all(|finding| finding.source == Source::Default));
}

#[test]
fn relative_paths_start_at_the_file_and_variables_at_the_working_directory() {
    let text = with("[store]\nurl = 'sqlite://data/p.db'\n[log]\naccess = './a.log'");
    let text = text.replace("'routes.json'", "'/srv/routes.json'");
    let config = load(&text).unwrap();
    assert_eq!(config.store.database, Database::SqliteFile("/etc/portcullis/data/p.db".into()));
    assert_eq!(config.log.access, AccessLog::File("/etc/portcullis/./a.log".into()));
    let files = AclFiles { tree: "/etc/portcullis/acl.json".into(), routes: "/srv/routes.json".into() };
    assert_eq!(config.acl.mode, AclMode::Enforce(files));
    assert_eq!(value(&config, "acl.tree").0, "/etc/portcullis/acl.json");

    let config = load_with(&with(""), &[("PORTCULLIS__NONCES__JOURNAL", "var/nonces")]).unwrap();
    assert_eq!(config.nonces.journal.as_deref(), Some(Path::new("var/nonces")));
}

#[test]
fn secrets_are_read_from_files_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let text = with("[magento]\ncrypt_key_file = 'crypt.key'\n");
    for (content, key) in
        [("abc\n", "abc"), ("abc\r\n", "abc"), ("abc", "abc"), ("a\nb\n\n", "a\nb\n"), (" abc", " abc")]
    {
        fs::write(folder.path().join("crypt.key"), content).unwrap();
        let config = Config::from_toml(&text, folder.path()).unwrap();
        assert_eq!(config.magento.crypt_key.expose(), key);
    }
    for (content, reason) in [
        (&b""[..], "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "UTF-8"),
        (&[b'a'; 70_000], "larger than 65536 bytes"),
    ] {
        fs::write(folder.path().join("crypt.key"), content).unwrap();
        let errors = Config::from_toml(&text, folder.path()).unwrap_err().to_string();
        assert!(errors.contains("crypt.key") && errors.contains(reason), "{errors}");
    }
    fs::remove_file(folder.path().join("crypt.key")).unwrap();
    let errors = Config::from_toml(&text, folder.path()).unwrap_err().to_string();
    assert!(
        errors.contains("magento.crypt_key_file: cannot read ") && errors.contains("crypt.key: "),
        "{errors}"
    );
}

#[test]
fn the_crypt_key_is_taken_from_env_php() {
    let folder = tempfile::tempdir().unwrap();
    let text = with("[magento]\nenv_php = 'env.php'\n");
    fs::write(folder.path().join("env.php"), "<?php\nreturn ['crypt' => ['key' => 'abc']];\n").unwrap();
    assert!(Config::from_toml(&text, folder.path()).unwrap().magento.crypt_key.equals(b"abc"));
    fs::write(folder.path().join("env.php"), "<?php\nreturn ['crypt' => ['key' => 'hunter2' . X]];\n")
        .unwrap();
    let errors = Config::from_toml(&text, folder.path()).unwrap_err().to_string();
    assert!(errors.contains("is not a plain array of literals") && !errors.contains("hunter2"), "{errors}");
}

#[test]
fn defaults_follow_the_settings_they_depend_on() {
    let store = |text: &str| load(&with(&format!("[store]\n{text}\n")).replace(STORE, "")).unwrap();
    let attached = store("url = 'mysql://u:hunter2@h:3306/d?ssl-mode=REQUIRED'\ntable_prefix = 'm2_'");
    assert!(attached.store.database.is_magentos());
    assert_eq!(attached.upstream.credentials, Credentials::Forward);
    assert_eq!(attached.oauth.readings, [Reading::Magento]);
    assert_eq!(attached.magento.settings, SettingsHome::Store);
    assert_eq!((attached.jobs.expired_tokens, attached.jobs.revocations), (None, None));
    assert_eq!(value(&attached, "store.url").0, "mysql://u@h:3306/d");
    assert_eq!((attached.store.max_connections, attached.store.table_prefix.as_str()), (8, "m2_"));
    assert!(!format!("{attached:?}").contains("hunter2"));
    for own in ["url = 'mariadb://u:p@h/d'\nattached = false", "url = 'postgres://u:p@h/d'"] {
        let own = store(own);
        assert!(!own.store.database.is_magentos());
        assert_eq!(own.upstream.credentials, Credentials::Strip);
        assert_eq!(own.magento.settings, SettingsHome::File);
    }
    let forward = load(&with("[upstream]\nurl = 'http://a'\ncredentials = 'forward'\n")).unwrap();
    assert_eq!(forward.oauth.readings, [Reading::Magento]);
    let everything = load(&with("[scope]\nauthenticate = 'everything'\n")).unwrap();
    assert_eq!(everything.acl.unmatched, Unmatched::Refuse);
}

#[test]
fn the_version_decides_what_is_not_written() {
    let load = |version: &str, credentials: &str| {
        let magento = format!("[magento]\ncrypt_key = 'a b'\nversion = '{version}'\n");
        let upstream = format!("[upstream]\nurl = 'http://a'\ncredentials = '{credentials}'\n");
        load(&with(&magento).replace(UPSTREAM, &upstream)).unwrap()
    };
    let sha256 = [SignatureMethod::HmacSha256];
    let both = [SignatureMethod::HmacSha256, SignatureMethod::HmacSha1];
    let (standard, magentos) = ([Reading::Rfc5849], [Reading::Magento]);
    for (version, keys, methods, readings) in [
        ("2.4.4", AcceptedKeys::All, &both[..], &magentos),
        ("2.4.5", AcceptedKeys::All, &both, &magentos),
        ("2.4.6", AcceptedKeys::All, &sha256, &magentos),
        ("2.4.7", AcceptedKeys::Last, &sha256, &standard),
        ("2.4.8", AcceptedKeys::Last, &sha256, &standard),
    ] {
        let config = load(version, "forward");
        assert_eq!(config.magento.jwt_accept_keys, keys, "{version}");
        assert_eq!(config.oauth.signature_methods, methods, "{version}");
        assert_eq!(config.oauth.readings, readings, "{version}");
    }
    assert_eq!(load("2.4.4", "strip").oauth.readings, [Reading::Rfc5849, Reading::Magento]);
    assert_eq!(load("2.4.8", "strip").oauth.readings, standard);
}

#[test]
fn a_signer_that_is_not_known_is_refused_by_name() {
    for version in ["2.4.7", "2.4.8"] {
        let text = with(&format!("[magento]\ncrypt_key = 'a'\nversion = '{version}'\n"));
        let errors = load(&format!("{text}[oauth]\nreadings = ['rfc5849', 'magento']\n")).unwrap_err();
        assert!(
            errors
                .to_string()
                .contains(&format!("oauth.readings: \"magento\" is how 2.4.4 to 2.4.6 sign, {version} "))
        );
    }
}

#[test]
fn what_is_written_is_told_from_what_is_left_to_the_store() {
    let text = "[magento]\ncrypt_key = 'a b'\nsettings = 'store'\njwt_algorithm = 'HS512'\njwt_admin = false\n\
        customer_token_lifetime = '0s'\naccount_share = 'global'\njwt_accept_keys = [2]\n";
    let magento = load(&with(text)).unwrap().magento;
    assert_eq!(magento.settings, SettingsHome::Store);
    assert_eq!(magento.jwt_accept_keys, AcceptedKeys::At(vec![2]));
    assert!(!magento.jwt_admin);
    let WrittenSettings {
        integration_as_bearer,
        jwt_algorithm,
        customer_token_lifetime,
        admin_token_lifetime,
        account_share,
        allow_insecure,
    } = magento.written;
    assert_eq!((integration_as_bearer, admin_token_lifetime, allow_insecure), (None, None, None));
    assert_eq!(jwt_algorithm, Some(JwtAlgorithm::Hs512));
    assert_eq!(customer_token_lifetime, Some(Duration::ZERO));
    assert_eq!(account_share, Some(AccountShare::Global));
    let variables = [("PORTCULLIS__MAGENTO__JWT_ACCEPT_KEYS", "1, 2")];
    let magento = load_with(&with("[magento]\ncrypt_key = 'a b'\n"), &variables).unwrap().magento;
    assert_eq!(magento.jwt_accept_keys, AcceptedKeys::At(vec![1, 2]));
}

#[test]
fn zero_switches_limits_off() {
    let config = load(&with("[listen]\nmax_body = 0\nworkers = 0\n[cache]\nmax_stale = '0s'")).unwrap();
    assert_eq!((config.listen.max_body, config.listen.workers), (None, None));
    assert_eq!(config.cache.max_stale, Duration::ZERO);
}

#[test]
fn listeners_on_free_ports_do_not_collide() {
    assert!(load(&with("[listen]\nproxy = '127.0.0.1:0'\nadmin = '127.0.0.1:0'\n")).is_ok());
    assert!(load(&with("[listen]\nproxy = '192.0.2.1:9090'\n")).is_ok());
    assert!(load(&with("[listen]\nproxy = '127.0.0.1:9090'\n")).is_err());
    assert!(load(&with("[listen]\nproxy = '[::]:9090'\n")).is_err());
    assert!(load(&with("[listen]\nadmin = '[::1]:9090'\n")).is_ok());
}

#[test]
fn what_weakens_the_gate_is_warned_about() {
    for (section, key) in [
        ("[nonces]\njournal = ''\n", "nonces.journal"),
        ("[acl]\nmode = 'off'\n", "acl.mode"),
        ("[acl]\nmode = 'report'\ntree = 'a'\nroutes = 'b'\n", "acl.mode"),
        ("[listen]\ntrusted_proxies = ['0.0.0.0/0']\n", "listen.trusted_proxies"),
        ("[magento]\ncrypt_key = 'a b'\njwt_accept_keys = [1]\n", "magento.jwt_accept_keys"),
    ] {
        let config = load(&with(section)).unwrap();
        let keys: Vec<_> = config.warnings().iter().map(|warning| warning.key.as_str()).collect();
        assert_eq!(keys, [key], "{section}");
    }
    assert_eq!(load(&with("[nonces]\njournal = ''\n")).unwrap().nonces.journal, None);
}

#[test]
fn the_audit_and_the_jobs_refuse_what_would_not_work() {
    let webhook = "[audit]\nfile = 'audit.log'\n[audit.webhook]\nsecret = '0123456789abcdef01234567'\n";
    let right = load(&with(&format!("{webhook}url = 'https://h/x?key=hunter2'\n"))).unwrap();
    assert!(right.audit.webhook.is_some() && !format!("{right:?}").contains("hunter2"));
    assert!(load(&with(&format!("{webhook}url = 'http://h/x'\nallow_http = true\n"))).is_ok());
    for (section, key) in [
        (format!("{webhook}url = 'http://h/x'\n"), "audit.webhook.url"),
        (format!("{webhook}url = 'https://me@h/x'\n"), "audit.webhook.url"),
        (webhook.replace("file = 'audit.log'", "") + "url = 'https://h/x'\n", "audit.webhook.url"),
        (webhook.replace("01234567'", "'") + "url = 'https://h/x'\n", "audit.webhook.secret"),
        ("[audit]\nfile = 'a'\n[audit.webhook]\nurl = 'https://h/x'\n".into(), "audit.webhook.secret_file"),
        ("[jobs]\nnonces = '10ms'\n".into(), "jobs.nonces"),
        ("[jobs]\ncleanup_period = '10m'\n[oauth]\ntimestamp_window = '1h'\n".into(), "jobs.cleanup_period"),
        ("[cache]\npoll = '0s'\n".into(), "cache.poll"),
    ] {
        let errors = load(&with(&section)).unwrap_err().to_string();
        assert!(errors.contains(key) && !errors.contains("https://"), "{section}: {errors}");
    }
    assert_eq!(load(&with("[jobs]\nnonces = '0s'\n")).unwrap().jobs.nonces, None);
}

#[test]
fn a_collector_is_a_url_and_its_headers_are_a_secret() {
    let tracing = |lines: &str| load(&with(&format!("[tracing]\n{lines}\n")));
    assert!(tracing("ratio = 0.5").unwrap().tracing.is_none(), "nobody to tell");
    for (written, posted) in [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("https://collector.test/", "https://collector.test/v1/traces"),
        ("https://collector.test/otlp/v1/traces", "https://collector.test/otlp/v1/traces"),
    ] {
        let config = tracing(&format!("endpoint = '{written}'")).unwrap();
        assert_eq!(config.tracing.unwrap().endpoint, posted);
    }
    let near = "endpoint = 'http://127.0.0.1:4318'\nheaders = 'Api-Key: hunter2'";
    let right = tracing(near).unwrap();
    assert!(!format!("{right:?} {:?}", right.effective()).contains("hunter2"));
    assert!(right.warnings().is_empty());
    assert_eq!(right.tracing.as_ref().unwrap().header_map()["api-key"], "hunter2");
    let other = tracing(&near.replace("hunter2", "hunter3")).unwrap();
    assert_eq!(right.changes(&other), ["tracing.headers"]);
    assert!(!is_live("tracing.headers") && is_live("tracing.ratio"));
    let far = tracing(&near.replace("127.0.0.1", "collector.test")).unwrap();
    assert_eq!(far.warnings()[0].key, "tracing.headers");
    for (lines, key) in [
        ("endpoint = 'collector:4318'", "tracing.endpoint"),
        ("endpoint = 'grpc://collector:4317'", "tracing.endpoint"),
        ("endpoint = 'https://me:hunter2@collector'", "tracing.endpoint"),
        ("endpoint = 'https://collector/?key=hunter2'", "tracing.endpoint"),
        ("headers = 'Api-Key: hunter2'", "tracing.endpoint"),
        ("endpoint = 'http://[::1]:4318'\nheaders = 'hunter2'", "tracing.headers"),
        ("endpoint = 'http://[::1]:4318'\nratio = 1.5", "tracing.ratio"),
        ("endpoint = 'http://[::1]:4318'\nqueue = 0", "tracing.queue"),
        ("endpoint = 'http://[::1]:4318'\nservice = ''", "tracing.service"),
    ] {
        let errors = tracing(lines).unwrap_err().to_string();
        assert!(errors.contains(&format!("{key}: ")) && !errors.contains("hunter2"), "{lines}: {errors}");
    }
}

#[test]
fn a_listener_speaks_tls_with_whole_pairs_of_files() {
    let tls = |lines: &str| load(&with(&format!("[listen.tls]\n{lines}\n")));
    let pair = "certificate_file = 'a.pem'\nkey_file = 'a.key'";
    let more = "[[listen.tls.certificates]]\ncertificate_file = 'b.pem'\nkey_file = 'b.key'";
    let config = tls(&format!("{pair}\n{more}")).unwrap();
    let names = |files: &CertificateFiles| (files.certificate.clone(), files.key.clone());
    let file = |name: String| Path::new("/etc/portcullis").join(name);
    let named = |name: &str| (file(format!("{name}.pem")), file(format!("{name}.key")));
    let pairs: Vec<_> = config.listen.tls.as_ref().unwrap().certificates.iter().map(names).collect();
    assert_eq!(pairs, [named("a"), named("b")]);
    for file in ["a.pem", "a.key", "b.pem", "b.key"] {
        assert!(config.files().iter().any(|path| path.ends_with(file)), "{file} is not watched");
    }
    assert!(tls(more).unwrap().listen.tls.is_some());
    assert!(tls("").unwrap().listen.tls.is_none());
    for (lines, key) in [
        ("certificate_file = 'a.pem'".to_owned(), "listen.tls.key_file"),
        ("key_file = 'a.key'".to_owned(), "listen.tls.certificate_file"),
        (more.replace("key_file", "kye_file"), "listen.tls.certificates"),
        (more.replace("'b.key'", "5"), "listen.tls.certificates"),
        ("certificates = 'b.pem'".to_owned(), "listen.tls.certificates"),
        (format!("{pair}\nclient_auth = 'required'"), "listen.tls.client_auth"),
        (format!("{pair}\nclient_ca_file = 'ca.pem'"), "listen.tls.client_ca_file"),
        ("strict_sni = true".to_owned(), "listen.tls.strict_sni"),
        (format!("{pair}\nhandshake_timeout = '1ms'"), "listen.tls.handshake_timeout"),
    ] {
        let errors = tls(&lines).unwrap_err().to_string();
        assert!(errors.contains(key) && errors.lines().count() == 1, "{lines}: {errors}");
    }
}

#[test]
fn the_operators_port_leaves_loopback_with_tls_alone() {
    let outside = "[listen]\nadmin = '0.0.0.0:9090'\nproxy = '127.0.0.1:8080'\n";
    assert!(load(&with(outside)).unwrap_err().to_string().contains("listen.admin"));
    let tls = "[listen.admin_tls]\ncertificate_file = 'a.pem'\nkey_file = 'a.key'\n";
    assert!(load(&with(&format!("{outside}{tls}"))).is_ok());
}

#[test]
fn a_proxy_line_needs_somebody_who_may_send_it() {
    let errors = load(&with("[listen]\nproxy_protocol = 'require'\n")).unwrap_err().to_string();
    assert!(errors.contains("listen.proxy_protocol"), "{errors}");
    assert!(load(&with("[listen]\nproxy_protocol = 'require'\ntrusted_proxies = ['10.0.0.1']\n")).is_ok());
}

#[test]
fn the_list_of_settings_is_what_the_sections_read() {
    let config = load(&with("")).unwrap();
    let read: Vec<_> = config.effective().iter().map(|setting| setting.key).collect();
    assert_eq!(read, KEYS);
}

#[test]
fn the_sample_holds_every_setting_with_its_default() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("crypt.key"), "k3y-of-tests\n").unwrap();
    let sample = Config::from_toml(SAMPLE, folder.path()).unwrap();
    let least = Config::from_toml(&with(""), folder.path()).unwrap();
    // What a configuration has to choose for itself has no default to compare with.
    let chosen = [
        "upstream.url",
        "store.url",
        "magento.crypt_key",
        "magento.crypt_key_file",
        "acl.tree",
        "acl.routes",
    ];
    for (sample, least) in sample.effective().iter().zip(least.effective()) {
        assert!(chosen.contains(&sample.key) || sample.value == least.value, "{sample:?} {least:?}");
    }
    let mut section = String::new();
    let mut written = Vec::new();
    for line in SAMPLE.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = format!("{}.", name.trim_end_matches(']'));
        } else if let Some((name, _)) = line.split_once(" = ").filter(|(name, _)| !name.starts_with("# ")) {
            written.push(format!("{section}{}", name.trim_start_matches('#')));
        }
    }
    written.sort_unstable();
    let mut known = KEYS.to_vec();
    known.sort_unstable();
    assert_eq!(written, known);
}

#[test]
fn no_secret_is_printed() {
    let text = with("[magento]\ncrypt_key = 'hunter2-crypt'\n[upstream]\nurl = 'http://a'\nproof = { header = 'X-Proof', secret = 'hunter2-hunter2-x' }")
        .replace(UPSTREAM, "");
    let config = load(&text).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(value(&config, "magento.crypt_key").0, "***");
    assert_eq!(value(&config, "upstream.proof.secret").0, "***");
    assert!(!format!("{:?}", config.upstream.proof.as_ref().unwrap().value()).contains("hunter2"));
    for wrong in [
        "[store]\nurl = 'mysql://u:hunter2@h'",
        "[store]\nurl = 'mysql://u:hunter2/@h/d'",
        "[store]\nurl = 'mysql://u:p?hunter2@h/d'",
        "[store]\nurl = 'postgres://u:p@h/d?hunter2=x'",
        "[store]\nurl = 'sqlite://u:hunter2@h?x'",
        "[store]\nurl = ['hunter2']",
        "[upstream]\nurl = 'http://u:hunter2@h'",
        "[upstream]\nurl = 'http://a'\nproof = { header = 'X-Proof', secret = 'hunter2' }",
        "[magento]\ncrypt_key = ['hunter2']",
        "[magento]\ncrypt_kye = 'hunter2'",
        "[magento]\ncrypt_key = { a = 'hunter2' }",
        "magento = 'hunter2'",
        "[magento]\ncrypt_key = 'hunter2",
        "[magento]\ncrypt_key = 'hunter2' x",
        "[magento]\ncrypt_key = 'a'\ncrypt_key = 'hunter2'",
        "[magento]\ncrypt_key = \"\\hunter2\"",
        "[magento]\ncrypt_key = hunter2",
        "[sessions]\nhandler = 'redis'\nredis_url = 'https://:hunter2@h'",
    ] {
        let errors = load(&with(wrong)).unwrap_err();
        assert!(!format!("{errors} {errors:?}").contains("hunter2"), "{wrong}: {errors}");
    }
}

#[test]
fn names_that_the_merger_keeps_for_itself_are_refused() {
    for text in [
        "[listen]\nproxy = { ___figment_value_id = 1, ___figment_value_value = '127.0.0.1:1' }",
        "___figment_value_id = 'x'",
    ] {
        assert!(load(&with(text)).is_err(), "{text}");
    }
}

fn toml_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        "[^'\\x00-\\x1f]{0,40}".prop_map(|text| format!("'{text}'")),
        "[a-z0-9.:/,\\[\\]-]{0,20}".prop_map(|text| format!("['{text}', 1]")),
        "(http|https|sqlite|mysql)://[a-zA-Z0-9:@/?#.\\[\\]-]{0,20}".prop_map(|text| format!("'{text}'")),
        "[0-9]{1,20}(s|ms|h|KiB|GiB|days|years)".prop_map(|text| format!("'{text}'")),
        Just("{ a = 1 }".to_owned()),
        Just("1979-05-27T07:32:00Z".to_owned()),
        Just("nan".to_owned()),
    ]
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        let _ = load(&text);
    }

    #[test]
    fn any_values_are_answered(settings in prop::collection::vec((prop::sample::select(KEYS), toml_value()), 0..20)) {
        let text: String = settings.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        if let Err(errors) = load(&text) {
            prop_assert!(errors.iter().count() > 0, "a refusal has a reason");
        }
    }

    #[test]
    fn any_variable_is_answered(name in "PORTCULLIS__[A-Z_.a-z]{0,30}", key in prop::sample::select(KEYS), text in "\\PC{0,40}") {
        let known = format!("PORTCULLIS__{}", key.replace('.', "__").to_ascii_uppercase());
        let _ = Config::load(None, [(name, text.clone()), (known, text)].into_iter());
    }
}

#[test]
fn redis_is_off_until_it_is_named() {
    let config = load(&with("")).unwrap();
    assert!(config.redis.is_none());
    let config = load(&with("[redis]\nurl = 'redis://:hunter2@127.0.0.1/1'")).unwrap();
    let redis = config.redis.as_ref().unwrap();
    assert_eq!(
        (redis.home.mode(), redis.prefix.as_str(), redis.max_in_flight),
        ("single", "portcullis:", 1024)
    );
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(value(&config, "redis.url").0, "***");
    let nodes = "[redis]\nmode = 'sentinel'\nnodes = ['a', 'b:26380']\nsentinel_master = 'm'\nprefix = 'x:'";
    let config = load(&with(nodes)).unwrap();
    let Some(RedisHome::Sentinel { nodes, master }) = config.redis.map(|redis| redis.home) else { panic!() };
    assert_eq!((nodes[0].port, nodes[1].port, master.as_str()), (None, Some(26380), "m"));
}

#[test]
fn a_redis_that_makes_no_sense_is_told_by_the_setting() {
    for (lines, expected) in [
        ("[redis]\nurl = 'http://h'", "redis.url: is no URL of Redis"),
        ("[redis]\nurl = 'rediss://h/#insecure'", "redis.url: is no URL of Redis"),
        ("[redis]\nurl = 'redis://h'\nnodes = ['h']", "redis.nodes: has no place beside mode \"single\""),
        ("[redis]\nurl = 'redis://:p@h'\npassword = 'q'", "redis.password: stands in redis.url as well"),
        ("[redis]\nurl = 'redis://h'\ntls = true", "redis.tls: has no place beside mode \"single\""),
        ("[redis]\nmode = 'cluster'", "redis.nodes: is required with this mode"),
        ("[redis]\nmode = 'sentinel'\nnodes = ['h']", "redis.sentinel_master: is required"),
        (
            "[redis]\nmode = 'cluster'\nnodes = ['h']\nurl = 'redis://h'",
            "redis.url: has no place beside this mode",
        ),
        ("[redis]\nurl = 'redis://h'\nprefix = 'a{b}'", "redis.prefix: is no prefix of keys"),
        ("[redis]\nurl = 'redis://h'\ntimeout = '1ms'", "redis.timeout: 1ms is out of range"),
        ("[redis]\nurl = 'redis://h'\nuser = 'u'", "redis.user: has no password"),
        ("[nonces]\nstore = 'redis'", "nonces.store: \"redis\" needs one; write redis.url"),
        ("[nonces]\nstore = 'disk'", "nonces.store: \"disk\" is not known here"),
    ] {
        let errors = load(&with(lines)).unwrap_err().to_string();
        assert!(errors.contains(expected), "{lines}\n{errors}");
        assert!(!errors.contains("p@h"), "{errors}");
    }
}
