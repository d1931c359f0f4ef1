//! The demo's shop API: it answers every path with what reached it.

use std::io;

use axum::{
    Json, Router,
    extract::Request,
    http::{HeaderMap, StatusCode},
};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

/// Serves until it is aborted.
pub(super) async fn serve(listener: TcpListener) -> io::Result<()> {
    axum::serve(listener, Router::new().fallback(answer)).await
}

async fn answer(request: Request) -> (StatusCode, Json<Value>) {
    let path = request.uri().path_and_query().map(ToString::to_string);
    let (identity, rest) = split(request.headers());
    let status =
        if request.uri().path().contains("nothing") { StatusCode::NOT_FOUND } else { StatusCode::OK };
    let body = json!({
        "shop": "demo",
        "method": request.method().as_str(),
        "path": path,
        "identity_headers": identity,
        "other_headers": rest,
    });
    (status, Json(body))
}

/// What the gate said of the caller, and everything else.
fn split(headers: &HeaderMap) -> (Map<String, Value>, Map<String, Value>) {
    let (mut identity, mut rest) = (Map::new(), Map::new());
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let side = if name.as_str().starts_with("x-auth-") { &mut identity } else { &mut rest };
        side.insert(name.to_string(), Value::String(text));
    }
    (identity, rest)
}
