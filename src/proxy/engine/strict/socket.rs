//! A client's socket on which every head is checked before it is read.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Violation, follower::Follower};
use crate::proxy::engine::progress::Progress;

/// A byte that no part of a head may hold, and the end of the head, without which nobody looks at what is there.
const REFUSED: &[u8] = b"\0\r\n\r\n";

/// A socket that passes on what is well framed. Of a head that is not, it passes what came before the fault and then what the
/// reader refuses, so that 400 comes behind the answers that are still due; reading a body that is not fails.
#[derive(Debug)]
pub(in crate::proxy::engine) struct Strict<S> {
    socket: S,
    progress: Rc<Progress>,
    follower: Follower,
    /// After the fault: what is still to be passed on.
    ending: Option<&'static [u8]>,
}

impl<S> Strict<S> {
    /// Checks what arrives on `socket`, until `progress` says that another protocol is spoken; a head takes at most `limit`
    /// bytes.
    pub(in crate::proxy::engine) const fn new(socket: S, progress: Rc<Progress>, limit: usize) -> Self {
        Self { socket, progress, follower: Follower::new(limit), ending: None }
    }

    /// The request's body was read to its end after all, though nobody wanted it.
    pub(in crate::proxy::engine) fn nothing_is_left(&self) {
        self.progress.nothing_left();
    }

    /// Follows what was read behind `before`, and puts an end to it where it leaves the framing.
    fn check(&mut self, before: usize, buffer: &mut ReadBuf<'_>) -> Result<(), Violation> {
        let arrived = buffer.filled().get(before..).unwrap_or_default();
        let Err(broken) = self.follower.follow(arrived) else { return Ok(()) };
        self.progress.violated(broken.violation);
        buffer.set_filled(before + broken.at);
        if broken.is_in_body {
            self.ending = Some(&[]);
            return Err(broken.violation);
        }
        self.ending = Some(pass(REFUSED, buffer));
        Ok(())
    }
}

/// Passes on as much as there is room for; the rest.
fn pass(bytes: &'static [u8], buffer: &mut ReadBuf<'_>) -> &'static [u8] {
    let (now, later) = bytes.split_at(bytes.len().min(buffer.remaining()));
    buffer.put_slice(now);
    later
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(ending) = self.ending {
            self.ending = Some(pass(ending, buffer));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        if self.progress.is_upgraded() {
            return Poll::Ready(Ok(()));
        }
        let checked = self.check(before, buffer);
        Poll::Ready(checked.map_err(|violation| io::Error::new(io::ErrorKind::InvalidData, violation)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Strict<S> {
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
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::proxy::engine::{progress::Patience, stall::Pace};

    /// What is read, in pieces of `size`, of `bytes` on a connection that ends behind them.
    async fn passed(bytes: &[u8], size: usize) -> (Vec<u8>, Option<io::ErrorKind>) {
        let (near, mut far) = tokio::io::duplex(1024);
        far.write_all(bytes).await.unwrap();
        drop(far);
        let second = Duration::from_secs(1);
        let pace = Pace { grace: second, bytes_per_second: 0 };
        let progress = Progress::start(Patience { head: second, idle: second, write: second, pace });
        let mut socket = Strict::new(near, progress, 1024);
        let (mut read, mut piece) = (Vec::new(), vec![0; size]);
        loop {
            match socket.read(&mut piece).await {
                Ok(0) => return (read, None),
                Ok(count) => read.extend_from_slice(&piece[..count]),
                Err(error) => return (read, Some(error.kind())),
            }
        }
    }

    #[tokio::test]
    async fn what_is_well_framed_passes_as_it_is() {
        let bytes = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n\0\nGET / HTTP/1.1\r\n\r\n";
        for size in [1, 7, 1024] {
            assert_eq!(passed(bytes, size).await, (bytes.to_vec(), None));
        }
    }

    #[tokio::test]
    async fn a_broken_head_ends_in_what_no_parser_takes_and_nothing_of_the_rest_passes() {
        for size in [1, 3, 20, 1024] {
            let (read, error) = passed(b"GET / HTTP/1.1\r\nX: a\n\r\nGET /next HTTP/1.1\r\n\r\n", size).await;
            assert_eq!(read, b"GET / HTTP/1.1\r\nX: a\0\r\n\r\n", "in pieces of {size}");
            assert_eq!(error, None);
        }
    }

    #[tokio::test]
    async fn a_broken_body_is_an_error() {
        let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (read, error) = passed(&[&head[..], b"2\r\nabXX"].concat(), 1024).await;
        assert_eq!((read, error), (Vec::new(), Some(io::ErrorKind::InvalidData)));
        let (read, error) = passed(&[&head[..], b"2\r\nabXX"].concat(), head.len()).await;
        assert_eq!((read, error), (head.to_vec(), Some(io::ErrorKind::InvalidData)));
    }
}
