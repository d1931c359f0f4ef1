//! The list of statements in `deploy/mysql/STATEMENTS.md`, which a Magento's database administrators go by.

const LIST: &str = include_str!("../../deploy/mysql/STATEMENTS.md");

/// Those of these statements that the list does not have.
pub(crate) fn unlisted(statements: &[String], prefix: &str) -> Vec<String> {
    let listed: Vec<&str> = LIST.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert!(listed.len() > 40, "the list cannot be read");
    let normal = |statement: &String| {
        let words: Vec<&str> = statement.split_whitespace().collect();
        words.join(" ").replace(&format!("\"{prefix}"), "\"")
    };
    let mut unlisted: Vec<String> =
        statements.iter().map(normal).filter(|statement| !listed.contains(&statement.as_str())).collect();
    unlisted.sort_unstable();
    unlisted.dedup();
    unlisted
}
