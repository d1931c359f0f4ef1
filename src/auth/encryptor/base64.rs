//! Base64 as PHP's `base64_decode` reads it without its strict flag.
//!
//! Characters outside the alphabet are skipped, padding and a last lonely character are ignored. That is needed to
//! read what Magento reads, and harmless here: version-3 data is authenticated after decoding.

use zeroize::Zeroizing;

/// Decodes what is decodable; never fails.
pub(super) fn decode_leniently(text: &str) -> Zeroizing<Vec<u8>> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let (mut pending, mut bits) = (0_u32, 0_u32);
    for value in text.bytes().filter_map(sextet) {
        pending = (pending << 6) | u32::from(value);
        bits = bits.saturating_add(6);
        if bits >= 8 {
            bits = bits.saturating_sub(8);
            let [_, _, _, byte] = (pending >> bits).to_be_bytes();
            decoded.push(byte);
        }
    }
    decoded
}

const fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte.wrapping_sub(b'A')),
        b'a'..=b'z' => Some(byte.wrapping_sub(b'a').wrapping_add(26)),
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0').wrapping_add(52)),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ::base64::Engine;
    use ::base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn invalid_characters_are_skipped() {
        for text in ["aGVsbG8=", "aGVsbG8", "aGV sbG\n8=", "=aG=V-s_bG8*", "aGVsbG8=\u{fc}"] {
            assert_eq!(decode_leniently(text).as_slice(), b"hello", "{text}");
        }
        for text in ["", "***", "=", "a"] {
            assert!(decode_leniently(text).is_empty(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_canonical_decodes_as_usual(bytes: Vec<u8>) {
            let decoded = decode_leniently(&STANDARD.encode(&bytes));
            proptest::prop_assert_eq!(decoded.as_slice(), bytes.as_slice());
        }
    }
}
