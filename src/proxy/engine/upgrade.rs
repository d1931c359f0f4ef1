//! WebSocket: authenticated like any request, then two sockets tied together.
//!
//! The upstream connection is opened for this one exchange and never pooled: after `101` it speaks another protocol,
//! and without `101` nothing of the client may leak into a later request. Other upgrades are not offered to the upstream.

use std::rc::Rc;

use http::{
    Extensions, HeaderValue, Request, Response, StatusCode, Version,
    header::{CONNECTION, UPGRADE},
    request::Parts,
};
use hyper::{client::conn::http1, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;

use super::{
    body::Outgoing,
    connection::Worker,
    exchange::{Content, unreachable_upstream},
    report::Report,
};
use crate::auth::rejection::Rejection;

/// Whether a request asks to become a WebSocket.
pub(super) fn is_websocket(head: &Parts) -> bool {
    let asks =
        head.headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let nominates = head.headers.get_all(CONNECTION).iter().any(|value| {
        let mut names = value.as_bytes().split(|byte| *byte == b',');
        names.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    });
    asks && nominates && head.version == Version::HTTP_11
}

/// Forwards an upgrade; the tie lives on after the answer.
pub(super) async fn forward(
    worker: &Rc<Worker>,
    mut head: Parts,
    mut client: Extensions,
    report: &mut Report,
) -> Result<Response<Content>, Rejection> {
    let client = client.remove::<OnUpgrade>();
    head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    head.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let socket = worker.pool.open_socket().await.map_err(|error| unreachable_upstream(&error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(socket)).await.map_err(|_| Rejection::UpstreamUnavailable)?;
    tokio::task::spawn_local(async move {
        let _ = connection.with_upgrades().await;
    });
    let request = Request::from_parts(head, Outgoing::Empty);
    let timeout = worker.shared.settings.upstream.response_timeout;
    let mut response = tokio::time::timeout(timeout, sender.send_request(request))
        .await
        .map_err(|_elapsed| Rejection::UpstreamTimeout)?
        .map_err(|_error| Rejection::UpstreamUnavailable)?;
    report.upstream_answered();
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(worker.answer(response, None));
    }
    let upstream = hyper::upgrade::on(&mut response);
    let protocol = response.headers().get(UPGRADE).cloned();
    let mut answer = worker.answer(response, None);
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = protocol {
        answer.headers_mut().insert(UPGRADE, protocol);
    }
    if let Some(client) = client {
        tokio::task::spawn_local(tie(client, upstream));
    }
    let (head, _body) = answer.into_parts();
    Ok(Response::from_parts(head, Content::Own(bytes::Bytes::new())))
}

async fn tie(client: OnUpgrade, upstream: OnUpgrade) {
    let (client, upstream) = match tokio::try_join!(client, upstream) {
        Ok(sides) => sides,
        Err(error) => {
            tracing::debug!(error = %error, "an upgrade did not complete");
            return;
        }
    };
    let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
    // Either side may leave at any time; that is how a WebSocket ends.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
}
