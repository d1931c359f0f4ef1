//! Choosing JSON or XML as Magento's REST does (MAGENTO_AUTH section 11.4).
//!
//! Entries are sorted by quality, the quality being the value of an entry's first parameter whatever its name; the
//! first entry that a renderer serves wins. Where Magento fails with a 500 because nothing matches, we render JSON
//! (deviation D9).

/// The renderers that Magento has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json`, and the default.
    Json,
    /// `application/xml`, `text/xml` and `application/xhtml+xml`.
    Xml,
}

/// More entries than any client sends; the rest is not read.
const MAX_ENTRIES: usize = 32;

impl Format {
    /// Picks the format for an `Accept` value.
    #[must_use]
    pub fn negotiate(accept: Option<&[u8]>) -> Self {
        let Some(text) = accept.and_then(|value| std::str::from_utf8(value).ok()) else {
            return Self::Json;
        };
        let mut entries: Vec<(f32, &str)> = text.split(',').take(MAX_ENTRIES).filter_map(entry).collect();
        entries.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        entries.iter().find_map(|(_, media_type)| Self::serving(media_type)).unwrap_or(Self::Json)
    }

    fn serving(media_type: &str) -> Option<Self> {
        match media_type {
            "*/*" | "application/json" | "application/*" => Some(Self::Json),
            "text/xml" | "application/xml" | "application/xhtml+xml" | "text/*" => Some(Self::Xml),
            _ => None,
        }
    }
}

fn entry(piece: &str) -> Option<(f32, &str)> {
    let mut parts = piece.split(';');
    let media_type = parts.next()?.trim();
    let quality = parts.next().and_then(|parameter| parameter.split_once('='));
    let quality = quality.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(1.0_f32);
    (!media_type.is_empty()).then_some((quality, media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_values_choose_what_magento_chose() {
        let cases = [
            ("", Format::Json),
            ("*/*", Format::Json),
            ("application/json", Format::Json),
            ("application/json;q=0.1, application/xml;q=0.9", Format::Xml),
            ("application/json;q=0.9, application/xml", Format::Xml),
            ("application/xhtml+xml", Format::Xml),
            ("application/xml", Format::Xml),
            ("text/xml", Format::Xml),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Xml),
            ("text/html", Format::Json),
            ("bogus", Format::Json),
        ];
        for (accept, format) in cases {
            assert_eq!(Format::negotiate(Some(accept.as_bytes())), format, "{accept:?}");
        }
        assert_eq!(Format::negotiate(None), Format::Json);
        assert_eq!(Format::negotiate(Some(b"\xff")), Format::Json);
    }
}
