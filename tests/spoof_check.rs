//! `portcullis check --spoof`: the command finds what a careless proxy lets through, and nothing behind the gate.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

mod support;

use std::{io::Write as _, net::SocketAddr, process::Command};

use support::{gate::Setup, upstream::Upstream};

/// Answers with the head and trailers that it got.
fn echo() -> Upstream {
    Upstream::answering(|request, socket| {
        let shown = [request.head.clone(), request.trailers.join("\n").into_bytes()].concat();
        let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", shown.len());
        socket.write_all(&[head.into_bytes(), shown].concat()).unwrap();
        false
    })
}

fn check(address: SocketAddr) -> (bool, String) {
    let url = format!("http://{address}/rest/V1/directory/currency");
    let command = Command::new(env!("CARGO_BIN_EXE_portcullis")).args(["check", "--spoof", &url]).output();
    let output = command.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn nothing_comes_through_the_gate() {
    let upstream = echo();
    let gate = Setup::before(upstream.address).start();
    let (passed, text) = check(gate.proxy);
    assert!(passed, "{text}");
    assert_eq!(text, "130 spellings sent, none came through\n");
}

#[test]
fn an_open_door_is_reported_spelling_by_spelling() {
    let (passed, text) = check(echo().address);
    assert!(!passed);
    assert!(text.contains("came through: x_auth_user_id as a header"), "{text}");
    assert!(text.contains("130 of 130 spellings came through"), "{text}");
}

#[test]
fn an_endpoint_that_shows_nothing_proves_nothing() {
    let mute = Upstream::answering(|_, socket| {
        socket.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").unwrap();
        false
    });
    let (passed, text) = check(mute.address);
    assert!(!passed);
    assert!(text.contains("does not show the headers it gets"), "{text}");
}
