//! Where a SQLite database is, as a `store.url` says it.
//!
//! `sqlite::memory:` is a database that lives as long as the process; `sqlite://portcullis.db`, `sqlite:portcullis.db`
//! and `sqlite:///var/lib/portcullis.db` are files. The bytes after the scheme are the path itself: nothing is decoded.
//! Options after a `?` are refused rather than passed on: they could create the file or give up its durability.

use std::path::PathBuf;

use crate::store::StoreError;

/// The place of a SQLite database.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// In memory, empty at first, gone when closed.
    Memory,
    /// A file.
    File(PathBuf),
}

impl Location {
    /// Reads a `store.url`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`] when the URL is not SQLite's, names no file, or carries options.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let rest = url.strip_prefix("sqlite:").ok_or(StoreError::Url("only sqlite: is known"))?;
        if rest == ":memory:" {
            return Ok(Self::Memory);
        }
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path.contains('?') {
            return Err(StoreError::Url("options after a question mark are not accepted"));
        }
        if path.is_empty() || path.starts_with(':') {
            return Err(StoreError::Url("sqlite: needs a file, as in sqlite://portcullis.db"));
        }
        Ok(Self::File(PathBuf::from(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file_or_memory() {
        let cases = [
            ("sqlite::memory:", Location::Memory),
            ("sqlite://portcullis.db", Location::File("portcullis.db".into())),
            ("sqlite:portcullis.db", Location::File("portcullis.db".into())),
            ("sqlite:///var/lib/p.db", Location::File("/var/lib/p.db".into())),
            ("sqlite://a%20b.db", Location::File("a%20b.db".into())),
        ];
        for (url, location) in cases {
            assert_eq!(Location::parse(url).unwrap(), location, "{url}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for url in [
            "",
            "sqlite",
            "sqlite:",
            "sqlite://",
            "sqlite://:memory:",
            "sqlite://a.db?mode=rwc",
            "sqlite::memory:?cache=private",
            "mysql://root:secret@db/magento",
            "portcullis.db",
        ] {
            let error = Location::parse(url).unwrap_err();
            assert!(matches!(error, StoreError::Url(_)), "{url}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{url}");
        }
    }
}
