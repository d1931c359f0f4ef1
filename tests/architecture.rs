//! The layers of the source tree, read from its `use` lines.
//!
//! A module imports only from layers below its own; modules of one layer do not know each other; `auth` names no
//! runtime, socket, database or log; no production file passes 400 lines.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on must stop, and counts are for people to read"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Bottom up. A module may use any module of an earlier line.
const LAYERS: [&[&str]; 9] = [
    &["auth"],
    &["clock", "config", "metrics"],
    &["store", "reply", "logging"],
    &["service"],
    &["proxy", "token", "admin", "jobs", "import"],
    &["explain"],
    &["server"],
    &["cli"],
    &["main", "lib"],
];

const MAX_LINES: usize = 400;

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 20, "the tree was not found");
    found
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// A file's path below `src`.
fn module_path(path: &Path) -> PathBuf {
    path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap().to_owned()
}

/// The top-level module that a file belongs to.
fn module_of(path: &Path) -> String {
    let path = module_path(path);
    let first = path.iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The text before the tests, without comments; nothing of a file that is tests.
fn production(path: &Path, text: &str) -> String {
    if path.file_name().is_some_and(|name| name == "tests.rs")
        || module_path(path).iter().any(|part| part == "tests")
    {
        return String::new();
    }
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    text[..end].lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Every top-level module named after `crate::`, alone or in a braced list.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            found.extend(braced(list));
        } else {
            found.push(word(rest));
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// The first word of each item of a braced list, nested lists skipped.
fn braced(list: &str) -> Vec<String> {
    let (mut depth, mut item, mut items) = (0, String::new(), Vec::new());
    for character in list.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(std::mem::take(&mut item)),
            _ if depth == 0 => item.push(character),
            _ => {}
        }
    }
    items.push(item);
    items.iter().map(|item| word(item.trim())).collect()
}

fn word(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

#[test]
fn modules_look_only_down() {
    for (path, text) in sources() {
        let module = module_of(&path);
        let own = layer(&module).unwrap_or_else(|| panic!("{module} has no layer"));
        for used in imports(&production(&path, &text)) {
            let Some(other) = layer(&used) else { continue };

            assert!(
                used == module || other < own,
                "{} uses {used}, which is not below {module}",
                path.display()
            );
        }
    }
}

#[test]
fn rules_name_no_runtime_socket_database_or_log() {
    for (path, text) in sources() {
        if module_of(&path) != "auth" {
            continue;
        }
        let text = production(&path, &text);
        for banned in
            ["tokio", "sqlx", "hyper", "tracing", "std::net::Tcp", "std::fs", "SystemTime", "Instant"]
        {
            assert!(!text.contains(banned), "{} names {banned}", path.display());
        }
    }
}

#[test]
fn no_production_file_outgrows_its_idea() {
    for (path, text) in sources() {
        let lines = production(&path, &text).lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "{} has no module doc", path.display());
    }
}
