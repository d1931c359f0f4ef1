//! A configuration's text: a configuration, or a list of mistakes that names at least one.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use portcullis::config::{Config, PhpLiteral};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // Settings that name files read them.
    if text.contains("_file") || text.contains("env_php") {
        return;
    }
    if let Err(mistakes) = Config::from_toml(text, Path::new("/nowhere")) {
        assert!(!mistakes.to_string().is_empty());
    }
    let _ = PhpLiteral::read_file(text);
});
