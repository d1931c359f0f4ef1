//! The head check: bytes that two readers could take for different requests never reach the one that reads them.
//!
//! Parsers forgive what an attacker needs: a bare LF for an end of line, two equal Content-Lengths, a Content-Length beside
//! `Transfer-Encoding`, a `#` in the target. Behind them nobody can tell that they were there. So a `Strict` socket follows
//! the framing of each request as RFC 9112 writes it, head after head, and breaks the first one that leaves it: the client is
//! answered 400, the connection ends, and the upstream hears nothing.
//!
//! It decides no more than that. Which Host, path or credential a request may have is `sanitize`'s to say, and how long one may be its reader's.

mod chunk;
mod follower;
mod line;
mod socket;

pub use follower::{Broken, Follower};
pub(super) use socket::Strict;

/// The size in the line before a chunk.
pub(super) fn chunk_size(line: &[u8]) -> Option<u64> {
    chunk::size(line).ok()
}

/// What a request does that RFC 9112 does not let it do; the log's word for a refused head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A line ends in LF alone, or holds a CR that ends nothing (section 2.2).
    #[error("a line that does not end in CRLF")]
    LineEnd,
    /// NUL, or another control byte (section 5.5 of RFC 9110).
    #[error("a control byte")]
    Control,
    /// Not a method, a target and a version with one blank between them (section 3).
    #[error("a request line that is none")]
    RequestLine,
    /// A field without a name, with a blank before the colon, or folded over two lines (sections 5.1 and 5.2).
    #[error("a header field that is none")]
    Field,
    /// Two lengths, or one that is no number; a coding other than `chunked`; both; or a coding in HTTP/1.0 (section 6).
    #[error("a body whose length is open to doubt")]
    Framing,
    /// A chunk whose size is no hexadecimal number, or that is longer or shorter than it says (section 7.1).
    #[error("a chunk that is none")]
    Chunk,
    /// More bytes before the end of a head or of trailers than the limit for a head.
    #[error("a head or trailers without an end")]
    Endless,
}
