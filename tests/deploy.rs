//! What is under `deploy/` against the program: figures that a running gate shows, settings that exist, commands that parse,
//! runbooks that name what is there.
//!
//! Nothing here needs a tool; `tests/deploy/run` has each file read by the one that will read it. A new alert needs its rule, its
//! page and its two tests under `deploy/`, and nothing in this file.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop; clippy exempts only the functions that are marked as tests"
)]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use portcullis::{
    clock::Clock,
    config::{Config, is_live},
};
use support::{
    gate::{Gate, Setup},
    process,
    signing::Credentials,
    upstream::Upstream,
    wire::{exchange, request},
};

const ROUTE: &str = "/rest/V1/modules";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below a folder, with its text.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(path.to_str().unwrap()));
        } else if let Ok(text) = fs::read_to_string(&path) {
            found.push((path, text));
        }
    }
    assert!(!found.is_empty(), "{folder} is empty");
    found
}

/// The names of files in a folder, less an ending.
fn stems(folder: &str, ending: &str) -> BTreeSet<String> {
    let names =
        files(folder).into_iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned());
    names.filter_map(|name| name.strip_suffix(ending).map(Into::into)).collect()
}

/// What follows each occurrence of `mark`, up to the first character that does not belong to it.
fn words<'a>(text: &'a str, mark: &str, belongs: impl Fn(char) -> bool) -> Vec<&'a str> {
    let ends = |after: &'a str| after.find(|character| !belongs(character)).unwrap_or(after.len());
    text.split(mark).skip(1).map(|after| &after[..ends(after)]).collect()
}

fn in_name(character: char) -> bool {
    character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_'
}

/// The names after `portcullis_`; `a_(b|c)_d` as `grep -E` reads it names `a_b_d` and `a_c_d`.
fn figures(text: &str) -> BTreeSet<String> {
    let known = |character| in_name(character) || "(|)".contains(character);
    let mut found = BTreeSet::new();
    for word in words(text, "portcullis_", known) {
        match word.split_once('(') {
            Some((before, after)) if after.contains('|') => {
                let (choices, after) = after.split_once(')').unwrap_or_else(|| panic!("{word}"));
                let after = after.split(['(', ')', '|']).next().unwrap();
                found.extend(choices.split('|').map(|choice| format!("portcullis_{before}{choice}{after}")));
            }
            _ => drop(found.insert(format!("portcullis_{}", word.split(['(', ')', '|']).next().unwrap()))),
        }
    }
    found
}

/// A gate that was asked for something, signed to, reloaded, and that ran its jobs.
fn busy_gate(upstream: &Upstream) -> Gate {
    let every_second: String =
        ["expired_tokens", "nonces", "handshakes"].iter().map(|job| format!("{job} = \"1s\"\n")).collect();
    let setup = || {
        Setup::before(upstream.address)
            .with("audit", "file = \"audit.log\"")
            .with("jobs", &every_second)
            .on_system_time()
    };
    let gate = setup().start();
    let signed = Credentials::full().authorization(ROUTE, Clock::system().now().seconds(), "nonce-1");
    let ask = |authorization: &str| {
        let headers = [("Host", "shop.test"), ("Authorization", authorization)];
        exchange(gate.proxy, &request("GET", ROUTE, &headers, b"")).status()
    };
    assert_eq!((ask(&signed), ask("Bearer nobody")), (200, 401));
    gate.reload(&setup()).unwrap();
    gate
}

/// Names of samples that a running gate shows, and of families whose first sample is still to come.
struct Exposed {
    samples: BTreeSet<String>,
    to_come: BTreeSet<String>,
}

impl Exposed {
    fn scrape() -> Self {
        let upstream = Upstream::start();
        let gate = busy_gate(&upstream);
        let began = Instant::now();
        let page = loop {
            let page = exchange(gate.admin, &request("GET", "/metrics", &[], b"")).text();
            let has_run = page.contains("portcullis_job_last_success_timestamp_seconds{");
            if has_run || began.elapsed() > Duration::from_secs(60) {
                assert!(has_run, "no job ran in a minute:\n{page}");
                break page;
            }
            thread::sleep(Duration::from_millis(100));
        };
        let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let types: BTreeMap<&str, &str> = types.collect();
        assert!(types.len() > 30, "{page}");
        let samples = types.iter().flat_map(|(name, kind)| {
            let endings: &[&str] = match *kind {
                "counter" => &["_total"],
                "gauge" => &[""],
                "histogram" => &["_bucket", "_count", "_sum"],
                "info" => &["_info"],
                other => panic!("{name} is a {other}"),
            };
            endings.iter().map(move |ending| format!("{name}{ending}"))
        });
        Self { samples: samples.collect(), to_come: Self::without_sample(&types) }
    }

    /// A family without a sample is not on the page (prometheus-client leaves it out); its registration is in the source.
    fn without_sample(types: &BTreeMap<&str, &str>) -> BTreeSet<String> {
        let sources = files("src/metrics");
        let registered = sources.iter().flat_map(|(_, text)| text.split(".register(").skip(1));
        let names = registered.filter_map(|after| after.trim_start().strip_prefix('"')?.split('"').next());
        let names: BTreeSet<_> = names.map(|name| format!("portcullis_{name}")).collect();
        assert!(names.contains("portcullis_auth_decisions"), "registrations are not found where they were");
        names.into_iter().filter(|name| !types.contains_key(name.as_str())).collect()
    }

    fn has(&self, name: &str) -> bool {
        let family = ["_total", "_bucket", "_count", "_sum", "_info"]
            .iter()
            .find_map(|ending| name.strip_suffix(ending))
            .unwrap_or(name);
        self.samples.contains(name) || self.to_come.contains(name) || self.to_come.contains(family)
    }

    /// Pages grep for the beginnings of names too.
    fn has_beginning(&self, beginning: &str) -> bool {
        self.has(beginning)
            || self.samples.iter().chain(&self.to_come).any(|name| name.starts_with(beginning))
    }
}

#[test]
fn figures_in_rules_dashboard_and_runbooks_are_those_of_a_running_gate() {
    let exposed = Exposed::scrape();
    assert!(exposed.has("portcullis_auth_decisions_total") && !exposed.has("portcullis_auth_decisions"));
    assert!(exposed.has("portcullis_auth_duration_seconds_bucket") && !exposed.has("portcullis_auth"));
    for folder in ["deploy/prometheus", "deploy/grafana"] {
        for (path, text) in files(folder) {
            for name in figures(&text) {
                assert!(exposed.has(&name), "{}: no gate shows {name}", path.display());
            }
        }
    }
    for (path, text) in
        files("deploy/runbooks").into_iter().chain([("README".into(), read("deploy/README.md"))])
    {
        for name in figures(&text) {
            assert!(exposed.has_beginning(&name), "{}: no gate shows {name}", path.display());
        }
    }
}

#[test]
fn names_with_choices_are_read_as_grep_reads_them() {
    let found = figures("grep -E '^portcullis_(a|b)_c' portcullis_d_total{x} portcullis_e(");
    assert_eq!(
        found.iter().map(String::as_str).collect::<Vec<_>>(),
        ["portcullis_a_c", "portcullis_b_c", "portcullis_d_total", "portcullis_e"]
    );
}

#[test]
fn recorded_series_are_recorded() {
    let recording = read("deploy/prometheus/recording.rules.yml");
    let in_record = |character| in_name(character) || character == ':';
    let recorded: BTreeSet<_> = words(&recording, "- record: ", in_record).into_iter().collect();
    for (path, text) in files("deploy/prometheus").into_iter().chain(files("deploy/grafana")) {
        for name in words(&text, "portcullis:", in_record).into_iter().filter(|name| !name.is_empty()) {
            let name = format!("portcullis:{name}");
            assert!(recorded.contains(name.as_str()), "{}: nobody records {name}", path.display());
        }
    }
}

/// The rules of the alerts, by name.
fn alerts() -> BTreeMap<String, String> {
    let text = read("deploy/prometheus/alerts.rules.yml");
    let rules = text.split("- alert: ").skip(1).map(|rule| rule.split_once('\n').unwrap());
    rules.map(|(name, rule)| (name.trim().to_owned(), rule.to_owned())).collect()
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let alerts = alerts();
    assert!(!alerts.is_empty());
    let pages = stems("deploy/runbooks", ".md");
    assert_eq!(alerts.keys().cloned().collect::<BTreeSet<_>>(), pages);
    for (name, rule) in &alerts {
        assert!(
            rule.contains(&format!("runbook_url: deploy/runbooks/{name}.md\n")),
            "{name} points elsewhere"
        );
        for needed in ["severity: ", "summary: ", "description: "] {
            assert!(rule.contains(needed), "{name} has no {needed}");
        }
        let page = read(format!("deploy/runbooks/{name}.md"));
        assert!(page.starts_with(&format!("# {name}\n")), "{name}'s page has another title");
        let headings: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(
            headings,
            ["What it means", "What clients see", "Look", "Fix", "Open or closed"],
            "{name}"
        );
    }
}

#[test]
fn every_alert_is_tested_where_it_fires_and_where_it_does_not() {
    let text: String = files("deploy/prometheus/tests").into_iter().map(|(_, text)| text).collect();
    for name in alerts().keys() {
        let mark = format!("alertname: {name}\n");
        let cases = text.split(&mark).skip(1);
        let expected = cases.map(|case| case.split_once("exp_alerts:").unwrap().1.starts_with(" []"));
        let (silent, firing): (Vec<bool>, Vec<bool>) = expected.partition(|is_silent| *is_silent);
        assert!(
            !silent.is_empty() && !firing.is_empty(),
            "{name}: {} silent, {} firing",
            silent.len(),
            firing.len()
        );
    }
}

/// A configuration under `deploy/`, with a key in place of the mounted one, and a store where it leaves that to the environment.
fn shipped(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("crypt.key");
    fs::write(&key, "0123456789abcdef0123456789abcdef").unwrap();
    let given = text.lines().map(|line| match line.trim().split_once(" = ") {
        Some(("crypt_key_file", _)) => format!("crypt_key_file = \"{}\"\n", key.display()),
        _ => format!("{line}\n"),
    });
    let mut given: String = given.collect();
    if !given.contains("[store]") {
        given.push_str("[store]\nurl = \"sqlite::memory:\"\n");
    }
    Config::from_toml(&given, folder.path()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn setting(config: &Config, key: &str) -> String {
    config
        .effective()
        .iter()
        .find(|setting| setting.key == key)
        .unwrap_or_else(|| panic!("no {key}"))
        .value
        .clone()
}

/// The configuration in the manifest: the lines under its name, less their indentation.
fn manifest_config() -> String {
    let text = read("deploy/kubernetes/configmap.yaml");
    let (_, after) = text.split_once("portcullis.toml: |\n").unwrap();
    let lines = after.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    lines.map(|line| format!("{}\n", line.trim_start())).collect()
}

#[test]
fn shipped_configurations_can_be_used() {
    for text in
        [read("deploy/docker/portcullis.toml"), read("deploy/systemd/portcullis.toml"), manifest_config()]
    {
        let config = shipped(&text);
        assert!(config.warnings().is_empty(), "{:?}", config.warnings());
        assert_eq!(setting(&config, "acl.mode"), "enforce");
    }
}

#[test]
fn variables_name_settings() {
    let config = shipped(&read("deploy/docker/portcullis.toml"));
    let known: BTreeSet<_> = config.effective().iter().map(|setting| setting.key).collect();
    // The page says itself whether this version shares nonces.
    let shares_nonces = !read("README.md").contains("| Shared nonces (Redis) |");
    for (path, text) in files("deploy") {
        let in_variable = |character: char| character.is_ascii_uppercase() || character == '_';
        for name in words(&text, "PORTCULLIS__", in_variable) {
            let key = name.to_lowercase().replace("__", ".");
            let is_known = known.contains(key.as_str()) || name.is_empty();
            let is_awaited = key == "redis.url" && !shares_nonces;
            assert!(is_known || is_awaited, "{}: PORTCULLIS__{name} is no setting", path.display());
        }
    }
}

#[test]
fn runbooks_name_settings_reasons_and_events_that_exist() {
    let config = shipped(&read("deploy/docker/portcullis.toml"));
    let known: BTreeSet<_> = config.effective().iter().map(|setting| setting.key).collect();
    let sections: BTreeSet<_> = known.iter().filter_map(|key| key.split('.').next()).collect();
    let readme = read("README.md");
    let source: String = files("src").into_iter().map(|(_, text)| text).collect();
    for (path, page) in files("deploy/runbooks") {
        let path = path.display();
        for code in page.split('`').skip(1).step_by(2) {
            let code = code.split(" = ").next().unwrap();
            let is_key = code.chars().all(|character| in_name(character) || character == '.');
            let is_ours = code.split_once('.').is_some_and(|(section, _)| sections.contains(section));
            assert!(!(is_key && is_ours) || known.contains(code), "{path}: {code} is no setting");
        }
        let quoted = |mark: &str| words(&page, mark, |character| character != '"');
        for reason in quoted(".reason == \"") {
            assert!(readme.contains(&format!("| `{reason}` |")), "{path}: {reason} is no reason");
        }
        for message in quoted(".message == \"") {
            assert!(source.contains(&format!("\"{message}\"")), "{path}: nobody logs {message:?}");
        }
    }
}

#[test]
fn runbooks_know_which_settings_need_a_restart() {
    let keys = |item: &str| -> Vec<String> {
        let codes = item.split('`').skip(1).step_by(2).map(|code| code.split(" = ").next().unwrap());
        let is_key = |code: &&str| code.contains('.') && code.chars().all(|it| in_name(it) || it == '.');
        codes.filter(is_key).map(Into::into).collect()
    };
    let (mut live, mut bound) = (0, 0);
    for (path, page) in files("deploy/runbooks") {
        for item in page.replace("\n  ", " ").split("\n- ") {
            let (path, keys) = (path.display(), keys(item));
            if item.contains("without a restart") {
                assert!(keys.iter().any(|key| is_live(key)), "{path}: {keys:?} need a restart");
                live += 1;
            }
            if item.contains("(a restart)") {
                assert!(keys.iter().any(|key| !is_live(key)), "{path}: {keys:?} need no restart");
                bound += 1;
            }
        }
    }
    assert!(live >= 3 && bound >= 3, "{live} and {bound}");
}

#[test]
fn thresholds_of_room_are_four_fifths_of_the_defaults() {
    let config = shipped(&read("deploy/docker/portcullis.toml"));
    let alerts = alerts();
    for (alert, figure, key) in [
        ("PortcullisNoncesNearlyFull", "portcullis_nonce_store_entries", "nonces.max"),
        ("PortcullisConnectionsNearlyFull", "portcullis_connections", "listen.max_connections"),
    ] {
        let rule = &alerts[alert];
        let (_, after) = rule.split_once(&format!("{figure} > ")).unwrap();
        let threshold: f64 = after.split_whitespace().next().unwrap().parse().unwrap();
        let room: f64 = setting(&config, key).parse().unwrap();
        assert!((threshold - room * 0.8).abs() < 1.0, "{alert}: {threshold} of {room}");
    }
}

/// A version as numbers, so that 1.100 comes after 1.95.
fn version(text: &str) -> Vec<u32> {
    text.split('.').map(|part| part.parse().unwrap_or_else(|_| panic!("{text} is no version"))).collect()
}

#[test]
fn the_image_is_built_with_a_rust_that_is_new_enough() {
    let manifest = read("Cargo.toml");
    let minimum = words(&manifest, "rust-version = \"", |character| character != '"')[0];
    let dockerfile = read("deploy/docker/Dockerfile");
    let used = words(&dockerfile, "FROM rust:", |character| character != '-')[0];
    assert!(version(used) >= version(minimum), "rust:{used}, and Cargo.toml asks for {minimum}");
}

#[test]
fn the_image_is_built_from_everything_that_the_build_reads() {
    let dockerfile = read("deploy/docker/Dockerfile");
    let copies = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY "));
    let copies = copies.filter(|line| !line.starts_with("--from")).flat_map(|line| {
        let (sources, _) = line.rsplit_once(' ').unwrap();
        sources.split(' ').collect::<Vec<_>>()
    });
    let copied: BTreeSet<_> = copies.collect();
    let ignore = read(".dockerignore");
    let let_in: BTreeSet<_> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert_eq!(copied, let_in, "COPY and .dockerignore differ");
    assert!(ignore.lines().any(|line| line == "*"), "everything else is let in too");

    let is_copied = |path: &Path| {
        let path = path.strip_prefix(root()).unwrap();
        copied.iter().any(|copied| path.starts_with(copied))
    };
    let manifest = read("Cargo.toml");
    for path in words(&manifest, "\npath = \"", |character| character != '"') {
        assert!(is_copied(&root().join(path)), "Cargo.toml names {path}");
    }
    let is_test = |file: &Path| {
        let name = file.strip_prefix(root()).unwrap().to_str().unwrap();
        name.contains("/tests/") || name.ends_with("/tests.rs") || name.ends_with("/testing.rs")
    };
    for (file, text) in files("src").into_iter().filter(|(file, _)| !is_test(file)) {
        let production = text.split("#[cfg(test)]").next().unwrap();
        for included in words(production, "include_str!(\"", |character| character != '"') {
            let path = file.parent().unwrap().join(included).canonicalize().unwrap();
            assert!(is_copied(&path), "{} includes {included}", file.display());
        }
    }
}

/// The values of a directive, in the order of the unit.
fn directives<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

#[test]
fn health_checks_call_the_program_without_a_shell() {
    let dockerfile = read("deploy/docker/Dockerfile");
    let exec = words(&dockerfile, "\n    CMD [", |character| character != ']')[0].replace('"', "");
    let compose = read("deploy/compose/compose.yaml");
    let called = words(&compose, "test: [CMD, /usr/local/bin/portcullis, ", |character| character != ']')[0];
    assert_eq!(exec, format!("/usr/local/bin/portcullis, {called}"), "the image and Compose differ");
    let mut arguments = called.split(", ");
    let help = process::run(&[arguments.next().unwrap(), "--help"]);
    assert_eq!(help.code, Some(0), "{}", help.stderr);
    for flag in arguments.filter(|argument| argument.starts_with('-')) {
        assert!(help.stdout.contains(flag), "no {flag}:\n{}", help.stdout);
    }
}

#[test]
fn units_call_commands_with_flags_that_exist() {
    for unit in ["portcullis.service", "portcullis-migrate.service"] {
        let text = read(format!("deploy/systemd/{unit}"));
        let [start] = directives(&text, "ExecStart")[..] else { panic!("{unit} starts one thing") };
        let mut arguments = start.split(' ');
        assert_eq!(arguments.next(), Some("/usr/bin/portcullis"));
        let command = arguments.next().unwrap();
        let help = process::run(&[command, "--help"]);
        assert_eq!(help.code, Some(0), "{}", help.stderr);
        for flag in arguments.filter(|argument| argument.starts_with('-')) {
            assert!(help.stdout.contains(&format!("{flag} ")), "{command} has no {flag}:\n{}", help.stdout);
        }
    }
}

#[test]
fn the_unit_gives_what_its_configuration_asks_for() {
    let unit = read("deploy/systemd/portcullis.service");
    let config = shipped(&read("deploy/systemd/portcullis.toml"));
    let seconds = |text: &str| text.strip_suffix('s').unwrap().parse::<u64>().unwrap();
    let stop = seconds(directives(&unit, "TimeoutStopSec")[0]);
    let drain = ["listen.drain_delay", "listen.drain_timeout"].map(|key| seconds(&setting(&config, key)));
    assert!(stop >= drain[0] + drain[1] + 5, "killed before it has drained");
    assert_eq!(directives(&unit, "RestartPreventExitStatus"), ["78"]);
    assert_eq!(directives(&unit, "Type"), ["notify"], "nobody answers WatchdogSec otherwise");
    let socket = read("deploy/systemd/portcullis.socket");
    assert_eq!(directives(&socket, "FileDescriptorName"), ["proxy"]);
    assert_eq!(directives(&socket, "ListenStream"), [setting(&config, "listen.proxy").trim_matches('"')]);

    let state = format!("/var/lib/{}/", directives(&unit, "StateDirectory")[0]);
    let logs = format!("/var/log/{}/", directives(&unit, "LogsDirectory")[0]);
    assert!(setting(&config, "store.url").starts_with(&format!("sqlite://{state}")));
    assert!(setting(&config, "nonces.journal").starts_with(&state));
    assert!(setting(&config, "audit.file").starts_with(&logs));

    let credentials = directives(&unit, "LoadCredential");
    let credentials = credentials.iter().map(|credential| credential.split(':').next().unwrap());
    for credential in credentials {
        assert!(unit.contains(&format!("=%d/{credential}\n")), "nobody reads {credential}");
    }
    let connections: u64 = setting(&config, "listen.max_connections").parse().unwrap();
    let descriptors: u64 = directives(&unit, "LimitNOFILE")[0].parse().unwrap();
    assert!(descriptors >= 2 * connections, "descriptors run out before connections do");
}

#[test]
fn links_of_the_pages_lead_somewhere() {
    for (path, text) in
        files("deploy").into_iter().filter(|(path, _)| path.extension().is_some_and(|it| it == "md"))
    {
        for link in words(&text, "](", |character| character != ')' && character != '#') {
            if !link.contains("://") && !link.is_empty() {
                let target = path.parent().unwrap().join(link);
                assert!(target.exists(), "{}: no {link}", path.display());
            }
        }
    }
}
