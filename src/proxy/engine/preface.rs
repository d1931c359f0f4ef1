//! The first frame of an HTTP/2 client, which has to be its settings (RFC 9113 section 3.4).
//!
//! The codec reads any frame there and would serve a request that came before them.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Where the type of the first frame stands: behind 24 bytes of preface and three of the frame's length.
const TYPE_AT: usize = 24 + 3;

/// The type of a frame with settings.
const SETTINGS: u8 = 4;

/// A socket on which no other frame comes first.
#[derive(Debug)]
pub(super) struct Prefaced<S> {
    socket: S,
    /// Bytes that passed, up to the one that counts.
    passed: usize,
}

impl<S> Prefaced<S> {
    /// Looks at what comes first on `socket`.
    pub(super) const fn new(socket: S) -> Self {
        Self { socket, passed: 0 }
    }

    fn look(&mut self, arrived: &[u8]) -> io::Result<()> {
        let kind = TYPE_AT.checked_sub(self.passed).and_then(|offset| arrived.get(offset));
        self.passed = (self.passed + arrived.len()).min(TYPE_AT + 1);
        match kind {
            Some(kind) if *kind != SETTINGS => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "the first frame is no settings"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefaced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        if self.passed > TYPE_AT {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(self.look(buffer.filled().get(before..).unwrap_or_default()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefaced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_come_first_however_they_arrive() {
        for (kind, passes) in [(4_u8, true), (1, false), (6, false)] {
            let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            bytes.extend_from_slice(&[0, 0, 0, kind, 0, 0, 0, 0, 0]);
            // What follows is none of its business.
            bytes.extend_from_slice(&[1; 40]);
            for size in 1..=bytes.len() {
                let mut prefaced = Prefaced::new(());
                let passed = bytes.chunks(size).try_for_each(|piece| prefaced.look(piece));
                assert_eq!(passed.is_ok(), passes, "{kind} in pieces of {size}");
            }
        }
    }
}
