//! The right text under the wrong key, with the wrong code, or spelled as no base64.

use base64::{
    Engine as _,
    alphabet::{STANDARD as STANDARD_ALPHABET, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};

use super::{
    Cause, Unverified,
    change::{Apply, Change},
};
use crate::auth::oauth1::{SignatureMethod, TrialKey};

/// Keys that are not the two secrets joined, and the other code.
pub(super) fn changes(case: &Unverified<'_>) -> Vec<Change> {
    let consumer = case.secrets.consumer.expose().as_bytes();
    let token = case.secrets.token.expose().as_bytes();
    let (stored_consumer, stored_token) = &case.secrets.stored;
    let key = |name, fix: &'static str, key| Change::new(name, fix, Apply::Key(key));
    let mut changes = vec![
        key(
            "secrets_swapped",
            "Consumer secret and token secret are swapped: the consumer's comes first.",
            TrialKey::joined(token, consumer),
        ),
        key(
            "token_secret_empty",
            "The client signed with an empty token secret: give it the access token's secret.",
            TrialKey::joined(consumer, b""),
        ),
        key(
            "token_secret_missing",
            "The client signed with the consumer secret alone: the key is consumer secret, `&`, token secret.",
            TrialKey::verbatim(consumer),
        ),
        key(
            "consumer_secret_empty",
            "The client signed with an empty consumer secret: give it the consumer's secret.",
            TrialKey::joined(b"", token),
        ),
        key(
            "secrets_not_joined",
            "The client joined the secrets without `&`.",
            TrialKey::verbatim(&[consumer, token].concat()),
        ),
        key(
            "key_for_secret",
            "The client signed with the consumer key where the consumer secret belongs.",
            TrialKey::joined(case.presented.consumer_key(), token),
        ),
        key(
            "token_for_secret",
            "The client signed with the token where the token secret belongs.",
            TrialKey::joined(consumer, case.presented.token()),
        ),
        key(
            "encrypted_secrets",
            "The client signed with secrets as they stand in the database: they are encrypted there, take them from the admin.",
            TrialKey::joined(stored_consumer.expose().as_bytes(), stored_token.expose().as_bytes()),
        ),
    ];
    let (other, name) = match case.presented.method() {
        SignatureMethod::HmacSha256 => (SignatureMethod::HmacSha1, "HMAC-SHA1"),
        SignatureMethod::HmacSha1 => (SignatureMethod::HmacSha256, "HMAC-SHA256"),
    };
    let declared = case.presented.method().as_str();
    let fix = format!(
        "The client says {declared} and computed {name}: make oauth_signature_method and the code agree."
    );
    changes.push(Change::new("signature_method", fix, Apply::Algorithm(other)));
    changes
}

/// The presented code in its one right spelling, and what is wrong with the spelling that was sent.
///
/// # Errors
/// The cause, where it cannot be a code at all.
pub(super) fn readable(presented: &[u8]) -> Result<(String, Option<Cause>), Cause> {
    if presented.is_empty() {
        return Err(Cause::new("signature_empty", "oauth_signature is empty: the client did not sign."));
    }
    let text = String::from_utf8_lossy(presented);
    if STANDARD.decode(text.as_bytes()).is_ok_and(|code| is_code(&code)) {
        return Ok((text.into_owned(), None));
    }
    let spelled = |fix: &str| Some(Cause::new("signature_spelling", fix));
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let blanks = text.replace(' ', "+");
    let tries = [
        (
            GeneralPurpose::new(&STANDARD_ALPHABET, lenient).decode(blanks.trim_end_matches('\n')).ok(),
            "A `+` of the signature became a blank, or its `=` are missing: percent-encode the signature in the header.",
        ),
        (
            GeneralPurpose::new(&URL_SAFE, lenient).decode(text.as_bytes()).ok(),
            "The signature is in URL-safe base64: use the standard alphabet with `+`, `/` and `=`.",
        ),
        (
            STANDARD.decode(super::super::percent::decode(&text)).ok(),
            "The signature is percent-encoded twice: encode it once.",
        ),
        (hex::decode(text.trim()).ok(), "The signature is in hexadecimal: use base64."),
    ];
    let found = tries.into_iter().find_map(|(code, fix)| Some((code.filter(|code| is_code(code))?, fix)));
    match found {
        Some((code, fix)) => Ok((STANDARD.encode(code), spelled(fix))),
        None => Err(Cause::new(
            "signature_unreadable",
            "oauth_signature is not base64 of an HMAC (32 bytes for SHA256, 20 for SHA1): it was cut or never one.",
        )),
    }
}

/// Whether it is as long as an HMAC of ours.
const fn is_code(code: &[u8]) -> bool {
    matches!(code.len(), 20 | 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_recognized_in_any_spelling_and_nothing_else_is() {
        let code: Vec<u8> = (0..32).map(|n| n * 8 + 3).collect();
        let right = STANDARD.encode(&code);
        assert!(right.contains('+') || right.contains('/'));
        for (sent, is_right) in [
            (right.clone(), true),
            (right.replace('+', " "), !right.contains('+')),
            (right.trim_end_matches('=').to_owned(), false),
            (right.replace('+', "-").replace('/', "_"), false),
            (hex::encode(&code), false),
            (super::super::super::percent::encode(right.as_bytes()), false),
        ] {
            let (read, cause) = readable(sent.as_bytes()).unwrap_or_else(|cause| panic!("{sent}: {cause:?}"));
            assert_eq!(read, right, "{sent}");
            assert_eq!(cause.is_none(), is_right, "{sent}");
        }
        for (sent, name) in
            [("", "signature_empty"), ("***", "signature_unreadable"), ("YWJj", "signature_unreadable")]
        {
            assert_eq!(readable(sent.as_bytes()).unwrap_err().name, name);
        }
    }
}
