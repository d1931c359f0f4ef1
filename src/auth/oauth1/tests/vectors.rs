//! What a running Magento 2.4.6 computed and decided, request by request.
//!
//! `accepted` says what became of the signature alone; states of the store (used nonces, revoked tokens, ACL) come
//! after it and do not count here. The handshake's requests are not requests to the API (no token, or no secret for it),
//! so [`check`] is not asked about them; they compare base string and signature only.

use serde::Deserialize;

use super::*;
use crate::auth::oauth1::{Reading, base_string};

/// Accepted by Magento although a part of the request is unsigned; never by us.
const UNSIGNED_PARTS: [&str; 2] =
    ["oauth_encoding/repeat_last", "oauth_signed/params_query_and_header_conflict"];

/// Refused by Magento, accepted under RFC 5849.
const ONLY_RFC_5849: [&str; 10] = [
    "oauth_encoding/nat_sort_rfc",
    "oauth_encoding/path_sku_utf8",
    "oauth_encoding/path_unreserved_pct",
    "oauth_encoding/repeat_both",
    "oauth_encoding/repeat_brackets_both",
    "oauth_encoding/requests_groups10",
    "oauth_encoding/requests_space",
    "oauth_encoding/semicolon",
    "oauth_encoding/space_plus_as_space",
    "oauth_encoding/two_equals_signed",
];

/// Accepted by Magento and by us, but not under RFC 5849.
const ONLY_MAGENTO: [&str; 8] = [
    "body_order_without_braintree/oauth_form_dot_us",
    "oauth_encoding/nat_groups10_nat",
    "oauth_encoding/nat_sort_strnatcmp",
    "oauth_encoding/path_space_raw_pipe",
    "oauth_encoding/path_unreserved_pct_norm",
    "oauth_encoding/path_utf8_raw",
    "oauth_signed/hdr_dup_nonce_first_bad",
    "oauth_signed/hdr_extra_param_unsigned",
];

#[derive(Deserialize)]
struct Vector {
    case: String,
    method: String,
    target: String,
    host: String,
    x_forwarded_proto: Option<String>,
    content_type: Option<String>,
    authorization: String,
    body: String,
    base_string: String,
    key: String,
    expected_signature: String,
    accepted: bool,
}

impl Vector {
    fn request(&self) -> SignedRequest<'_> {
        let is_form = self
            .content_type
            .as_deref()
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.target.as_str(), None),
        };
        SignedRequest {
            method: &self.method,
            scheme: if self.x_forwarded_proto.as_deref() == Some("https") {
                Scheme::Https
            } else {
                Scheme::Http
            },
            host: &self.host,
            path,
            query,
            form: is_form.then_some(self.body.as_bytes()),
        }
    }

    /// The key as Magento used it, also without a token secret.
    fn key(&self) -> SigningKey {
        let (consumer_secret, token_secret) = self.key.split_once('&').unwrap();
        SigningKey::from_secrets(consumer_secret.as_bytes(), token_secret.as_bytes())
    }

    fn is_api_request(&self) -> bool {
        !self.target.starts_with("/oauth/token/")
    }

    fn verify(&self, readings: Readings) -> Result<Verified, OauthProblem> {
        verify_header(&self.authorization, &self.request(), &self.key(), readings)
    }
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../../../../tests/vectors/oauth_base_strings.json")).unwrap()
}

#[test]
fn magentos_base_string_and_signature_are_the_recorded_ones() {
    for vector in vectors() {
        let parameters = ProtocolParameters::parse(credentials(&vector.authorization));
        let base = base_string(Reading::Magento, &parameters, &vector.request());
        assert_eq!(base, vector.base_string, "{}", vector.case);
        let signature = vector.key().sign(SignatureMethod::HmacSha256, base.as_bytes());
        assert_eq!(signature, vector.expected_signature, "{}", vector.case);
    }
}

#[test]
fn a_signature_verifies_where_magento_accepted_it_unless_parts_are_unsigned() {
    for vector in vectors().iter().filter(|vector| vector.is_api_request()) {
        let expected = vector.accepted && !UNSIGNED_PARTS.contains(&vector.case.as_str());
        assert_eq!(vector.verify(Readings::only(Reading::Magento)).is_ok(), expected, "{}", vector.case);
    }
}

#[test]
fn by_default_rfc_5849_comes_first_and_magento_next() {
    for vector in vectors().iter().filter(|vector| vector.is_api_request()) {
        let case = vector.case.as_str();
        let by_magento = vector.accepted && !UNSIGNED_PARTS.contains(&case);
        let expected = match (by_magento, ONLY_MAGENTO.contains(&case), ONLY_RFC_5849.contains(&case)) {
            (true, true, false) => Some(Reading::Magento),
            (true, false, false) | (false, false, true) => Some(Reading::Rfc5849),
            (false, false, false) => None,
            _ => panic!("{case} stands in a wrong list"),
        };
        assert_eq!(vector.verify(Readings::default()).ok().map(Verified::reading), expected, "{case}");
    }
}

#[test]
fn a_decoded_path_counts_only_where_it_is_safe() {
    for vector in vectors().iter().filter(|vector| ONLY_MAGENTO.contains(&vector.case.as_str())) {
        let parameters = ProtocolParameters::parse(credentials(&vector.authorization));
        let presented = check(&parameters, SignatureMethods::default()).unwrap();
        let verified =
            verify(&presented, &vector.request(), (&vector.key()).into(), Readings::default(), false);
        assert_eq!(verified, Err(OauthProblem::SignatureInvalid), "{}", vector.case);
    }
}
