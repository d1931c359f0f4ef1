//! What comes over a connection before its first request: the PROXY line, the TLS handshake, the choice of protocol.
//!
//! Each has a time of its own and a bound on what is read. Who does not keep to them is closed without an answer and counted:
//! there is nobody to answer yet.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::BytesMut;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    progress::Observed,
    security::{Security, protocol_name},
    worker::WorkerSettings,
};
use crate::{
    metrics::{HandshakeLabel, Metrics},
    proxy::{
        peer::{Peer, TrustedProxies},
        proxy_line::{self, Announced, MAX_V2},
    },
};

/// What a client of HTTP/2 sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A client's socket, in the clear.
pub(super) type Plain = Observed<TcpStream>;

/// TLS on a listener.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// What handshakes go by.
    pub config: Arc<ServerConfig>,
    /// How long one may take.
    pub handshake_timeout: Duration,
}

/// A client that may now ask.
pub(super) struct Arrived {
    pub(super) peer: Peer,
    pub(super) stream: Stream,
    pub(super) speaks_http2: bool,
    pub(super) security: Option<Security>,
}

/// How bytes come.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(Plain),
    Tls(Box<TlsStream<Plain>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Why a client may not ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TurnedAway {
    #[error("the address may not send a PROXY line")]
    Unlisted,
    #[error("no PROXY line")]
    NoLine,
    #[error("the PROXY line came too late")]
    LateLine,
    #[error("no TLS handshake")]
    NoHandshake,
    #[error("the TLS handshake came too late")]
    LateHandshake,
    #[error("the client left")]
    Left,
}

impl TurnedAway {
    fn count(self, metrics: &Metrics) {
        match self {
            Self::Unlisted => metrics.edge.close("proxy_unlisted"),
            Self::NoLine => metrics.edge.close("proxy_malformed"),
            Self::LateLine => metrics.edge.close("proxy_late"),
            Self::NoHandshake => count_handshake(metrics, "failed"),
            Self::LateHandshake => count_handshake(metrics, "late"),
            Self::Left => {}
        }
    }
}

fn count_handshake(metrics: &Metrics, result: &'static str) {
    metrics.edge.handshakes.get_or_create(&HandshakeLabel { result }).inc();
}

/// Takes a client in, or turns it away and counts it.
pub(super) async fn arrive(
    settings: &WorkerSettings,
    socket: Plain,
    address: SocketAddr,
    metrics: &Metrics,
) -> Result<Arrived, TurnedAway> {
    let arrived = take_in(settings, socket, address, metrics).await;
    if let Err(turned_away) = &arrived {
        tracing::debug!(reason = %turned_away, address = %address, "connection closed before its first request");
        turned_away.count(metrics);
    }
    arrived
}

async fn take_in(
    settings: &WorkerSettings,
    mut socket: Plain,
    address: SocketAddr,
    metrics: &Metrics,
) -> Result<Arrived, TurnedAway> {
    let mut address = address.ip();
    let (mut believed, nobody) = (&settings.trusted_proxies, TrustedProxies::new(Vec::new()));
    if settings.requires_proxy_line {
        if !settings.trusted_proxies.contains(address) {
            return Err(TurnedAway::Unlisted);
        }
        let reading = proxy_line(&mut socket);
        let said = tokio::time::timeout(settings.header_timeout, reading).await;
        match said.map_err(|_late| TurnedAway::LateLine)?? {
            Announced::Client(client) => address = client,
            // Whoever came through it may have written whatever it likes.
            Announced::Sender => believed = &nobody,
        }
    }
    let peer = Peer::new(address, believed, settings.tls.is_some());
    let Some(tls) = &settings.tls else {
        let speaks_http2 = settings.h2c && {
            let reading = begins_http2(&mut socket);
            let begins = tokio::time::timeout(settings.header_timeout, reading).await;
            begins.map_err(|_late| TurnedAway::Left)?.map_err(|_gone| TurnedAway::Left)?
        };
        return Ok(Arrived { peer, stream: Stream::Plain(socket), speaks_http2, security: None });
    };
    let stream = shake_hands(tls, socket).await?;
    count_handshake(metrics, "done");
    let (_, session) = stream.get_ref();
    let speaks_http2 = session.alpn_protocol() == Some(b"h2");
    let security = Security::of(session.protocol_version().map(protocol_name), session.peer_certificates());
    Ok(Arrived { peer, stream: Stream::Tls(Box::new(stream)), speaks_http2, security: Some(security) })
}

/// Reads no more than a line may have; what was read behind it is put back.
async fn proxy_line(socket: &mut Plain) -> Result<Announced, TurnedAway> {
    let mut bytes = BytesMut::with_capacity(MAX_V2);
    loop {
        match proxy_line::read(&bytes) {
            proxy_line::Progress::Read(announced, length) => {
                socket.put_back(bytes.split_off(length).freeze());
                return Ok(announced);
            }
            proxy_line::Progress::Malformed => return Err(TurnedAway::NoLine),
            proxy_line::Progress::Incomplete => {}
        }
        if !matches!(socket.read_buf(&mut bytes).await, Ok(read) if read > 0) {
            return Err(if bytes.is_empty() { TurnedAway::Left } else { TurnedAway::NoLine });
        }
    }
}

/// Whether the client begins with the preface of HTTP/2; what was read is put back.
async fn begins_http2(socket: &mut Plain) -> io::Result<bool> {
    let mut bytes = BytesMut::with_capacity(PREFACE.len());
    let begins = loop {
        let agrees = bytes.iter().zip(PREFACE).all(|(byte, expected)| byte == expected);
        if !agrees || bytes.len() >= PREFACE.len() {
            break agrees;
        }
        if socket.read_buf(&mut bytes).await? == 0 {
            break false;
        }
    };
    socket.put_back(bytes.freeze());
    Ok(begins)
}

async fn shake_hands(tls: &TlsSettings, socket: Plain) -> Result<TlsStream<Plain>, TurnedAway> {
    let shaking = TlsAcceptor::from(Arc::clone(&tls.config)).accept(socket);
    match tokio::time::timeout(tls.handshake_timeout, shaking).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => {
            tracing::debug!(error = %error, "a TLS handshake failed");
            Err(TurnedAway::NoHandshake)
        }
        Err(_late) => Err(TurnedAway::LateHandshake),
    }
}
