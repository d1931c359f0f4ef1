//! Whether `deploy/mysql/STATEMENTS.md` lists every statement that the source has, as a Magento's database gets it.

use std::{fs, path::Path};

use crate::store::sql::dialect::{Dialect, Flavor, Texts};

const LIST: &str = include_str!("../../../../deploy/mysql/STATEMENTS.md");
const VERBS: [&str; 4] = ["SELECT ", "INSERT ", "UPDATE ", "DELETE "];
/// What a table stands behind.
const TABLES: [&str; 3] = ["FROM \"", "INTO \"", "UPDATE \""];

#[test]
fn every_statement_of_the_source_is_listed() {
    let texts = Texts::new(Dialect::MySql, Flavor::Magentos, "");
    let (mut count, mut unlisted) = (0, Vec::new());
    for source in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/sql")) {
        for literal in literals(&source) {
            let rendered = texts.render(literal).sql;
            let rendered = rendered.split_whitespace().collect::<Vec<_>>().join(" ");
            // A part of a statement that is put together says too little; the recordings send the whole.
            let is_statement = VERBS.iter().any(|verb| rendered.starts_with(verb))
                && TABLES.iter().any(|place| rendered.contains(place));
            if !is_statement
                || rendered.contains("portcullis_") && !rendered.contains("NULL AS \"portcullis_")
            {
                continue;
            }
            count += 1;
            if !LIST.contains(&rendered) {
                unlisted.push(rendered);
            }
        }
    }
    assert!(unlisted.is_empty(), "not in deploy/mysql/STATEMENTS.md:\n{}", unlisted.join("\n"));
    assert!(count > 40, "{count} statements were found");
}

/// What the files of our stores have before their tests.
fn sources(folder: &Path) -> Vec<String> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            sources.extend(sources_of(name, &path));
        } else if !["testing.rs", "dialect.rs", "migrate.rs", "postgres.rs", "examine.rs"].contains(&name) {
            let text = fs::read_to_string(&path).unwrap();
            sources.push(text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned());
        }
    }
    sources
}

fn sources_of(name: &str, path: &Path) -> Vec<String> {
    if name == "migrations" { Vec::new() } else { sources(path) }
}

/// The texts between quotation marks, raw or not.
fn literals(source: &str) -> Vec<&str> {
    let mut literals = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find('"') {
        let is_raw = rest[..at].ends_with("r#");
        let end = if is_raw { "\"#" } else { "\"" };
        let Some((literal, after)) = rest[at + 1..].split_once(end) else { break };
        literals.push(literal);
        rest = after;
    }
    literals
}
