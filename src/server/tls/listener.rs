//! The operator's listener: plain, or with the TLS that is in force when a connection comes.
//!
//! A handshake runs beside the others, so that a client that does not finish its own keeps nobody waiting. They are few at a
//! time: operators are few.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::home::TlsHome;

/// Handshakes at a time; further connections wait in the kernel.
const HANDSHAKES: usize = 32;

/// How long to wait when no connection can be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Hands out connections that can be served.
#[derive(Debug)]
pub(crate) struct AdminListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(AdminStream, SocketAddr)>,
}

/// An operator's connection.
#[derive(Debug)]
pub(crate) enum AdminStream {
    /// In the clear.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AdminListener {
    /// Accepts on the current runtime until it is dropped.
    ///
    /// # Errors
    /// When the listener has no address.
    pub(crate) fn new(listener: TcpListener, tls: TlsHome) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(1);
        tokio::spawn(async move {
            tokio::select! {
                () = accept_all(&listener, tls, &sender) => {}
                () = sender.closed() => {}
            }
        });
        Ok(Self { address, ready })
    }
}

async fn accept_all(listener: &TcpListener, tls: TlsHome, ready: &mpsc::Sender<(AdminStream, SocketAddr)>) {
    let room = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((socket, address)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (tls, ready) = (tls.admin(), ready.clone());
        tokio::spawn(async move {
            let _permit = permit;
            if let Some(stream) = greet(socket, tls).await {
                // Nobody takes it once the gate stops.
                let _ = ready.send((stream, address)).await;
            }
        });
    }
}

async fn greet(socket: TcpStream, tls: Option<(Arc<rustls::ServerConfig>, Duration)>) -> Option<AdminStream> {
    let Some((config, patience)) = tls else {
        return Some(AdminStream::Plain(socket));
    };
    match tokio::time::timeout(patience, TlsAcceptor::from(config).accept(socket)).await {
        Ok(Ok(stream)) => Some(AdminStream::Tls(Box::new(stream))),
        Ok(Err(error)) => {
            tracing::debug!(error = %error, "an operator's handshake failed");
            None
        }
        Err(_late) => None,
    }
}

impl Listener for AdminListener {
    type Io = AdminStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (AdminStream, SocketAddr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // The task ends with this listener alone.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl AsyncRead for AdminStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for AdminStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
