//! The README against the program: its tables name what the code has, its first steps work as printed.
//!
//! Words of reasons and causes are read from the source, so that a new one fails here until the page explains it. What the
//! page says about them is for people to judge.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "as in any test; clippy exempts only the functions that are marked as tests, not what they call"
)]

#[path = "support/wire.rs"]
#[allow(dead_code, reason = "every test binary uses another part")]
mod wire;

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use portcullis::{config::Config, server::App, store::sql::SqlStore};
use tempfile::TempDir;

const README: &str = include_str!("../README.md");

fn source(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path)).unwrap()
}

/// What stands under a heading, up to the next heading of any level.
fn section(heading: &str) -> &'static str {
    let (_, after) = README.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let end = after.find("\n## ").into_iter().chain(after.find("\n### ")).min();
    &after[..end.unwrap_or(after.len())]
}

/// The first cells of a section's tables, where they are one word of code.
fn first_cells(heading: &str) -> Vec<&'static str> {
    let cell = |line: &'static str| line.strip_prefix("| `")?.split_once("` |").map(|(word, _)| word);
    section(heading).lines().filter_map(cell).collect()
}

/// The first block of code of a language.
fn block(heading: &str, language: &str) -> &'static str {
    let (_, after) = section(heading).split_once(&format!("```{language}\n")).unwrap();
    after.split_once("```").unwrap().0
}

/// The words that code quotes: lower case, digits, underscores.
fn quoted(code: &str) -> BTreeSet<String> {
    let is_word = |text: &&str| {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        !text.is_empty() && text.bytes().all(known)
    };
    code.lines().flat_map(|line| line.split('"').skip(1).step_by(2)).filter(is_word).map(Into::into).collect()
}

/// The bodies of every `fn reason` of a file.
fn reasons(path: &str) -> BTreeSet<String> {
    let code = source(path);
    let bodies = code.split("pub const fn reason(").skip(1);
    bodies.flat_map(|body| quoted(body.split("\n    }\n").next().unwrap())).collect()
}

/// The words of a file, tests left out, that tell why a credential did not count.
fn causes(path: &str) -> BTreeSet<String> {
    let code = source(path);
    let code = code.split("#[cfg(test)]").next().unwrap();
    quoted(code).into_iter().filter(|word| word.contains('_')).collect()
}

fn assert_same(documented: &[&str], known: &BTreeSet<String>) {
    let on_page: BTreeSet<String> = documented.iter().map(ToString::to_string).collect();
    assert_eq!(on_page.len(), documented.len(), "a line stands there twice");
    let missing: Vec<_> = known.difference(&on_page).collect();
    let invented: Vec<_> = on_page.difference(known).collect();
    assert!(missing.is_empty() && invented.is_empty(), "missing: {missing:?}, not in the code: {invented:?}");
}

/// The folder of the quick start, as its commands make it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/magento");
    for name in ["acl.json", "webapi_routes.json"] {
        fs::copy(files.join(name), folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("crypt.key"), "0123456789abcdef0123456789abcdef").unwrap();
    folder
}

fn smallest(folder: &TempDir) -> Config {
    Config::from_toml(block("## Quick start", "toml"), folder.path()).unwrap()
}

#[tokio::test]
async fn the_smallest_configuration_is_enough_to_start() {
    let folder = folder();
    let config = smallest(&folder);
    SqlStore::migrate(&config.store.database.url()).await.unwrap();
    App::examine(&config).await.unwrap();
}

#[test]
fn the_proof_shown_to_upstreams_is_accepted() {
    let folder = folder();
    fs::write(folder.path().join("proof.secret"), "sixteen-or-more-visible\n").unwrap();
    let proof = block("## Reading the headers in PHP, Node and Go", "toml");
    let text = format!("{}\n{proof}", block("## Quick start", "toml"));
    let config = Config::from_toml(&text, folder.path()).unwrap();
    assert!(config.upstream.proof.is_some());
}

#[tokio::test]
async fn the_declared_integration_shown_is_accepted() {
    let folder = folder();
    fs::write(folder.path().join("integrations.json"), "[]").unwrap();
    let declared = block("### Integrations from configuration", "toml");
    let text = format!("{}\n{declared}", block("## Quick start", "toml"));
    let config = Config::from_toml(&text, folder.path()).unwrap();
    assert_eq!(config.integrations.declared.len(), 1);
    SqlStore::migrate(&config.store.database.url()).await.unwrap();
    App::examine(&config).await.unwrap();
}

#[test]
fn the_rate_limits_shown_are_accepted() {
    let text = format!("{}\n{}", block("## Quick start", "toml"), block("## Rate limits", "toml"));
    let config = Config::from_toml(&text, folder().path()).unwrap();
    assert_eq!((config.limits.rules.len(), config.limits.classes.len()), (4, 1));
}

#[test]
fn the_table_of_settings_names_every_setting_in_order() {
    let folder = folder();
    let known: Vec<_> = smallest(&folder).effective().iter().map(|setting| setting.key).collect();
    assert_eq!(first_cells("## Configuration"), known);
}

#[test]
fn the_settings_that_a_reload_takes_up_are_listed() {
    let (_, list) = section("### Reload").split_once("These can be taken up").unwrap();
    let (list, _) = list.split_once("\n- ").unwrap();
    let listed: Vec<_> = list.split('`').skip(1).step_by(2).collect();
    let folder = folder();
    for key in smallest(&folder).effective().iter().map(|setting| setting.key) {
        let is_listed = listed.iter().any(|name| key == *name || key.starts_with(&format!("{name}.")));
        assert_eq!(is_listed, portcullis::config::is_live(key), "{key}");
    }
}

#[test]
fn every_reason_is_explained_and_none_invented() {
    let mut known = reasons("auth/rejection.rs");
    known.extend(reasons("auth/oauth1/problem.rs"));
    known.extend(reasons("token/handshake/problem.rs"));
    assert!(known.len() > 20, "the source was not read");
    assert_same(&first_cells("### Reasons"), &known);
}

#[test]
fn every_cause_is_explained_and_none_invented() {
    let mut known = reasons("auth/jwt/refusal.rs");
    for path in ["store/judge.rs", "store/facts.rs", "proxy/authenticate.rs", "proxy/authorize.rs"] {
        known.extend(causes(path));
    }
    assert!(known.len() > 20, "the source was not read");
    assert_same(&first_cells("### Causes"), &known);
}

/// The alerts of the rules, each with its severities in the order of the file.
fn alerts() -> Vec<(String, String)> {
    let rules =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus/alerts.rules.yml"));
    let rules = rules.unwrap();
    let mut alerts: Vec<(String, String)> = Vec::new();
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap();
        let severity = rule.split_once("severity: ").unwrap().1.lines().next().unwrap();
        match alerts.iter_mut().find(|(known, _)| known == name) {
            Some((_, severities)) => *severities = format!("{severities}, {severity}"),
            None => alerts.push((name.to_owned(), severity.to_owned())),
        }
    }
    alerts.sort();
    alerts
}

#[test]
fn every_alert_is_explained_with_its_severity_and_runbook() {
    let rows: Vec<_> = section("### Alerts").lines().filter(|line| line.starts_with("| [")).collect();
    let known = alerts();
    assert!(known.len() > 20, "the rules were not read");
    assert_eq!(rows.len(), known.len());
    for (row, (name, severity)) in rows.iter().zip(&known) {
        let expected = format!("| [{name}](deploy/runbooks/{name}.md) | {severity} | ");
        assert!(row.starts_with(&expected) && row.len() > expected.len() + 10, "{row}");
    }
}

/// What a heading is called in a link.
fn anchor(heading: &str) -> String {
    let kept = |character: &char| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_');
    heading
        .to_lowercase()
        .chars()
        .filter(kept)
        .map(|character| if character == ' ' { '-' } else { character })
        .collect()
}

#[test]
fn links_within_the_page_lead_somewhere() {
    let headings = README.lines().filter_map(|line| line.strip_prefix('#'));
    let anchors: BTreeSet<_> = headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect();
    let links = README.split("](#").skip(1).map(|after| after.split(')').next().unwrap());
    let lost: Vec<_> = links.filter(|link| !anchors.contains(*link)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

/// The demo, killed when dropped; its temporary folder lies in `folder`.
struct Demo {
    child: Child,
    _folder: TempDir,
}

impl Demo {
    fn start() -> (Self, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["demo", "--port", "0", "--admin-port", "0"])
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let demo = Self { child, _folder: folder };
        let is_welcome = |line: &String| !line.starts_with("Every request is one JSON line");
        (demo, output.lines().map(Result::unwrap).take_while(is_welcome).collect())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends what a printed `curl -si [-X POST] [-H 'name: value'] [-d 'body'] URL` would send.
fn curl(line: &str) -> wire::Message {
    let words = words(line);
    let after = |option: &str| {
        let places = words.iter().enumerate().filter(move |(_, word)| *word == option);
        places.map(|(at, _)| words[at + 1].as_str()).collect::<Vec<_>>()
    };
    let headers: Vec<_> = after("-H").into_iter().map(|header| header.split_once(": ").unwrap()).collect();
    let body = after("-d").pop().unwrap_or_default();
    let method = after("-X").pop().unwrap_or(if body.is_empty() { "GET" } else { "POST" });
    let url = words.iter().find(|word| word.starts_with("http://")).unwrap();
    send(method, url, &headers, body)
}

/// The words of a line as a shell reads them, without its expansions.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for character in line.chars() {
        match (quote, character) {
            (None, ' ') => words.push(std::mem::take(&mut word)),
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            (_, other) => word.push(other),
        }
    }
    words.push(word);
    words
}

fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> wire::Message {
    let (host, target) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let headers: Vec<_> = [("Host", host)].into_iter().chain(headers.iter().copied()).collect();
    let request = wire::request(method, &format!("/{target}"), &headers, body.as_bytes());
    wire::exchange(host.parse().unwrap(), &request)
}

/// The lines of the section about issuing work against the demo, and answer with the status that stands behind them.
#[test]
fn the_lines_about_issuing_a_token_work_against_the_demo() {
    let (_demo, lines) = Demo::start();
    let first = lines.first().unwrap();
    let proxy = first.split_once("http://").unwrap().1.split_once(',').unwrap().0;
    let mut token = String::new();
    let mut count = 0;
    for line in block("## Issuing a token", "sh").lines().filter(|line| line.contains("curl ")) {
        let line = line.replace("127.0.0.1:8080", proxy).replace("$token", &token);
        let (command, status) = line.split_once('#').unwrap();
        let command = command.split('|').next().unwrap();
        let (assigned, command) = command.split_once("curl ").unwrap();
        let answer = curl(command);
        assert_eq!(answer.status().to_string(), status.trim(), "{line}: {}", answer.text());
        if assigned.starts_with("token=") {
            token = answer.text().trim_matches('"').to_owned();
        }
        count += 1;
    }
    assert_eq!(count, 4, "the section has changed");
}

#[test]
fn every_line_of_the_demo_answers_as_its_heading_promises() {
    let (_demo, lines) = Demo::start();
    let plain = lines.iter().filter(|line| line.starts_with("curl ") && line.contains("http://"));
    let statuses: Vec<_> = plain.map(|line| curl(line).status()).collect();
    assert_eq!(statuses, [200, 401, 200, 401, 200, 200, 200, 200, 200], "{lines:#?}");

    let exported = lines.iter().filter_map(|line| line.strip_prefix("export "));
    let variables = exported.flat_map(|line| line.split(' ')).filter_map(|pair| pair.split_once('='));
    let url = lines.iter().find_map(|line| line.strip_prefix("url=")).unwrap().trim_matches('\'');
    let mut sign = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let signed = sign.args(["sign", url]).envs(variables).output().unwrap();
    let signed = String::from_utf8(signed.stdout).unwrap();
    let header = signed.trim_end().split_once(": ").unwrap();
    let send = || send("GET", url, &[header], "").status();
    assert_eq!([send(), send()], [200, 401], "the second one is a replay");
}
