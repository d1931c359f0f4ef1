//! The value of `Authorization`: one credential, none, or a refusal; and the OAuth parameters in it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::auth::{
    bearer::BearerToken,
    credential::Credential,
    oauth1::{ProtocolParameters, SignatureMethods, check},
};

fuzz_target!(|bytes: &[u8]| {
    let _ = Credential::parse(bytes);
    if let Some(token) = BearerToken::parse(bytes) {
        assert!(token.as_bytes().len() <= bytes.len());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let parameters = ProtocolParameters::parse(text);
        assert!(parameters.is_empty() || parameters.entries().next().is_some());
        let _ = check(&parameters, SignatureMethods::default());
    }
});
