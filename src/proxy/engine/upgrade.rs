//! WebSocket: authenticated like any request, then two sockets tied together.
//!
//! The upstream connection is opened for this one exchange and never pooled: after `101` it speaks another protocol,
//! and without `101` nothing of the client may leak into a later request. Other upgrades are not offered to the upstream.

use std::rc::Rc;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE},
    request::Parts,
};
use hyper::{client::conn::http1, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncWriteExt as _, sync::oneshot};

use super::{
    arrival::Stream,
    body::{Outgoing, Source},
    connection::Client,
    exchange::Content,
    report::Report,
    strict::Strict,
    upstream::{Journey, Lease},
    worker::Service,
};
use crate::auth::rejection::Rejection;

/// A client's socket that speaks HTTP no more, and what it said already.
#[derive(Debug)]
pub(super) struct Near {
    pub(super) socket: Strict<Stream>,
    pub(super) ahead: Bytes,
}

/// Whether a request asks to become a WebSocket (RFC 6455 section 4.1). One with a body does not: the upstream would take
/// what follows the head for it.
pub(super) fn is_websocket(head: &Parts) -> bool {
    let has_body = head.headers.contains_key(CONTENT_LENGTH) || head.headers.contains_key(TRANSFER_ENCODING);
    let asks =
        head.headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let nominates = head.headers.get_all(CONNECTION).iter().any(|value| {
        let mut names = value.as_bytes().split(|byte| *byte == b',');
        names.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    });
    asks && nominates && !has_body && head.method == Method::GET && head.version == Version::HTTP_11
}

/// Forwards an upgrade; the tie lives on after the answer and counts as the client's connection.
pub(super) async fn forward(
    (client, service): (&Rc<Client>, &Service),
    mut head: Parts,
    near: oneshot::Receiver<Near>,
    report: &mut Report,
) -> Result<Response<Content>, Rejection> {
    head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    head.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let (pool, journey) = (&service.pool, Journey::default());
    let opened = pool.open_apart(&journey.endpoint).await;
    report.endpoint = journey.endpoint.get();
    let (wire, lease) = opened.map_err(|error| pool.rejection(&error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(wire)).await.map_err(|_| Rejection::UpstreamUnavailable)?;
    tokio::task::spawn_local(async move {
        let _ = connection.with_upgrades().await;
    });
    let request = Request::from_parts(head, Outgoing::Empty);
    let answer = tokio::time::timeout(pool.response_timeout(), sender.send_request(request)).await;
    let mut response = pool.settle(&lease, answer)?;
    report.upstream_answered();
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(service.answer(response.map(Source::Incoming)));
    }
    let far = hyper::upgrade::on(&mut response);
    let protocol = response.headers().get(UPGRADE).cloned();
    let mut answer = service.answer(response.map(Source::Incoming));
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = protocol {
        answer.headers_mut().insert(UPGRADE, protocol);
    }
    client.progress.upgraded();
    tokio::task::spawn_local(tie(near, far, (Rc::clone(client), lease)));
    let (head, _body) = answer.into_parts();
    Ok(Response::from_parts(head, Content::Own(Bytes::new())))
}

async fn tie(near: oneshot::Receiver<Near>, far: OnUpgrade, _counted: (Rc<Client>, Lease)) {
    // The first is there when the client was told; it may have gone before.
    let Ok(Near { socket: mut near, ahead }) = near.await else { return };
    let mut far = match far.await {
        Ok(far) => TokioIo::new(far),
        Err(error) => {
            tracing::debug!(error = %error, "an upgrade did not complete");
            return;
        }
    };
    // Either side may leave at any time; that is how a WebSocket ends.
    if far.write_all(&ahead).await.is_ok() {
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_websocket_is_a_get_that_asks_and_nominates_and_has_no_body() {
        let asking = [("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")];
        let with = |more: &'static [(&str, &str)]| [&asking[..], more].concat();
        for (method, headers, expected) in [
            ("GET", asking.to_vec(), true),
            ("POST", asking.to_vec(), false),
            ("GET", vec![("upgrade", "websocket")], false),
            ("GET", vec![("connection", "upgrade")], false),
            ("GET", vec![("connection", "upgrade"), ("upgrade", "h2c")], false),
            ("GET", with(&[("content-length", "5")]), false),
            ("GET", with(&[("transfer-encoding", "chunked")]), false),
        ] {
            let mut request = Request::builder().method(method).uri("/");
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(is_websocket(&head), expected, "{method} {headers:?}");
        }
    }
}
