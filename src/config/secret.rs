//! Secrets: written in place, or in a file of their own.
//!
//! The second is how secrets are mounted into containers; it keeps them out of the environment and of the file that
//! ends up in a repository. Giving both is a mistake, because nobody could say which one holds. The copies that the
//! TOML reader made on its way here are not wiped; the [`Secret`] handed out is.

use std::path::{Path, PathBuf};

use super::{gather::read_bounded, lenient::Lenient, report::Report};
use crate::auth::secret::Secret;

/// More than this is not a secret but a wrong file.
const MAX_SECRET_FILE: u64 = 64 << 10;

/// A setting's name and what was written for it.
pub(super) type Named<T> = (&'static str, Lenient<T>);

/// Takes a secret from its setting or from the file that another setting names; `None` when neither is written or
/// one is wrong, which is noted.
pub(super) fn take(
    report: &mut Report,
    inline: Named<Secret<String>>,
    file: Named<PathBuf>,
) -> Option<Secret<String>> {
    let (inline_key, inline) = inline;
    let (file_key, file) = file;
    let both = inline.is_written() && file.is_written();
    let inline = report.take_optional(inline_key, inline);
    let file = report.take_path(file_key, file);
    if both {
        report.error(file_key, format!("{inline_key} is set as well; keep one of the two"));
        return None;
    }
    inline.or_else(|| read(report, file_key, &file?))
}

/// Reads a secret from its file, less one trailing newline, which editors add.
fn read(report: &mut Report, key: &'static str, path: &Path) -> Option<Secret<String>> {
    report.has_read(path);
    let text = match read_bounded(path, MAX_SECRET_FILE) {
        Ok(text) => Secret::new(text),
        Err(error) => {
            report.error(key, format!("cannot read {}: {error}; name a readable file", path.display()));
            return None;
        }
    };
    let line = text.expose().strip_suffix('\n').unwrap_or(text.expose());
    let secret = line.strip_suffix('\r').unwrap_or(line);
    if secret.is_empty() {
        report.error(key, format!("{} is empty; write the secret into it", path.display()));
        return None;
    }
    Some(Secret::new(secret.to_owned()))
}
