//! Header fields as bytes, read and written the same way on both sides of the gate.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};

/// The fields of a head, whose values share its bytes; `None` where one cannot be passed on.
pub(super) fn fields(parsed: &[httparse::Header<'_>], head: &Bytes) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(parsed.len());
    for field in parsed {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_maybe_shared(head.slice_ref(field.value)).ok()?);
    }
    Some(headers)
}

/// Whether a field that lists words holds this one.
pub(super) fn says(headers: &HeaderMap, name: &HeaderName, word: &[u8]) -> bool {
    headers.get_all(name).iter().any(|value| {
        let mut words = value.as_bytes().split(|byte| *byte == b',');
        words.any(|said| said.trim_ascii().eq_ignore_ascii_case(word))
    })
}

/// Writes all but the framing, which is never repeated as it came.
pub(super) fn put_fields(output: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        if *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING {
            put_field(output, name.as_str(), value.as_bytes());
        }
    }
}

/// Writes one field.
pub(super) fn put_field(output: &mut Vec<u8>, name: &str, value: &[u8]) {
    put(output, [name.as_bytes(), b": ", value, b"\r\n"]);
}

/// Writes the length of a body.
pub(super) fn put_length(output: &mut Vec<u8>, length: u64) {
    put_field(output, CONTENT_LENGTH.as_str(), length.to_string().as_bytes());
}

/// Announces chunks.
pub(super) fn put_chunked(output: &mut Vec<u8>) {
    put_field(output, TRANSFER_ENCODING.as_str(), b"chunked");
}

/// Writes a piece of a body as a chunk; an empty one would be the last.
pub(super) fn put_chunk(output: &mut Vec<u8>, data: &[u8]) {
    if !data.is_empty() {
        put(output, [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"]);
    }
}

/// What ends a body in chunks.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// One look at the room for all parts.
pub(super) fn put<const N: usize>(output: &mut Vec<u8>, parts: [&[u8]; N]) {
    output.reserve(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        output.extend_from_slice(part);
    }
}
