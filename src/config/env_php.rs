//! The crypt key out of Magento's `app/etc/env.php`.
//!
//! The file is an array of literals, see [`PhpLiteral`]; only the text at `crypt/key` is taken from it, and the rest is
//! wiped. What is wrong is said without a word of the file's content.

use std::path::Path;

use super::{gather::read_bounded, php_literal::PhpLiteral, report::Report};
use crate::auth::secret::Secret;

/// More than this is not Magento's file.
const MAX_FILE: u64 = 1 << 20;

/// Takes `crypt/key` from the file; a mistake is noted and names the file, never its content.
pub(super) fn take_crypt_key(report: &mut Report, path: &Path) -> Option<Secret<String>> {
    report.has_read(path);
    let reason = match read_bounded(path, MAX_FILE).map(Secret::new) {
        Err(error) => format!("cannot read {}: {error}; name a readable file", path.display()),
        Ok(text) => match crypt_key(text.expose()) {
            Ok(key) => return Some(key),
            Err(reason) => format!("{} {reason}; set magento.crypt_key_file instead", path.display()),
        },
    };
    report.error("magento.env_php", reason);
    None
}

fn crypt_key(text: &str) -> Result<Secret<String>, &'static str> {
    let file = PhpLiteral::read_file(text).map_err(|_| "is not a plain array of literals")?;
    match file.entry("crypt").and_then(|crypt| crypt.entry("key")) {
        Some(PhpLiteral::Text(key)) => Ok(key.clone()),
        Some(PhpLiteral::Array(_) | PhpLiteral::Scalar(_)) | None => Err("has no text at crypt/key"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<String, &'static str> {
        crypt_key(text).map(|key| key.expose().clone())
    }

    #[test]
    fn the_key_is_found_as_magento_writes_it() {
        let short = "<?php\nreturn [\n    'backend' => ['frontName' => 'admin'],\n    'crypt' => [\n        'key' => 'abc'\n    ],\n    'cache_types' => ['config' => 1, 'x' => -1.5, 'y' => null, 'z' => true],\n];\n";
        assert_eq!(key(short).as_deref(), Ok("abc"));
        let long = "<?php\n// note\nreturn array (\n  'crypt' => \n  array (\n    'key' => 'old\nnew',\n  ),\n 0 => 'a', /* b */\n);";
        assert_eq!(key(long).as_deref(), Ok("old\nnew"));
        assert_eq!(key("<?php return ['crypt' => ['key' => 'a\\'b\\\\c\\d']];").as_deref(), Ok("a'b\\c\\d"));
        assert_eq!(key("<?php return ['crypt' => ['key' => \"abc\"]];").as_deref(), Ok("abc"));
    }

    #[test]
    fn the_last_of_equal_names_counts_as_in_php() {
        assert_eq!(key("<?php return ['crypt' => ['key' => 'a', 'key' => 'b']];").as_deref(), Ok("b"));
    }

    #[test]
    fn a_file_without_a_key_is_refused() {
        for text in [
            "<?php return [];",
            "<?php return ['crypt' => 'key'];",
            "<?php return ['crypt' => ['key' => 1]];",
            "<?php return 'x';",
        ] {
            assert_eq!(key(text), Err("has no text at crypt/key"), "{text}");
        }
    }

    #[test]
    fn what_only_php_could_compute_is_refused() {
        let deep = format!("<?php return {}{};", "[".repeat(1000), "]".repeat(1000));
        for text in [
            "",
            "return [];",
            "<?php return [",
            "<?php return ['crypt' => ['key' => getenv('KEY')]];",
            "<?php return ['crypt' => ['key' => 'a' . 'b']];",
            "<?php return ['crypt' => ['key' => \"a$b\"]];",
            "<?php return ['crypt' => ['key' => 'a']]; unlink('x');",
            "<?php return ['crypt' => ['key' => 'a'",
            "<?php return ['crypt' => ['key' => 'a",
            "<?php return ['crypt' => ['key' => KEY]];",
            &deep,
        ] {
            assert_eq!(key(text), Err("is not a plain array of literals"), "{text}");
        }
    }
}
