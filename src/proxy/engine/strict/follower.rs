//! Where in a request the next byte belongs, request after request.
//!
//! Lines are judged where they lie in what arrived; only a line that is cut by the end of a read is put aside until the rest
//! comes, so that what is kept is never longer than a head may be.

use super::{
    Violation, chunk,
    line::{self, Says, Version},
};

/// The length of a CRLF.
const LINE_END: u64 = 2;

/// Follows the bytes of one connection.
#[derive(Debug)]
pub struct Follower {
    place: Place,
    /// The beginning of a line whose end did not arrive yet.
    cut: Vec<u8>,
    /// Bytes of the head or of the trailers so far.
    taken: usize,
    /// The most that a head or trailers may take.
    limit: usize,
}

/// Where the next byte belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before a request; a client may send one empty line there (RFC 9112 section 2.2).
    Start { was_empty: bool },
    /// In a head, and what it said of its body.
    Fields(Version, Says),
    /// In a body, or between a chunk's bytes and its end, with so many bytes to come.
    Body(u64),
    /// Before a chunk.
    ChunkSize,
    /// In a chunk, its CRLF included.
    Chunk(u64),
    /// Behind the last chunk.
    Trailers,
}

/// Where the framing was left, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// The byte of what arrived that may not be passed on.
    pub at: usize,
    /// What is wrong with it.
    pub violation: Violation,
    /// Whether a body was being sent: its request is under way.
    pub is_in_body: bool,
}

impl Follower {
    /// Follows a connection whose heads and trailers take at most `limit` bytes each.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { place: Place::Start { was_empty: false }, cut: Vec::new(), taken: 0, limit }
    }

    /// Takes note of what arrived.
    ///
    /// # Errors
    /// At the first byte that leaves the framing.
    pub fn follow(&mut self, arrived: &[u8]) -> Result<(), Broken> {
        // Not sooner: the reader was given more than the limit by then, and has answered so.
        if self.taken > self.limit {
            return Err(self.broken(0, Violation::Endless));
        }
        let mut rest = arrived;
        while !rest.is_empty() {
            let at = arrived.len() - rest.len();
            rest = match self.place {
                Place::Body(left) => self.skip(rest, left, Place::Body),
                Place::Chunk(left) => {
                    self.chunk(rest, left).map_err(|violation| self.broken(at, violation))?
                }
                Place::Start { .. } | Place::Fields(..) | Place::ChunkSize | Place::Trailers => {
                    self.line(rest).map_err(|(offset, violation)| self.broken(at + offset, violation))?
                }
            };
            if self.place == Place::Body(0) {
                *self = Self { cut: std::mem::take(&mut self.cut), ..Self::new(self.limit) };
            }
        }
        Ok(())
    }

    /// Takes the next line, or puts its beginning aside; what is behind it, or where it went wrong.
    fn line<'a>(&mut self, rest: &'a [u8]) -> Result<&'a [u8], (usize, Violation)> {
        let Some(end) = memchr::memchr(b'\n', rest) else {
            self.taken += rest.len();
            self.cut.extend_from_slice(rest);
            return Ok(&[]);
        };
        let (ended, after) = rest.split_at(end);
        self.taken += end + 1;
        let place = if self.cut.is_empty() {
            self.read(ended)
        } else {
            self.cut.extend_from_slice(ended);
            let line = std::mem::take(&mut self.cut);
            self.read(&line)
        };
        self.place = place.map_err(|violation| (end, violation))?;
        Ok(after.strip_prefix(b"\n").unwrap_or_default())
    }

    /// The place behind a line; `ended` is the line up to its LF.
    fn read(&mut self, ended: &[u8]) -> Result<Place, Violation> {
        let line = line::without_end(ended)?;
        match self.place {
            Place::Start { was_empty: false } if line.is_empty() => Ok(Place::Start { was_empty: true }),
            Place::Start { .. } => Ok(Place::Fields(line::request_line(line)?, Says::Nothing)),
            Place::Fields(_, said) if line.is_empty() => {
                self.taken = 0;
                Ok(match said {
                    Says::Nothing => Place::Body(0),
                    Says::Length(length) => Place::Body(length),
                    Says::Chunked => Place::ChunkSize,
                })
            }
            Place::Fields(version, said) => {
                Ok(Place::Fields(version, together(version, said, line::field(line)?)?))
            }
            Place::ChunkSize => {
                self.taken = 0;
                match chunk::size(line)? {
                    0 => Ok(Place::Trailers),
                    size => size.checked_add(LINE_END).map(Place::Chunk).ok_or(Violation::Chunk),
                }
            }
            Place::Trailers if line.is_empty() => Ok(Place::Body(0)),
            Place::Trailers => match line::field(line)? {
                Says::Nothing => Ok(Place::Trailers),
                Says::Length(_) | Says::Chunked => Err(Violation::Framing),
            },
            Place::Body(_) | Place::Chunk(_) => Ok(self.place),
        }
    }

    /// Takes bytes of a chunk; the last two must be its CRLF.
    fn chunk<'a>(&mut self, rest: &'a [u8], left: u64) -> Result<&'a [u8], Violation> {
        let data = left.saturating_sub(LINE_END);
        if data > 0 {
            let behind = self.skip(rest, data, |left| Place::Chunk(left + LINE_END));
            return Ok(behind);
        }
        let Some((first, behind)) = rest.split_first() else { return Ok(rest) };
        self.place = match (left, first) {
            (LINE_END, b'\r') => Place::Chunk(1),
            (1, b'\n') => Place::ChunkSize,
            _ => return Err(Violation::Chunk),
        };
        Ok(behind)
    }

    /// Counts bytes that are nobody's business; what is behind them.
    fn skip<'a>(&mut self, rest: &'a [u8], left: u64, place: fn(u64) -> Place) -> &'a [u8] {
        let count = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
        self.place = place(left - count as u64);
        rest.get(count..).unwrap_or_default()
    }

    fn broken(&self, at: usize, violation: Violation) -> Broken {
        let is_in_body = match self.place {
            Place::Start { .. } | Place::Fields(..) => false,
            Place::Body(_) | Place::ChunkSize | Place::Chunk(_) | Place::Trailers => true,
        };
        Broken { at, violation, is_in_body }
    }
}

/// What a head says of its body, with one more field.
const fn together(version: Version, said: Says, says: Says) -> Result<Says, Violation> {
    match (said, says) {
        (_, Says::Nothing) => Ok(said),
        (Says::Nothing, Says::Length(_)) => Ok(says),
        (Says::Nothing, Says::Chunked) if matches!(version, Version::Http11) => Ok(says),
        (Says::Nothing | Says::Length(_) | Says::Chunked, _) => Err(Violation::Framing),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1024;

    /// What becomes of bytes that arrive in pieces of `size`: everything, or how many were passed on and why no more.
    fn followed(bytes: &[u8], size: usize) -> Result<Place, (usize, Violation, bool)> {
        let mut follower = Follower::new(LIMIT);
        for (index, piece) in bytes.chunks(size).enumerate() {
            follower
                .follow(piece)
                .map_err(|broken| (index * size + broken.at, broken.violation, broken.is_in_body))?;
        }
        Ok(follower.place)
    }

    const BETWEEN: Result<Place, (usize, Violation, bool)> = Ok(Place::Start { was_empty: false });

    #[test]
    fn requests_follow_one_another_however_they_arrive() {
        let requests = concat!(
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\nGET / HTTP/1.0\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nHost: a\r\n\r\n\n\0#\r\r",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n\n\0#\r\r\r\n1;a=b\r\n0\r\n0\r\nX: y\r\n\r\n",
            "DELETE / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        );
        for size in 1..requests.len() {
            assert_eq!(followed(requests.as_bytes(), size), BETWEEN, "in pieces of {size}");
        }
    }

    #[test]
    fn what_leaves_the_framing_is_stopped_at_the_end_of_its_line() {
        let head = "POST / HTTP/1.1\r\n";
        for (fields, violation) in [
            ("Host: a\n", Violation::LineEnd),
            ("Host: a\rX: b\r\n", Violation::LineEnd),
            ("X: \0\r\n", Violation::Control),
            ("X: a\r\n b\r\n", Violation::Field),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Violation::Framing),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Violation::Framing),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Violation::Framing),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Violation::Framing),
        ] {
            let bytes = format!("{head}{fields}");
            for size in 1..=bytes.len() {
                let expected = Err((bytes.len() - 1, violation, false));
                assert_eq!(followed(bytes.as_bytes(), size), expected, "{fields:?} in pieces of {size}");
            }
        }
        assert_eq!(
            followed(b"\r\n\r\n", 4),
            Err((3, Violation::RequestLine, false)),
            "one empty line, not two"
        );
        let old = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(
            followed(old, 7),
            Err((old.len() - 1, Violation::Framing, false)),
            "HTTP/1.0 knows no coding"
        );
    }

    #[test]
    fn a_broken_body_is_told_from_a_broken_head() {
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (body, at, violation) in [
            ("5\n", 1, Violation::LineEnd),
            ("zz\r\n", 3, Violation::Chunk),
            ("2\r\nabX\r\n", 5, Violation::Chunk),
            ("2\r\nab\rX", 6, Violation::Chunk),
            ("2\r\nab\n", 5, Violation::Chunk),
            ("ffffffffffffffff\r\n", 17, Violation::Chunk),
            ("0\r\nX\r\n", 5, Violation::Field),
            ("0\r\nContent-Length: 1\r\n", 21, Violation::Framing),
        ] {
            let bytes = format!("{head}{body}");
            for size in 1..=bytes.len() {
                let expected = Err((head.len() + at, violation, true));
                assert_eq!(followed(bytes.as_bytes(), size), expected, "{body:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn what_is_kept_of_a_head_without_an_end_is_bounded() {
        let mut follower = Follower::new(LIMIT);
        let mut passed = 0;
        while follower.follow(&[b'a'; 100]).is_ok() {
            passed += 100;
        }
        assert!((LIMIT..=LIMIT + 100).contains(&passed), "{passed}");
        let trailers =
            format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{}", "X: y\r\n".repeat(LIMIT));
        assert!(matches!(followed(trailers.as_bytes(), 64), Err((_, Violation::Endless, true))));
    }

    /// The head counted into the line before the first chunk, and a long one was refused if that line came in two pieces.
    #[test]
    fn a_head_is_not_counted_into_what_follows_it() {
        let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n";
        let bytes = format!("{head}X: {}\r\n\r\n1\r\na\r\n0\r\n\r\n", "x".repeat(LIMIT - head.len() - 7));
        for size in [1, 2, 3, LIMIT + 1, bytes.len()] {
            assert_eq!(followed(bytes.as_bytes(), size), BETWEEN, "in pieces of {size}");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(bytes in "(GET|POST) / HTTP/1.[01]\r?\n(X: [a-z\t]*\r?\n|Content-Length: [0-9]\r\n|Transfer-Encoding: chunked\r\n){0,3}\r\n[0-9a\r\n]{0,12}", size in 1_usize..40) {
            prop_assert_eq!(followed(bytes.as_bytes(), size), followed(bytes.as_bytes(), bytes.len()));
        }
    }
}
