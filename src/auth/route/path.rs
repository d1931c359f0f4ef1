//! The path of a request, refused where two readers could take it for two paths.
//!
//! Web servers and frameworks disagree on dot segments, backslashes, encoded control bytes and fragments; each such
//! difference has been somebody's authentication bypass. So they are refused, not normalized, because the upstream gets
//! the bytes as sent (DESIGN D15). `//` and a trailing slash are collapsed for matching only. `%2F` stays in its
//! segment, raw UTF-8, `|`, `;` and encoded bytes of a segment pass.

use crate::auth::{rejection::Malformation, route::percent};

/// A path without ambiguities, as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CanonicalPath<'a>(&'a str);

/// The segments of a path, undecoded; none of them is empty.
#[derive(Debug, Clone)]
pub struct Segments<'a> {
    rest: &'a str,
    slashes: Slashes,
    is_exhausted: bool,
}

/// How slashes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slashes {
    /// Empty segments are no segments.
    Collapsed,
    /// Slashes around the path are cut, an empty segment within counts, as Magento and many frameworks read it.
    Spread,
}

impl<'a> CanonicalPath<'a> {
    /// Judges the path part of a request target.
    ///
    /// # Errors
    /// [`Malformation::Target`] if it does not start with `/`. [`Malformation::AmbiguousPath`] for dot segments in any
    /// spelling (between encoded slashes and before a `;` too, where servlet containers see them), raw or encoded
    /// control bytes and backslashes, a raw blank, `#` or `?`, and malformed escapes.
    pub fn parse(raw: &'a str) -> Result<Self, Malformation> {
        if !raw.starts_with('/') {
            return Err(Malformation::Target);
        }
        if is_ambiguous(raw) { Err(Malformation::AmbiguousPath) } else { Ok(Self(raw)) }
    }

    /// The path as received.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// The segments for matching.
    #[must_use]
    pub const fn segments(self) -> Segments<'a> {
        Segments::collapsed(self.0)
    }
}

fn is_ambiguous(raw: &str) -> bool {
    // Most paths hold none of these, and this look is several times cheaper than the one below.
    if raw.bytes().all(|byte| byte > b' ' && !matches!(byte, b'%' | b'.' | b'\\' | b'#' | b'?' | 0x7F)) {
        return false;
    }
    let mut dots = DotSegment::Start;
    for unit in percent::units(raw) {
        let Some(unit) = unit else { return true };
        let is_forbidden = match unit.byte {
            b'\\' | 0..=0x1F | 0x7F => true,
            b' ' | b'#' | b'?' => !unit.is_encoded,
            _ => false,
        };
        if is_forbidden {
            return true;
        }
        let ends_here = matches!(unit.byte, b'/' | b';');
        if ends_here && dots.is_complete() {
            return true;
        }
        dots = dots.after(unit.byte);
    }
    dots.is_complete()
}

/// How far the segment read so far is a dot segment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DotSegment {
    Start,
    One,
    Two,
    Never,
}

impl DotSegment {
    const fn is_complete(self) -> bool {
        matches!(self, Self::One | Self::Two)
    }

    const fn after(self, byte: u8) -> Self {
        match (byte, self) {
            (b'/', _) => Self::Start,
            (b'.', Self::Start) => Self::One,
            (b'.', Self::One) => Self::Two,
            _ => Self::Never,
        }
    }
}

impl<'a> Segments<'a> {
    /// The segments of a text that is already judged.
    pub(super) const fn collapsed(text: &'a str) -> Self {
        Self { rest: text, slashes: Slashes::Collapsed, is_exhausted: false }
    }

    /// The segments of a text that is already judged, its slashes read in this way.
    pub(super) fn read(text: &'a str, slashes: Slashes) -> Self {
        let rest = match slashes {
            Slashes::Collapsed => text,
            Slashes::Spread => text.trim_matches('/'),
        };
        Self { rest, slashes, is_exhausted: false }
    }

    /// What is still to come, without leading slashes.
    pub(super) fn remainder(&self) -> &'a str {
        self.rest.trim_start_matches('/')
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.slashes == Slashes::Collapsed {
            self.rest = self.remainder();
            self.is_exhausted |= self.rest.is_empty();
        }
        if self.is_exhausted {
            return None;
        }
        let (segment, rest) = self.rest.split_once('/').unwrap_or_else(|| {
            self.is_exhausted = true;
            (self.rest, "")
        });
        self.rest = rest;
        Some(segment)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn legitimate_paths_pass_as_sent() {
        for path in [
            "/",
            "/rest/V1/products/A%2FB",
            "/rest/V1/products/A%252FB",
            "/rest/V1/products/skü",
            "/rest/V1/products/sk%C3%BC",
            "/rest/V1/products/a|b;c,d=e",
            "/rest/V1/products/sku+two%20three",
            "/rest/V1/products/%23%3F%25",
            "/rest/V1/products/...",
            "/rest/V1/products/.hidden",
            "/rest/V1/products/a..b",
            "/rest/V1/products/..a",
            "/rest/V1/products/%ff%FE",
            "/rest//V1/products//",
            "/rest/V1/products/a%5Bb%5D",
        ] {
            assert_eq!(CanonicalPath::parse(path).map(CanonicalPath::as_str), Ok(path));
        }
    }

    #[test]
    fn ambiguous_paths_are_refused() {
        for path in [
            "/.",
            "/..",
            "/a/../b",
            "/a/./b",
            "/a/..",
            "/a/.",
            "/a/%2e%2e/b",
            "/a/%2E./b",
            "/a/.%2e",
            "/a/%2e/b",
            "/a%2F..%2Fb",
            "/a%2f%2e%2e",
            "/a/..%2Fb",
            "/a/..;/b",
            "/a/..;x=1",
            "/a/..%3Bx",
            "/a/.;/b",
            "/a/%00",
            "/a%00.json",
            "/a%0d%0ab",
            "/a%1F",
            "/a%7f",
            "/a\u{7f}",
            "/a\tb",
            "/a\0b",
            "/a b",
            "/a\\b",
            "/a\\..\\b",
            "/a%5cb",
            "/a%5C..%5Cb",
            "/a#b",
            "/a?b",
            "/a%",
            "/a%4",
            "/a%zz",
            "/a%4/b",
            "/%%32e",
        ] {
            assert_eq!(CanonicalPath::parse(path), Err(Malformation::AmbiguousPath), "{path:?}");
        }
        for path in ["", "*", "rest/V1", "host:443"] {
            assert_eq!(CanonicalPath::parse(path), Err(Malformation::Target), "{path:?}");
        }
    }

    #[test]
    fn slashes_collapse_for_matching_only() {
        for (path, collapsed, spread) in [
            ("/", vec![], vec![""]),
            ("//a///b/", vec!["a", "b"], vec!["a", "", "", "b"]),
            ("/a/b%2Fc", vec!["a", "b%2Fc"], vec!["a", "b%2Fc"]),
            ("/a", vec!["a"], vec!["a"]),
        ] {
            assert_eq!(Segments::collapsed(path).collect::<Vec<_>>(), collapsed);
            assert_eq!(Segments::read(path, Slashes::Spread).collect::<Vec<_>>(), spread);
        }
    }

    /// What any decoding server could see: everything decoded, every separator a separator.
    fn has_dot_segment(path: &str) -> bool {
        let decoded = percent::decode(path, percent::Decode::All).into_owned();
        decoded
            .split(['/', '\\'])
            .map(|segment| segment.split(';').next().unwrap())
            .any(|s| s == "." || s == "..")
    }

    proptest! {
        #[test]
        fn no_dot_segment_hides_in_any_spelling(
            pieces in prop::collection::vec(
                prop::sample::select(vec![".", "%2e", "%2E", "/", "%2F", "%2f", ";", "%3b", "a", "\\", "%5c"]), 0..10)
        ) {
            let path = format!("/{}", pieces.concat());
            let expected = has_dot_segment(&path) || path.contains('\\') || path.contains("%5c");
            prop_assert_eq!(CanonicalPath::parse(&path).is_err(), expected, "{}", path);
        }

        #[test]
        fn segments_are_those_of_a_plain_split(path in "/[a-b/%]{0,12}") {
            let plain: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
            prop_assert_eq!(Segments::collapsed(&path).collect::<Vec<_>>(), plain);
            let spread: Vec<_> = path.trim_matches('/').split('/').collect();
            prop_assert_eq!(Segments::read(&path, Slashes::Spread).collect::<Vec<_>>(), spread);
        }
    }
}
