//! Asking an endpoint for its health, on a connection of its own, away from the workers.
//!
//! A question is a GET whose status alone counts; its body is not read. Questions of several endpoints and several gates are
//! spread over the interval.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri, header::HOST, uri::PathAndQuery};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::{
    endpoint::{ConnectError, Endpoint, Purpose},
    settings::ProbeSettings,
    vitals,
};

/// What a question is answered with where it is not well.
#[derive(Debug, thiserror::Error)]
enum Ill {
    #[error("no answer in time")]
    Timeout,
    #[error("{0}")]
    Connect(#[from] ConnectError),
    #[error("the connection broke: {0}")]
    Http(#[from] hyper::Error),
    #[error("the question cannot be asked: {0}")]
    Question(#[from] http::Error),
    #[error("answered {0}")]
    Status(u16),
}

/// Asks for as long as it is polled.
pub(super) async fn ask_on(endpoint: Arc<Endpoint>, settings: Arc<ProbeSettings>) {
    let (mut good, mut bad) = (0_u32, 0_u32);
    tokio::time::sleep(settings.interval.mul_f64(rand::random_range(0.0..0.2))).await;
    loop {
        match ask_in_time(&endpoint, &settings).await {
            Ok(()) => (good, bad) = (good.saturating_add(1), 0),
            Err(ill) => {
                (good, bad) = (0, bad.saturating_add(1));
                note_bad(&endpoint, &ill, bad >= settings.unhealthy);
            }
        }
        if good >= settings.healthy && endpoint.vitals.found(true, vitals::now()) {
            tracing::info!(endpoint = &*endpoint.settings.name, "the endpoint is healthy again");
        }
        tokio::time::sleep(spread(settings.interval)).await;
    }
}

fn note_bad(endpoint: &Endpoint, ill: &Ill, is_enough: bool) {
    let name = &*endpoint.settings.name;
    if is_enough && endpoint.vitals.found(false, vitals::now()) {
        tracing::warn!(endpoint = name, error = %ill, "the endpoint is not healthy");
    } else {
        tracing::debug!(endpoint = name, error = %ill, "the endpoint was asked for its health");
    }
}

fn spread(interval: Duration) -> Duration {
    interval.mul_f64(rand::random_range(0.9..1.1))
}

async fn ask_in_time(endpoint: &Endpoint, settings: &ProbeSettings) -> Result<(), Ill> {
    let asking = tokio::time::timeout(settings.timeout, ask(endpoint, settings));
    let answer = asking.await.map_err(|_elapsed| Ill::Timeout)??;
    let status = answer.status().as_u16();
    if settings.status.contains(&status) { Ok(()) } else { Err(Ill::Status(status)) }
}

/// The answer's head; the connection is closed when this returns.
async fn ask(endpoint: &Endpoint, settings: &ProbeSettings) -> Result<Response<Incoming>, Ill> {
    let (wire, is_http2) = endpoint.open(endpoint.room_beside(), Purpose::Requests).await?;
    let request = question(endpoint, settings, is_http2)?;
    let io = TokioIo::new(wire);
    if is_http2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        let answer = sender.send_request(request);
        tokio::select! {
            biased;
            answer = answer => Ok(answer?),
            Err(error) = connection => Err(error.into()),
        }
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
        let answer = sender.send_request(request);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            biased;
            answer = answer => Ok(answer?),
            Err(error) = connection.as_mut() => Err(error.into()),
        }
    }
}

fn question(
    endpoint: &Endpoint,
    settings: &ProbeSettings,
    is_http2: bool,
) -> Result<Request<Empty<Bytes>>, Ill> {
    let own = || format_authority(&endpoint.settings.host, endpoint.settings.port);
    let host = match settings.host.as_ref().and_then(|host| host.to_str().ok()) {
        Some(host) => host.to_owned(),
        None => own(),
    };
    let scheme = if endpoint.settings.is_tls { "https" } else { "http" };
    let request = Request::get(target(&settings.path, is_http2.then_some((scheme, &*host)))?);
    let request = if is_http2 { request } else { request.header(HOST, host).header("connection", "close") };
    Ok(request.header("user-agent", "portcullis-health").body(Empty::new())?)
}

/// The path alone, or in HTTP/2 what stands beside it.
fn target(path: &PathAndQuery, origin: Option<(&str, &str)>) -> Result<Uri, http::Error> {
    let Some((scheme, authority)) = origin else { return Ok(Uri::from(path.clone())) };
    Uri::builder().scheme(scheme).authority(authority).path_and_query(path.clone()).build()
}

fn format_authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
