//! Properties over random requests: the fast code against the slow, round trips, and tampering by one bit.

use proptest::prelude::*;

use super::*;
use crate::auth::oauth1::{Reading, Signer, base_string};

/// A request that owns its parts.
#[derive(Debug, Clone)]
struct Owned {
    method: String,
    scheme: Scheme,
    host: String,
    path: String,
    query: Option<String>,
    form: Option<Vec<u8>>,
}

impl Owned {
    fn request(&self) -> SignedRequest<'_> {
        SignedRequest {
            method: &self.method,
            scheme: self.scheme,
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            form: self.form.as_deref(),
        }
    }
}

/// Names and values from a small alphabet, so that repeats, ties and escapes happen.
const TEXT: &str = "([ab019.+~ü]|%[0-9A-Fa-f]{2}|%|oauth_x|\\PC){0,6}";

fn requests() -> impl Strategy<Value = Owned> {
    let query = proptest::string::string_regex(&format!("({TEXT}=?{TEXT}&{{1,2}}){{0,8}}")).unwrap();
    let form = "([ab019.+~]|%4[0-9a-f]|%C3|=|&){0,40}";
    (
        "(GET|post|Put)",
        prop_oneof![Just(Scheme::Http), Just(Scheme::Https)],
        "[aZ][a-zA-Z0-9.]{0,8}(:80|:443|:8080)?",
        "/([aB./~!(ü]|%2[0-9a-fA-F]|%){0,20}",
        proptest::option::of(query),
        proptest::option::of(form.prop_map(String::into_bytes)),
    )
        .prop_map(|(method, scheme, host, path, query, form)| Owned {
            method,
            scheme,
            host,
            path,
            query,
            form,
        })
}

fn signer(key: &SigningKey, reading: Reading) -> Signer<'_> {
    Signer { consumer_key: CONSUMER_KEY, token: TOKEN, key, method: SignatureMethod::HmacSha256, reading }
}

proptest! {
    #[test]
    fn the_fast_rfc_5849_base_string_is_the_slow_one(
        owned in requests(),
        header in "((oauth_|x|realm)[a-c]{0,2}=\"?([a %\"]|%2C){0,4}\"?,){0,6}",
    ) {
        let parameters = ProtocolParameters::parse(&header);
        prop_assume!(!parameters.repeats());
        let fast = base_string(Reading::Rfc5849, &parameters, &owned.request());
        prop_assert_eq!(fast, reference::rfc5849(&header, &owned.request()));
    }

    #[test]
    fn the_fast_magento_base_string_is_the_slow_one(
        owned in requests(),
        header in "((oauth_|x|realm)[a-c0-9]{0,2}=\"?([a %\"]|%2C){0,4}\"?,){0,6}",
    ) {
        let fast = base_string(Reading::Magento, &ProtocolParameters::parse(&header), &owned.request());
        prop_assert_eq!(fast, reference::magento(&header, &owned.request()));
    }

    #[test]
    fn what_is_signed_under_rfc_5849_verifies(owned in requests(), nonce: String, timestamp: String) {
        let key = key();
        let header = signer(&key, Reading::Rfc5849).authorization(&owned.request(), &timestamp, &nonce);
        let verified = verify_header(&header, &owned.request(), &key, Readings::default());
        prop_assert_eq!(verified.map(Verified::reading), Ok(Reading::Rfc5849));
    }

    #[test]
    fn what_verifies_under_magento_has_the_same_slow_base_string(owned in requests()) {
        let key = key();
        let header = signer(&key, Reading::Magento).authorization(&owned.request(), "1", "n");
        if verify_header(&header, &owned.request(), &key, Readings::only(Reading::Magento)).is_ok() {
            let base = reference::magento(credentials(&header), &owned.request());
            let signature = key.sign(SignatureMethod::HmacSha256, base.as_bytes());
            prop_assert!(header.contains(&reference::encode(signature.as_bytes())));
        }
    }

    #[test]
    fn no_bit_of_the_signature_may_flip(bit in 0..256usize) {
        use base64::Engine;
        use base64::engine::general_purpose::STANDARD;
        let key = key();
        let header = signer(&key, Reading::Rfc5849).authorization(&REQUEST, "1", "n");
        let (before, signature) = header.rsplit_once("oauth_signature=\"").unwrap();
        let decoded = reference::decode(signature.trim_end_matches('"').as_bytes(), false);
        let mut code = STANDARD.decode(decoded).unwrap();
        code[bit / 8] ^= 1 << (bit % 8);
        let flipped = reference::encode(STANDARD.encode(code).as_bytes());
        let header = format!("{before}oauth_signature=\"{flipped}\"");
        let refused = verify_header(&header, &REQUEST, &key, Readings::default());
        prop_assert_eq!(refused, Err(OauthProblem::SignatureInvalid));
    }

    /// Host and method are compared without case, and a flipped escape may spell the same byte; nothing else may pass.
    #[test]
    fn a_flipped_bit_passes_only_where_it_changes_no_meaning(
        owned in requests(),
        part in 0..4u8,
        at: prop::sample::Index,
        bit in 0..7u8,
    ) {
        let key = key();
        let header = signer(&key, Reading::Rfc5849).authorization(&owned.request(), "1", "n");
        let mut changed = owned.clone();
        let text = match part {
            0 => Some(&mut changed.method),
            1 => Some(&mut changed.host),
            2 => Some(&mut changed.path),
            _ => changed.query.as_mut(),
        };
        let Some(text) = text.filter(|text| text.is_ascii() && !text.is_empty()) else { return Ok(()) };
        let mut bytes = std::mem::take(text).into_bytes();
        let place = at.index(bytes.len());
        bytes[place] ^= 1 << bit;
        *text = String::from_utf8(bytes).unwrap();
        let same = reference::rfc5849("", &owned.request()) == reference::rfc5849("", &changed.request());
        let verified = verify_header(&header, &changed.request(), &key, Readings::only(Reading::Rfc5849));
        prop_assert_eq!(verified.is_ok(), same);
    }

    #[test]
    fn no_bytes_panic(
        header: String, method: String, host: String, path: String, query: Option<String>, form: Option<Vec<u8>>,
    ) {
        let owned = Owned { method, scheme: Scheme::Http, host, path, query, form };
        let parameters = ProtocolParameters::parse(&header);
        for reading in [Reading::Rfc5849, Reading::Magento] {
            prop_assert!(base_string(reading, &parameters, &owned.request()).is_ascii());
        }
    }
}
