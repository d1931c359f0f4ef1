//! Shadow mode on the real gate: everything is forwarded, and our verdict compared with the upstream's.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

mod support;

use std::io::Write as _;

use support::{
    gate::{Gate, Setup},
    upstream::Upstream,
    wire::{exchange, request},
};

/// An integration's access token: nobody's bearer unless the configuration says so.
const NOT_A_BEARER: (&str, &str) = ("Authorization", "Bearer rcnp1r0ttgql8dyfay14d83fjc7k5q78");

/// An upstream that refuses whoever shows no credential, and serves whoever does.
fn upstream() -> Upstream {
    Upstream::answering(|request, socket| {
        let status = if request.header("authorization").is_some() { "200 OK" } else { "401 Unauthorized" };
        write!(socket, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").is_ok()
    })
}

fn gate(upstream: &Upstream) -> Gate {
    Setup::before(upstream.address)
        .with("upstream", "credentials = \"forward\"")
        .with("acl", "mode = \"shadow\"")
        .start()
}

fn counted(gate: &Gate, outcome: &str, reason: &str) -> bool {
    let page = exchange(gate.admin, &request("GET", "/metrics", &[("Connection", "close")], b"")).text();
    page.contains(&format!(
        "portcullis_shadow_verdicts_total{{outcome=\"{outcome}\",reason=\"{reason}\"}} 1\n"
    ))
}

#[test]
fn what_we_would_refuse_is_forwarded_as_guest_with_its_credentials() {
    let upstream = upstream();
    let gate = gate(&upstream);
    let spoof = ("X-Auth-User-Type", "admin");
    let bytes = request("GET", "/rest/V1/store/websites", &[NOT_A_BEARER, spoof], b"");
    assert_eq!(exchange(gate.proxy, &bytes).status(), 200, "the upstream's verdict counts");
    let seen = upstream.take_one();
    assert_eq!(seen.all("x-auth-user-type"), ["guest"]);
    assert_eq!(seen.header("authorization").as_deref(), Some(NOT_A_BEARER.1));
    assert!(counted(&gate, "only_gate", "resource_denied"));
}

#[test]
fn agreement_is_counted_and_so_is_what_only_the_upstream_refuses() {
    let upstream = upstream();
    let gate = gate(&upstream);
    let protected = request("GET", "/rest/V1/store/websites", &[], b"");
    assert_eq!(exchange(gate.proxy, &protected).status(), 401);
    assert!(counted(&gate, "agree", "resource_denied"));
    let open = request("GET", "/rest/V1/directory/currency", &[], b"");
    assert_eq!(exchange(gate.proxy, &open).status(), 401);
    assert!(counted(&gate, "only_upstream", "pass"));
}

#[test]
fn a_request_without_one_framing_is_refused_all_the_same() {
    let upstream = upstream();
    let gate = gate(&upstream);
    let two_hosts = b"GET /rest/V1/store/websites HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
    assert_eq!(exchange(gate.proxy, two_hosts).status(), 400);
    assert!(upstream.take().is_empty());
}

#[test]
fn an_ambiguous_path_is_the_upstreams_to_judge() {
    let upstream = upstream();
    let gate = gate(&upstream);
    let bytes = request("GET", "/rest/V1/x/../store/websites", &[NOT_A_BEARER], b"");
    assert_eq!(exchange(gate.proxy, &bytes).status(), 200);
    assert_eq!(upstream.take_one().target(), "/rest/V1/x/../store/websites");
    assert!(counted(&gate, "only_gate", "ambiguous_path"));
}
