//! Base strings as careless clients write them: the same parts, spelled otherwise.
//!
//! These work on the engine's finished base string, because no request would make it write them.

use crate::auth::oauth1::Scheme;

/// How a base string is spelled otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rewrite {
    /// The default port stands in the URL.
    DefaultPort(Scheme),
    /// Brackets in names were not encoded before the whole was.
    RawBrackets,
    /// Escapes in lower case.
    LowerEscapes,
    /// Blanks in values as `+`.
    PlusForBlank,
    /// `~` encoded.
    EncodedTilde,
    /// The method in lower case.
    LowerMethod,
    /// Parameters encoded once instead of twice.
    EncodedOnce,
}

impl Rewrite {
    /// The base string, spelled so; `None` where that makes no difference.
    pub(super) fn apply(self, base: &str) -> Option<String> {
        let changed = match self {
            Self::DefaultPort(scheme) => with_default_port(base, scheme)?,
            Self::RawBrackets => base.replace("%255B", "%5B").replace("%255D", "%5D"),
            Self::LowerEscapes => lower_escapes(base),
            Self::PlusForBlank => base.replace("%2520", "%2B"),
            Self::EncodedTilde => base.replace('~', "%257E"),
            Self::LowerMethod => {
                let (method, rest) = base.split_once('&')?;
                format!("{}&{rest}", method.to_ascii_lowercase())
            }
            Self::EncodedOnce => {
                let (start, parameters) = base.rsplit_once('&')?;
                format!("{start}&{}", parameters.replace("%25", "%"))
            }
        };
        (changed != base).then_some(changed)
    }
}

fn with_default_port(base: &str, scheme: Scheme) -> Option<String> {
    let (prefix, port) = match scheme {
        Scheme::Http => ("http%3A%2F%2F", "%3A80"),
        Scheme::Https => ("https%3A%2F%2F", "%3A443"),
    };
    let (method, rest) = base.split_once('&')?;
    let url = rest.strip_prefix(prefix)?;
    let (host, path) = url.split_at(url.find("%2F")?);
    (!host.contains("%3A")).then(|| format!("{method}&{prefix}{host}{port}{path}"))
}

/// `%XX` in lower case, `%25XX` as well.
fn lower_escapes(base: &str) -> String {
    let mut left = 0;
    let lowered = base.chars().map(|character| {
        if character == '%' {
            left = 2;
        } else if left > 0 {
            left -= 1;
            return character.to_ascii_lowercase();
        }
        character
    });
    let once: String = lowered.collect();
    // The second half of `%252F`: its percent sign is `%25`.
    let mut out = String::with_capacity(once.len());
    let mut rest = once.as_str();
    while let Some(at) = rest.find("%25") {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let end = escape.char_indices().nth(5).map_or(escape.len(), |(at, _)| at);
        let (escape, after) = escape.split_at(end);
        out.push_str(&escape.to_ascii_lowercase());
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_is_the_one_that_clients_write() {
        let base = "GET&http%3A%2F%2Fh%2FA&a%255BB%255D%3Dx%2520y~";
        for (rewrite, expected) in [
            (Rewrite::DefaultPort(Scheme::Http), Some("GET&http%3A%2F%2Fh%3A80%2FA&a%255BB%255D%3Dx%2520y~")),
            (Rewrite::DefaultPort(Scheme::Https), None),
            (Rewrite::RawBrackets, Some("GET&http%3A%2F%2Fh%2FA&a%5BB%5D%3Dx%2520y~")),
            (Rewrite::LowerEscapes, Some("GET&http%3a%2f%2fh%2fA&a%255bB%255d%3dx%2520y~")),
            (Rewrite::PlusForBlank, Some("GET&http%3A%2F%2Fh%2FA&a%255BB%255D%3Dx%2By~")),
            (Rewrite::EncodedTilde, Some("GET&http%3A%2F%2Fh%2FA&a%255BB%255D%3Dx%2520y%257E")),
            (Rewrite::LowerMethod, Some("get&http%3A%2F%2Fh%2FA&a%255BB%255D%3Dx%2520y~")),
            (Rewrite::EncodedOnce, Some("GET&http%3A%2F%2Fh%2FA&a%5BB%5D%3Dx%20y~")),
        ] {
            assert_eq!(rewrite.apply(base).as_deref(), expected, "{rewrite:?}");
        }
        assert_eq!(Rewrite::DefaultPort(Scheme::Http).apply("GET&http%3A%2F%2Fh%3A81%2F&"), None);
    }
}
