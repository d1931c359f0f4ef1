//! The comparison with nginx works as a command: each of its rows lets the right caller in and nobody else, and is measured.
//!
//! Figures are not looked at. That the rows decide what they say is checked by the command itself, which ends with an error
//! where a credential is answered otherwise than it must be; here it runs once, for a second a row.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

use std::{path::Path, process::Command};

const ROWS: [&str; 9] = [
    "nginx plain",
    "portcullis, guest",
    "portcullis, bearer",
    "nginx + Lua, bearer",
    "nginx auth_request, bearer",
    "portcullis, JWT",
    "portcullis, OAuth",
    "nginx + Lua, OAuth",
    "nginx auth_request, OAuth",
];

/// What the command prints, with the binaries that this test was built beside.
fn compare(options: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(root.join("benches/compare"));
    command.args(["--profile", "dev", "--markdown"]).args(options);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (printed, errors) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{printed}{errors}");
    printed
}

/// The cells of a table's row.
fn cells<'a>(printed: &'a str, name: &str) -> Vec<&'a str> {
    let row = printed.lines().find_map(|line| line.strip_prefix(&format!("| {name} |")));
    row.unwrap_or_else(|| panic!("no {name} in\n{printed}")).split('|').map(str::trim).collect()
}

/// A figure above zero, thousands set apart by commas.
fn is_figure(cell: &str) -> bool {
    cell.replace(',', "").parse::<f64>().is_ok_and(|figure| figure > 0.0)
}

#[test]
#[ignore = "needs nginx with its Lua module, and wrk; run tests/all"]
fn every_row_is_answered_right_and_measured() {
    let printed = compare(&["--rounds", "1", "--seconds", "1", "--idle", "100"]);
    for name in ROWS {
        let cells = cells(&printed, name);
        for column in [0, 1, 3] {
            assert!(is_figure(cells[column]), "{name}: {cells:?}");
        }
    }
    let (_, idle) = printed.split_once("Memory of idle connections").unwrap();
    for name in ["nginx plain", "portcullis"] {
        let cells = cells(idle, name);
        assert_eq!(cells[0], "100");
        assert!(is_figure(cells[2]), "{name}: {cells:?}");
    }
}

#[test]
#[ignore = "needs nginx with its Lua module, and wrk; run tests/all"]
fn only_the_chosen_rows_are_run() {
    let printed = compare(&["--rounds", "0", "--idle", "10", "--only", "OAuth"]);
    assert!(!printed.contains("CPU us a request"), "{printed}");
    assert!(is_figure(cells(&printed, "portcullis")[2]));
}
