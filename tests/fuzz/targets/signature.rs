//! OAuth parameters in header, query and form: a signature over the slow base string holds for that request, and for
//! another one only if nothing that its readers see differs.

#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use portcullis::auth::oauth1::{
    ProtocolParameters, Reading, Readings, Scheme, SignatureMethod, SignatureMethods, SignedRequest,
    SigningKey, TrialKey, VerifyingKeys, check, encode, has_countable_query, verify,
};
use portcullis_fuzz as slow;

const SECRETS: [&[u8]; 2] = [b"the consumer's secret", b"the token's secret"];
const CREDENTIALS: &str = "oauth_consumer_key=\"2lc1qdbsdd28ay4q20rbrtjl9qufi83n\", oauth_nonce=\"n\", \
    oauth_signature_method=\"HMAC-SHA256\", oauth_timestamp=\"1\", \
    oauth_token=\"rcnp1r0ttgql8dyfay14d83fjc7k5q78\"";

static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::new(SECRETS[0], SECRETS[1]).expect("neither is empty"));

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    more: &'a str,
    signed: Parts<'a>,
    sent: Parts<'a>,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
struct Parts<'a> {
    query: Option<&'a str>,
    form: Option<&'a [u8]>,
}

fn request(parts: Parts<'_>) -> SignedRequest<'_> {
    let Parts { query, form } = parts;
    SignedRequest { method: "POST", scheme: Scheme::Https, host: "shop", path: "/rest/V1/x", query, form }
}

fn base_string(reading: Reading, credentials: &str, parts: Parts<'_>) -> String {
    match reading {
        Reading::Rfc5849 => slow::rfc5849(credentials, &request(parts)),
        Reading::Magento => slow::magento(credentials, &request(parts)),
    }
}

/// How many parameters a base string holds: an `&` between two is encoded once, one within a value twice.
fn signed_parameters(base: &str) -> usize {
    base.matches("%26").count() + 1
}

fn pieces(parts: Parts<'_>) -> usize {
    let count = |text: &[u8]| text.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty()).count();
    count(parts.query.unwrap_or_default().as_bytes()) + count(parts.form.unwrap_or_default())
}

fuzz_target!(|input: Input<'_>| {
    let Input { more, signed, sent } = input;
    let unsigned = format!("{CREDENTIALS}, {more}");
    let is_plain = !more.contains("oauth") && !more.contains('%');
    for reading in [Reading::Rfc5849, Reading::Magento] {
        let base = base_string(reading, &unsigned, signed);
        let key = TrialKey::joined(SECRETS[0], SECRETS[1]);
        let signature = key.signature(SignatureMethod::HmacSha256, &base);
        let mut value = Vec::new();
        encode(&mut value, signature.expose().as_bytes());
        let credentials = format!("{unsigned}, oauth_signature={}", String::from_utf8_lossy(&value));

        let parameters = ProtocolParameters::parse(&credentials);
        let Ok(presented) = check(&parameters, SignatureMethods::default()) else { continue };
        let verdict = |parts| {
            verify(&presented, &request(parts), VerifyingKeys::from(&*KEY), Readings::only(reading), true)
                .is_ok()
        };
        if reading == Reading::Rfc5849 && is_plain {
            assert!(verdict(signed), "what the standard signs verifies");
        }
        if verdict(sent) {
            assert_eq!(base_string(reading, &unsigned, sent), base, "nobody guesses a signature");
            let own = parameters.entries().filter(|(name, _)| *name != b"oauth_signature");
            let own = match reading {
                Reading::Rfc5849 => own.filter(|(name, _)| !name.eq_ignore_ascii_case(b"realm")).count(),
                Reading::Magento => own.filter(|(name, _)| is_protocol(name)).count(),
            };
            // Magento's reading leaves names as they are: an `&` in the name of a header parameter looks like one between two.
            if !more.contains('&') {
                assert_eq!(signed_parameters(&base), own + pieces(sent), "every piece is signed");
            }
        }
    }
    if signed.query.is_some_and(has_countable_query) {
        assert!(pieces(signed) > 0);
    }
});

/// Names whose escapes hide them from Magento's search are left out above: they end a reading.
fn is_protocol(name: &[u8]) -> bool {
    name.windows(7).any(|seven| {
        seven.starts_with(b"oauth_") && (seven[6].is_ascii_lowercase() || b"_-".contains(&seven[6]))
    })
}
