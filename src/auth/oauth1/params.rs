//! The protocol parameters of an `Authorization: OAuth …` header (RFC 5849 §3.5.1), read as Magento reads them.
//!
//! Magento splits at every comma, quoted or not, keeps pieces whose raw name contains `oauth_` and a further letter,
//! and lets the last of a repeated name win (`MAGENTO_AUTH` section 3.1). The other pieces are kept apart: Magento
//! ignores them, RFC 5849 §3.4.1.3.1 signs all but `realm`. Parameters in the query or a form never count as protocol
//! parameters. This file reads; whether what it read is acceptable is decided in `presented`.

use std::borrow::Cow;

use super::encoding::{Plus, decode};

/// More parameters than this in a header are not read, and the request is refused: real clients send seven or eight.
const MAX_PARAMETERS: usize = 64;

/// What stands in the header after the scheme, decoded; borrows from it where nothing was encoded.
#[derive(Debug, Clone, Default)]
pub struct ProtocolParameters<'a> {
    parameters: Vec<Parameter<'a>>,
    known: [Option<usize>; Name::ALL.len()],
    repeats: bool,
    overflows: bool,
}

/// One parameter of the header.
#[derive(Debug, Clone)]
pub(super) struct Parameter<'a> {
    pub(super) name: Cow<'a, [u8]>,
    pub(super) value: Cow<'a, [u8]>,
    pub(super) kind: Kind,
}

/// Who signs a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Everybody.
    Protocol,
    /// Nobody: what is being checked.
    Signature,
    /// RFC 5849 only.
    Extra,
    /// Nobody (RFC 5849 §3.4.1.3.1).
    Realm,
}

/// The parameters that are looked at, in the order in which Magento reports missing ones; the version is optional, the
/// verifier belongs to the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    ConsumerKey,
    Signature,
    SignatureMethod,
    Nonce,
    Timestamp,
    Token,
    Version,
    Verifier,
}

impl Name {
    const ALL: [Self; 8] = [
        Self::ConsumerKey,
        Self::Signature,
        Self::SignatureMethod,
        Self::Nonce,
        Self::Timestamp,
        Self::Token,
        Self::Version,
        Self::Verifier,
    ];

    /// What a request to the API must carry (`Oauth::validateAccessTokenRequest`), in Magento's order.
    pub(super) const REQUIRED: [Self; 6] = [
        Self::ConsumerKey,
        Self::Signature,
        Self::SignatureMethod,
        Self::Nonce,
        Self::Timestamp,
        Self::Token,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::ConsumerKey => "oauth_consumer_key",
            Self::Signature => "oauth_signature",
            Self::SignatureMethod => "oauth_signature_method",
            Self::Nonce => "oauth_nonce",
            Self::Timestamp => "oauth_timestamp",
            Self::Token => "oauth_token",
            Self::Version => "oauth_version",
            Self::Verifier => "oauth_verifier",
        }
    }

    fn of(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str().as_bytes() == name)
    }
}

impl<'a> ProtocolParameters<'a> {
    /// Whether a signed request has a parameter of this name (RFC 5849 §3.1).
    #[must_use]
    pub fn knows(name: &[u8]) -> bool {
        Name::of(name).is_some()
    }

    /// Reads what stands after the `OAuth ` scheme; never fails, a malformed piece is skipped.
    #[must_use]
    pub fn parse(credentials: &'a str) -> Self {
        let mut read = Self { parameters: Vec::with_capacity(8), ..Self::default() };
        for piece in credentials.as_bytes().split(|byte| *byte == b',') {
            let Some((name, value)) = split_at_equals(trim(piece)) else { continue };
            if read.parameters.len() == MAX_PARAMETERS {
                read.overflows = true;
                return read;
            }
            let value = decode(trim_quotes(value), Plus::Literal);
            if is_protocol_name(name) {
                read.keep_protocol(decode(name, Plus::Literal), value);
            } else {
                read.keep_extra(decode(name, Plus::Literal), value);
            }
        }
        read
    }

    /// Whether there is not one protocol parameter; such a header may mean a guest (see [`has_countable_query`]).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.parameters.iter().any(|parameter| matches!(parameter.kind, Kind::Protocol | Kind::Signature))
    }

    /// Names and values of the header, decoded, in its order; the token and the signature among them.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.parameters.iter().map(|one| (one.name.as_ref(), one.value.as_ref()))
    }

    pub(super) fn value_of(&self, name: Name) -> Option<&[u8]> {
        let at = (*self.known.get(name as usize)?)?;
        self.parameters.get(at).map(|parameter| parameter.value.as_ref())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Parameter<'a>> {
        self.parameters.iter()
    }

    /// Whether a protocol parameter stands there more than once, which RFC 5849 §3.1 forbids and Magento forgives.
    pub(super) const fn repeats(&self) -> bool {
        self.repeats
    }

    /// Whether the header holds more parameters than are read.
    pub(super) const fn overflows(&self) -> bool {
        self.overflows
    }

    /// The last of a repeated name wins and takes the first one's place, as in a PHP array.
    fn keep_protocol(&mut self, name: Cow<'a, [u8]>, value: Cow<'a, [u8]>) {
        let known = Name::of(&name);
        let earlier = match known.and_then(|known| self.known.get(known as usize)) {
            Some(place) => *place,
            None => self.parameters.iter().position(|one| one.kind == Kind::Protocol && one.name == name),
        };
        if let Some(earlier) = earlier.and_then(|at| self.parameters.get_mut(at)) {
            earlier.value = value;
            self.repeats = true;
            return;
        }
        if let Some(place) = known.and_then(|known| self.known.get_mut(known as usize)) {
            *place = Some(self.parameters.len());
        }
        let kind = if known == Some(Name::Signature) { Kind::Signature } else { Kind::Protocol };
        self.parameters.push(Parameter { name, value, kind });
    }

    /// A name that only its escapes hide from Magento's search is a second meaning: RFC 5849's reading is off then.
    fn keep_extra(&mut self, name: Cow<'a, [u8]>, value: Cow<'a, [u8]>) {
        self.repeats |= is_protocol_name(&name);
        let kind = if name.eq_ignore_ascii_case(b"realm") { Kind::Realm } else { Kind::Extra };
        self.parameters.push(Parameter { name, value, kind });
    }
}

/// Whether the query holds a parameter by Magento's rule: a piece with exactly one `=` whose raw name is no protocol
/// name. A header without protocol parameters means a guest only where this is false (and no form was sent);
/// else parameters are missing (`MAGENTO_FACTS` 4).
#[must_use]
pub fn has_countable_query(query: &str) -> bool {
    query
        .split('&')
        .filter_map(|piece| split_at_only_equals(piece.as_bytes()))
        .any(|(name, _)| !is_protocol_name(name))
}

/// Whether Magento takes the name for a protocol parameter: `/oauth_[a-z_-]+/`, neither anchored nor case-blind.
pub(super) fn is_protocol_name(name: &[u8]) -> bool {
    name.windows(7)
        .any(|window| matches!(window, [b'o', b'a', b'u', b't', b'h', b'_', b'a'..=b'z' | b'_' | b'-']))
}

/// Name and value around the first `=`.
pub(super) fn split_at_equals(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = piece.iter().position(|byte| *byte == b'=')?;
    let (name, value) = piece.split_at(at);
    Some((name, value.get(1..)?))
}

/// Name and value of a piece that holds exactly one `=`.
pub(super) fn split_at_only_equals(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    split_at_equals(piece).filter(|(_, value)| !value.contains(&b'='))
}

/// PHP's `trim`.
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r' | 0 | 0x0b, rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t' | b'\n' | b'\r' | 0 | 0x0b] = text {
        text = rest;
    }
    text
}

fn trim_quotes(mut text: &[u8]) -> &[u8] {
    while let [b'"', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b'"'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(credentials: &str) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let one = |one: &Parameter<'_>| {
            let mark = match one.kind {
                Kind::Protocol => "",
                Kind::Signature => "~",
                Kind::Extra => "+",
                Kind::Realm => "-",
            };
            format!("{mark}{}={}", text(&one.name), text(&one.value))
        };
        ProtocolParameters::parse(credentials).iter().map(one).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn a_header_is_read_as_magento_reads_it() {
        for (header, expected) in [
            ("", ""),
            ("   ", ""),
            (r#"oauth_nonce="a""#, "oauth_nonce=a"),
            (r#"oauth_nonce="a",oauth_token="b""#, "oauth_nonce=a|oauth_token=b"),
            ("oauth_nonce=a,\t oauth_token=b ,", "oauth_nonce=a|oauth_token=b"),
            (r#"oauth_nonce="a,b""#, "oauth_nonce=a"),
            (r#"oauth_nonce = "q""#, r#"oauth_nonce = "q"#),
            (r#"oauth_nonce="a" oauth_token="b""#, r#"oauth_nonce=a" oauth_token="b"#),
            (r#"oauth_nonce="""a""""#, "oauth_nonce=a"),
            (r#"oauth_nonce="%22a%22""#, r#"oauth_nonce="a""#),
            (r#"oauth_nonce="a%20b+c""#, "oauth_nonce=a b+c"),
            (r#"oauth_nonce="a=b""#, "oauth_nonce=a=b"),
            (r#"oauth_nonce="","#, "oauth_nonce="),
            ("oauth_nonce", ""),
            ("oauth_=1", "+oauth_=1"),
            ("OAUTH_TOKEN=1", "+OAUTH_TOKEN=1"),
            ("xoauth_y=1", "xoauth_y=1"),
            ("oauth_t%6Fken=1", "oauth_token=1"),
            ("%6Fauth_token=1", "+oauth_token=1"),
            (r#"realm="x",foo="b%61r""#, "-realm=x|+foo=bar"),
            (r#"Realm="a, oauth_x=\"1\"""#, r#"-Realm=a|oauth_x=\"1\"#),
            ("oauth_signature=s", "~oauth_signature=s"),
            ("oauth_nonce=1,oauth_token=t,oauth_nonce=2", "oauth_nonce=2|oauth_token=t"),
            ("oauth_foo=1,oauth_token=t,oauth_foo=2", "oauth_foo=2|oauth_token=t"),
        ] {
            assert_eq!(shown(header), expected, "{header}");
        }
    }

    #[test]
    fn eight_names_are_known_byte_for_byte() {
        for name in Name::ALL {
            assert!(ProtocolParameters::knows(name.as_str().as_bytes()), "{name:?}");
        }
        for name in ["", "oauth_", "oauth_tokens", "OAUTH_TOKEN", "realm", "oauth_callback"] {
            assert!(!ProtocolParameters::knows(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn repeats_are_noticed_even_behind_escapes() {
        for (header, repeats) in [
            ("oauth_nonce=1,oauth_token=t", false),
            ("foo=1,foo=1", false),
            ("oauth_nonce=1,oauth_nonce=1", true),
            ("oauth_foo=1,oauth_foo=1", true),
            ("oauth_nonce=1,oauth_n%6Fnce=1", true),
            ("oauth_nonce=1,%6Fauth_nonce=1", true),
        ] {
            assert_eq!(ProtocolParameters::parse(header).repeats(), repeats, "{header}");
        }
    }

    #[test]
    fn only_a_protocol_parameter_makes_a_header_count() {
        for (header, empty) in [
            ("", true),
            (r#"realm="x""#, true),
            (r#"foo="bar""#, true),
            ("oauth_foo=1", false),
            ("oauth_signature=", false),
        ] {
            assert_eq!(ProtocolParameters::parse(header).is_empty(), empty, "{header}");
        }
    }

    #[test]
    fn sixty_four_parameters_are_read_and_no_more() {
        let header = |count: usize| (0..count).map(|n| format!("x{n}=1")).collect::<Vec<_>>().join(",");
        assert!(!ProtocolParameters::parse(&header(64)).overflows());
        assert!(ProtocolParameters::parse(&header(65)).overflows());
    }

    #[test]
    fn a_query_counts_by_pieces_with_one_equals_sign() {
        for (query, countable) in [
            ("", false),
            ("a", false),
            ("a=1=2", false),
            ("oauth_nonce=x", false),
            ("xoauth_y=1", false),
            ("a&b=1=2&oauth_token=z", false),
            ("a=1", true),
            ("=", true),
            ("oauth_=1", true),
            ("%6Fauth_nonce=1", true),
            ("oauth_token=z&a=", true),
        ] {
            assert_eq!(has_countable_query(query), countable, "{query}");
        }
    }

    proptest! {
        #[test]
        fn no_header_or_query_panics(text: String) {
            let _ = ProtocolParameters::parse(&text);
            let _ = has_countable_query(&text);
        }

        #[test]
        fn what_was_read_is_bounded(text in "[oauth_n=,\" %2]{0,300}") {
            prop_assert!(ProtocolParameters::parse(&text).iter().count() <= MAX_PARAMETERS);
        }
    }
}
