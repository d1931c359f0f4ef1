//! Base64url as a JWS has it (RFC 7515 §2), with the `=` padding that Magento tolerates.
//!
//! Only the canonical form decodes: unused bits must be zero, else one signature could be written in several ways and
//! a token refused by its bytes could come back in another dress.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::refusal::JwtRefusal;

const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes one part of a token.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, JwtRefusal> {
    BASE64URL.decode(text).map_err(|_| JwtRefusal::Malformed)
}

/// Encodes without padding.
pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_tolerated_and_anything_else_is_not() {
        for text in ["_-8", "_-8="] {
            assert_eq!(decode(text), Ok(vec![0xff, 0xef]), "{text}");
        }
        for text in ["/+8", "_-8==", "_-9", "_-8=A", "_ -8", "_", "=", "_-8\n"] {
            assert_eq!(decode(text), Err(JwtRefusal::Malformed), "{text}");
        }
    }
}
