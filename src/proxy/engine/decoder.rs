//! Where a body of HTTP/1 ends: after its length, after the last chunk, or with the connection.
//!
//! It takes the body's bytes out of what has arrived and drops what frames them: chunk sizes, extensions, trailers. Lines
//! around chunks are bounded, because nothing else of them is kept.

use bytes::{Buf as _, Bytes, BytesMut};

use super::strict::chunk_size;

/// The most bytes of a chunk's line, and of all extensions and trailers of a body.
const MAX_LINES: usize = 16 * 1024;

/// The digits of a chunk's size that are no extension.
const PLAIN_SIZE: usize = 16;

/// A body's place between its first byte and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoder {
    /// So many bytes to come.
    Length(u64),
    /// In chunks, around which there were so many bytes of extensions and trailers.
    Chunked(Chunk, usize),
    /// Whatever comes before the connection ends.
    UntilClose,
}

/// A place in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Before a chunk's line.
    Size,
    /// In a chunk, so many bytes to come.
    Data(u64),
    /// Behind a chunk's bytes.
    End,
    /// Behind the last chunk.
    Trailers,
    /// Behind everything.
    Done,
}

/// What could be taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Data(Bytes),
    /// More has to arrive first.
    Nothing,
    End,
}

/// The framing was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is not framed as it says")]
pub(super) struct Misframed;

impl Decoder {
    /// A chunked body, nothing of it taken.
    pub(super) const CHUNKED: Self = Self::Chunked(Chunk::Size, 0);

    /// Whether everything was taken. A body until the end of the connection never tells.
    pub(super) const fn is_done(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Done, _))
    }

    /// Takes what can be taken of `arrived`.
    pub(super) fn take(&mut self, arrived: &mut BytesMut) -> Result<Taken, Misframed> {
        match self {
            Self::Length(0) => Ok(Taken::End),
            Self::Length(left) => Ok(piece(arrived, left)),
            Self::Chunked(chunk, around) => chunk.take(arrived, around),
            Self::UntilClose if arrived.is_empty() => Ok(Taken::Nothing),
            Self::UntilClose => Ok(Taken::Data(arrived.split().freeze())),
        }
    }
}

impl Chunk {
    fn take(&mut self, arrived: &mut BytesMut, around: &mut usize) -> Result<Taken, Misframed> {
        loop {
            *self = match *self {
                Self::Size => match line(arrived)? {
                    Some(line) => {
                        count(around, line.len().saturating_sub(PLAIN_SIZE))?;
                        match chunk_size(line.trim_ascii_end()).ok_or(Misframed)? {
                            0 => Self::Trailers,
                            size => Self::Data(size),
                        }
                    }
                    None => return Ok(Taken::Nothing),
                },
                Self::Data(0) => Self::End,
                Self::Data(mut left) => {
                    let taken = piece(arrived, &mut left);
                    *self = Self::Data(left);
                    return Ok(taken);
                }
                Self::End => match arrived.get(..2) {
                    Some(b"\r\n") => {
                        arrived.advance(2);
                        Self::Size
                    }
                    Some(_) => return Err(Misframed),
                    None => return Ok(Taken::Nothing),
                },
                Self::Trailers => match line(arrived)? {
                    Some(line) if line.is_empty() => Self::Done,
                    Some(line) => {
                        count(around, line.len() + 2)?;
                        Self::Trailers
                    }
                    None => return Ok(Taken::Nothing),
                },
                Self::Done => return Ok(Taken::End),
            };
        }
    }
}

/// Counts bytes that nobody reads.
fn count(around: &mut usize, bytes: usize) -> Result<(), Misframed> {
    *around += bytes;
    if *around > MAX_LINES { Err(Misframed) } else { Ok(()) }
}

fn piece(arrived: &mut BytesMut, left: &mut u64) -> Taken {
    let count = usize::try_from(*left).map_or(arrived.len(), |left| left.min(arrived.len()));
    if count == 0 {
        return Taken::Nothing;
    }
    *left -= count as u64;
    Taken::Data(arrived.split_to(count).freeze())
}

/// The next line without its CRLF, once it is there.
fn line(arrived: &mut BytesMut) -> Result<Option<Bytes>, Misframed> {
    let Some(end) = memchr::memchr(b'\n', arrived) else {
        return if arrived.len() > MAX_LINES { Err(Misframed) } else { Ok(None) };
    };
    let mut line = arrived.split_to(end + 1).freeze();
    let length = line.strip_suffix(b"\r\n").ok_or(Misframed)?.len();
    line.truncate(length);
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body that comes out, what is left over, and whether it reached its end, when bytes arrive in pieces of `size`.
    fn decoded(
        mut decoder: Decoder,
        bytes: &[u8],
        size: usize,
    ) -> Result<(Vec<u8>, Vec<u8>, bool), Misframed> {
        let (mut arrived, mut body) = (BytesMut::new(), Vec::new());
        for piece in bytes.chunks(size) {
            arrived.extend_from_slice(piece);
            while let Taken::Data(data) = decoder.take(&mut arrived)? {
                assert!(!data.is_empty());
                body.extend_from_slice(&data);
            }
        }
        Ok((body, arrived.to_vec(), decoder.is_done()))
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        let chunked = Decoder::CHUNKED;
        for (decoder, bytes, body, left, is_done) in [
            (Decoder::Length(0), "HTTP", "", "HTTP", true),
            (Decoder::Length(4), "HTTP", "HTTP", "", true),
            (Decoder::Length(3), "HTTP", "HTT", "P", true),
            (Decoder::Length(5), "HTTP", "HTTP", "", false),
            (Decoder::UntilClose, "HTTP", "HTTP", "", false),
            (chunked, "0\r\n\r\n", "", "", true),
            (chunked, "3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nX: y\r\n\r\nHTTP", "abcd", "HTTP", true),
            (chunked, "A  \r\n0123456789\r\n00\r\n\r\n", "0123456789", "", true),
            (chunked, "3\r\nab", "ab", "", false),
            (chunked, "3\r\nabc\r\n", "abc", "", false),
        ] {
            for size in 1..=bytes.len() {
                let expected = Ok((body.as_bytes().to_vec(), left.as_bytes().to_vec(), is_done));
                assert_eq!(
                    decoded(decoder, bytes.as_bytes(), size),
                    expected,
                    "{bytes:?} in pieces of {size}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_chunk_is_an_error() {
        let endless = "x".repeat(MAX_LINES + 1);
        let trailers = format!("0\r\n{}", "X: y\r\n".repeat(MAX_LINES));
        let extended = format!("1;{}\r\nx\r\n", "y".repeat(1000)).repeat(MAX_LINES / 1000 + 1);
        for bytes in [
            &extended,
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "3\nabc",
            "3\r\nabcX\r\n",
            "00000000000000001\r\n",
            &endless,
            &trailers,
        ] {
            assert_eq!(decoded(Decoder::CHUNKED, bytes.as_bytes(), 64), Err(Misframed), "{bytes:.20}");
        }
    }

    proptest! {
        #[test]
        fn chunks_come_out_as_they_went_in(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6), size in 1_usize..50) {
            let mut bytes: Vec<u8> = chunks.iter().flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()).collect();
            bytes.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(decoded(Decoder::CHUNKED, &bytes, size), Ok((chunks.concat(), Vec::new(), true)));
        }
    }
}
