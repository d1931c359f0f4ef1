//! HTTP/2 to an endpoint: one connection of a worker carries many requests.
//!
//! What may be said in HTTP/1.1 alone is left out, the target's authority is the `Host` that the client was judged by, and
//! each answer's window is small enough that answers which nobody reads cannot stop the others. After a GOAWAY the
//! connection takes no further request, and those under way end on it.

use std::{
    cell::Cell,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use http::{
    Request, Response, Uri, Version,
    header::HOST,
    request::Parts,
    uri::{Authority, PathAndQuery, Scheme},
};
use hyper::{
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
    rt::Executor,
};
use hyper_util::rt::{TokioIo, TokioTimer};

use super::{endpoint::ConnectError, settings::Reach, upload::Upload, wire::Wire};
use crate::proxy::engine::body::Outgoing;

/// Requests that share a connection; further ones make another.
const STREAMS: u32 = 64;

/// What the upstream may send of an answer before it is read.
const STREAM_WINDOW: u32 = 128 * 1024;

/// The longest head of an answer; as over HTTP/1.1.
const MAX_HEAD: u32 = 256 * 1024;

/// How often a connection with requests under way is tried.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// How long it may take to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that requests share.
#[derive(Debug)]
pub(super) struct Multiplex {
    sender: SendRequest<Outgoing>,
    remote: SocketAddr,
    load: Rc<Load>,
}

#[derive(Debug)]
struct Load {
    streams: Cell<u32>,
    /// When the last request began or ended.
    used: Cell<Instant>,
}

/// A request's share of a connection.
#[derive(Debug)]
pub(super) struct Stream {
    sender: SendRequest<Outgoing>,
    load: Rc<Load>,
}

/// hyper's tasks run on the worker's own thread.
#[derive(Debug, Clone, Copy)]
struct Here;

impl<F: Future + 'static> Executor<F> for Here {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            let _ = task.await;
        });
    }
}

impl Multiplex {
    /// Shakes hands over a connection.
    pub(super) async fn over(wire: Wire, reach: &Reach) -> Result<Self, ConnectError> {
        let remote = wire.remote;
        let mut builder = Builder::new(Here);
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(STREAM_WINDOW * STREAMS)
            .max_header_list_size(MAX_HEAD)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        let handshake = builder.handshake(TokioIo::new(wire));
        let shaken = tokio::time::timeout(reach.connect_timeout, handshake).await;
        let (sender, connection) = shaken.map_err(|_elapsed| ConnectError::Timeout)??;
        tokio::task::spawn_local(async move {
            // As for HTTP/1.1: whoever waits for an answer hears of it.
            let _ = connection.await;
        });
        let load = Rc::new(Load { streams: Cell::new(0), used: Cell::new(Instant::now()) });
        Ok(Self { sender, remote, load })
    }

    /// A share for one request.
    pub(super) fn stream(&self) -> Stream {
        self.load.streams.set(self.load.streams.get() + 1);
        self.load.used.set(Instant::now());
        Stream { sender: self.sender.clone(), load: Rc::clone(&self.load) }
    }

    /// Whether one more request may share it.
    pub(super) fn has_room(&self) -> bool {
        !self.is_closed() && self.load.streams.get() < STREAMS
    }

    /// Whether it takes no further request.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether no request is under way.
    pub(super) fn is_unused(&self) -> bool {
        self.load.streams.get() == 0
    }

    /// Whether it should be kept: in use, or used of late and leading where the endpoint is.
    pub(super) fn is_worth(&self, limit: Duration, leads: &impl Fn(SocketAddr) -> bool) -> bool {
        !self.is_unused() || (self.load.used.get().elapsed() <= limit && leads(self.remote))
    }
}

impl Stream {
    /// Whether the connection takes no further request.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends a request and waits for the head of its answer. Where nothing of it was written, its body is back in `upload`.
    pub(super) async fn send(
        &mut self,
        head: &Parts,
        upload: &mut Upload,
        is_tls: bool,
    ) -> Result<Response<Incoming>, String> {
        let head = translate(head.clone(), is_tls).ok_or_else(|| "the host is no authority".to_owned())?;
        upload.is_begun = true;
        let sent = self.sender.try_send_request(Request::from_parts(head, upload.take_body())).await;
        sent.map_err(|mut error| {
            if let Some(request) = error.take_message() {
                *upload = Upload::new(request.into_body());
            }
            error.into_error().to_string()
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.load.streams.set(self.load.streams.get().saturating_sub(1));
        self.load.used.set(Instant::now());
    }
}

/// RFC 9113 section 8.3.1: scheme and authority stand beside the path, and `Host` says nothing else, so it is left out.
fn translate(mut head: Parts, is_tls: bool) -> Option<Parts> {
    let authority = Authority::try_from(head.headers.remove(HOST)?.as_bytes()).ok()?;
    let scheme = if is_tls { Scheme::HTTPS } else { Scheme::HTTP };
    let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    head.uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().ok()?;
    head.version = Version::HTTP_2;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_is_the_host_and_the_path_stays_as_it_is() {
        for target in ["/rest/V1/x%2Fy?a=b&c", "/", "*"] {
            let request =
                Request::builder().uri(target).header("host", "shop.test:8443").header("x-other", "1");
            let sent = translate(request.body(()).unwrap().into_parts().0, true).unwrap();
            assert_eq!(sent.uri.authority().unwrap(), "shop.test:8443");
            assert_eq!(sent.uri.scheme_str(), Some("https"));
            assert_eq!(sent.uri.path_and_query().unwrap(), target);
            assert!(!sent.headers.contains_key("host"));
            assert_eq!(sent.headers["x-other"], "1");
        }
        let nameless = Request::get("/").body(()).unwrap();
        assert!(translate(nameless.into_parts().0, false).is_none());
    }
}
