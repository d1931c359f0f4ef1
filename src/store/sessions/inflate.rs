//! Magento's compression of sessions in Redis: a prefix of four bytes, then a stream.
//!
//! `:gz:` is zlib. The others (`:sn:`, `:lz:`, `:l4:`) need libraries that few installations have, and are refused; text
//! without a prefix is as it stands. What comes out is bounded while it comes out: a small value can be a large session.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

use crate::auth::session::{MAX_SESSION_BYTES, UnreadableSession};

/// The text of a stored value, or the word for the log.
pub(super) fn inflate(data: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    let Some((prefix, stream)) = data.split_at_checked(4) else { return bounded(data) };
    match prefix {
        b":gz:" => {
            let most = u64::try_from(MAX_SESSION_BYTES).unwrap_or(u64::MAX).saturating_add(1);
            let mut text = Vec::new();
            let inflated = ZlibDecoder::new(stream).take(most).read_to_end(&mut text);
            inflated.map_err(|_| UnreadableSession::Malformed.reason())?;
            bounded(text)
        }
        b":sn:" | b":lz:" | b":l4:" => Err("session_compression"),
        _ => bounded(data),
    }
}

fn bounded(text: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    if text.len() > MAX_SESSION_BYTES { Err(UnreadableSession::TooLong.reason()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use flate2::{Compression, write::ZlibEncoder};
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_recorded_value_gives_its_text() {
        let recorded: Vec<Value> =
            serde_json::from_str(include_str!("../../../tests/vectors/session_redis.json")).unwrap();
        assert_eq!(recorded.len(), 4);
        for hash in recorded {
            let decoded = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
            let data = decoded(&hash["fields"]["data"]);
            let text = hash.get("data_decompressed_b64").map_or_else(|| data.clone(), decoded);
            assert_eq!(inflate(data), Ok(text), "{}", hash["key"]);
        }
    }

    #[test]
    fn other_libraries_damage_and_bombs_are_refused() {
        let zeros = |count: usize| {
            let mut encoder = ZlibEncoder::new(b":gz:".to_vec(), Compression::best());
            encoder.write_all(&vec![0; count]).unwrap();
            encoder.finish().unwrap()
        };
        assert_eq!(inflate(zeros(MAX_SESSION_BYTES)).map(|text| text.len()), Ok(MAX_SESSION_BYTES));
        assert_eq!(inflate(zeros(64 << 20)), Err("session_too_long"));
        assert_eq!(inflate(vec![b'x'; MAX_SESSION_BYTES + 1]), Err("session_too_long"));
        let mut torn = zeros(1000);
        torn.truncate(torn.len() - 6);
        for (data, answer) in [
            (b"".to_vec(), Ok(Vec::new())),
            (b"a|N".to_vec(), Ok(b"a|N".to_vec())),
            (b":sn:x".to_vec(), Err("session_compression")),
            (b":lz:x".to_vec(), Err("session_compression")),
            (b":l4:x".to_vec(), Err("session_compression")),
            (b":gz:x".to_vec(), Err("session_malformed")),
            (torn, Err("session_malformed")),
        ] {
            assert_eq!(inflate(data.clone()), answer, "{}", data.escape_ascii());
        }
    }
}
