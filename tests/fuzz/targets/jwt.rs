//! Tokens that nobody signed with this key: refused, whatever they say, and taken apart without a fault.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::auth::{
    crypt_keys::CryptKeys,
    jwt::{JwtAlgorithm, JwtContents, JwtVerifier},
};

static VERIFIERS: LazyLock<[JwtVerifier; 3]> = LazyLock::new(|| {
    let keys = CryptKeys::parse("fedcba9876543210fedcba9876543210").expect("a key of 32 characters");
    [JwtAlgorithm::Hs256, JwtAlgorithm::Hs384, JwtAlgorithm::Hs512]
        .map(|algorithm| JwtVerifier::new(&keys, algorithm))
});

fuzz_target!(|token: &[u8]| {
    let contents = JwtContents::read(token);
    for verifier in &*VERIFIERS {
        assert!(verifier.verify(token).is_err(), "nobody guesses a signature");
    }
    if let Ok(contents) = contents {
        assert!(contents.header.len() + contents.claims.len() <= token.len() * 3);
    }
});
