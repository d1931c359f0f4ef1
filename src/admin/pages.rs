//! The pages of the operator's listener.

use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, State},
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::get,
    serve::Listener,
};
use tower_http::timeout::TimeoutLayer;

use crate::{metrics::Metrics, store::reference::Reference};

/// No page takes longer.
const PAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// What the pages show.
#[derive(Clone)]
pub struct AdminState {
    /// The figures.
    pub metrics: Arc<Metrics>,
    /// Brings the gauges up to date; called before each page of figures.
    pub measure: Arc<dyn Fn() + Send + Sync>,
    /// The tables in force, for readiness and ACL lists.
    pub reference: Arc<dyn Fn() -> Option<Arc<Reference>> + Send + Sync>,
    /// False once the gate drains.
    pub accepts: Arc<AtomicBool>,
    /// Whether the store was proven once.
    pub has_started: Arc<dyn Fn() -> bool + Send + Sync>,
    /// What else stands in the way of being ready.
    pub obstacle: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    /// False where an endpoint has to be healthy and none is.
    pub reaches_upstream: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminState")
    }
}

/// Serves the pages until `stop` completes.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: impl Listener<Addr = SocketAddr>,
    state: AdminState,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let pages = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/startupz", get(started))
        .route("/metrics", get(metrics))
        .route("/acl/{digest}", get(acl_list))
        .route("/integration/loginSuccessCallback", get(login_success))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, PAGE_TIMEOUT))
        .with_state(state);
    axum::serve(listener, pages).with_graceful_shutdown(stop).await
}

/// 200 from the first complete proof of the store on, whatever happens to it later: a start that is over is not undone.
async fn started(State(state): State<AdminState>) -> (StatusCode, String) {
    if (state.has_started)() {
        return (StatusCode::OK, "started\n".to_owned());
    }
    let reason = (state.obstacle)().unwrap_or_else(|| "the store has not been read yet".to_owned());
    (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n"))
}

/// 200 while requests can be decided: the store was read and the gate does not drain. The upstream counts only where the
/// configuration says so.
async fn ready(State(state): State<AdminState>) -> (StatusCode, String) {
    let refused = |reason: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n"));
    if !state.accepts.load(Ordering::Acquire) {
        refused("draining")
    } else if let Some(obstacle) = (state.obstacle)() {
        refused(&obstacle)
    } else if (state.reference)().is_none() {
        refused("the store has not been read yet")
    } else if !(state.reaches_upstream)() {
        refused("no endpoint of the upstream is healthy")
    } else {
        (StatusCode::OK, "ready\n".to_owned())
    }
}

async fn metrics(State(state): State<AdminState>) -> Response {
    (state.measure)();
    let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, form)], state.metrics.encode()).into_response()
}

/// Where a third party sends the browser after a person signed in there (`MAGENTO_AUTH` 4.8): the window closes. It says
/// nothing of what was asked, and the only script that may run is its own.
async fn login_success() -> Response {
    const PAGE: &str = "<!DOCTYPE html>\n<title>Signed in</title>\n<p>You can close this window.</p>\n\
        <script>setTimeout(() => self.close(), 1000);</script>\n";
    let policy = "default-src 'none'; script-src 'unsafe-inline'; frame-ancestors 'none'";
    let headers = [
        (CONTENT_TYPE, "text/html; charset=UTF-8"),
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, PAGE).into_response()
}

/// The list behind an `Acl-Digest` header.
async fn acl_list(State(state): State<AdminState>, Path(digest): Path<String>) -> Response {
    let reference = (state.reference)();
    match reference.as_ref().and_then(|reference| reference.long_list(&digest)) {
        Some(list) => list.to_owned().into_response(),
        None => (StatusCode::NOT_FOUND, "no role has this list\n").into_response(),
    }
}
