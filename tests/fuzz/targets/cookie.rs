//! `Cookie`: one session, none, or a refusal; and the store that a cookie or a parameter chooses.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::auth::{
    route::{AccountShare, StoreScope, StoreView},
    session::{BadSessionCookie, session_cookie},
};

static SCOPE: LazyLock<StoreScope> = LazyLock::new(|| {
    let view = |id, code: &str| StoreView { id, code: code.to_owned(), website_id: id };
    StoreScope::new(
        vec![view(0, "admin"), view(1, "default"), view(2, "fr")],
        Some(1),
        AccountShare::PerWebsite,
    )
});

/// The values that PHP files under `PHPSESSID`, arrays included.
fn sessions(headers: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
    let mut found = Vec::new();
    for pair in headers.iter().flat_map(|header| header.split(|byte| *byte == b';')) {
        let blanks = pair.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        match pair[blanks..].strip_prefix(b"PHPSESSID") {
            Some(b"") => found.push(Some(Vec::new())),
            Some([b'=', value @ ..]) => found.push(Some(value.to_vec())),
            Some([b'[', ..]) => found.push(None),
            _ => {}
        }
    }
    found
}

/// `rawurldecode`.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut rest = text;
    let mut decoded = Vec::new();
    while let Some((first, behind)) = rest.split_first() {
        let escape = behind.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let escape = escape.filter(|two| two.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match escape.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                decoded.push(byte);
                rest = &behind[2..];
            }
            None => {
                decoded.push(*first);
                rest = behind;
            }
        }
    }
    decoded
}

fuzz_target!(|bytes: &[u8]| {
    let headers: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let found = session_cookie(&mut headers.iter().copied(), "PHPSESSID");
    match (sessions(&headers).as_slice(), found) {
        ([], found) => assert!(matches!(found, Ok(None))),
        ([_, _, ..], found) => assert!(matches!(found, Err(BadSessionCookie::Ambiguous))),
        ([value], found) => {
            let is_legal = |byte: &u8| byte.is_ascii_alphanumeric() || b",-".contains(byte);
            let id = value.as_deref().map(decoded);
            let id = id.filter(|id| (1..=256).contains(&id.len()) && id.iter().all(is_legal));
            match (id, found) {
                (Some(id), Ok(Some(read))) => assert_eq!(read.as_bytes(), id),
                (None, Err(BadSessionCookie::Illegal)) => {}
                (expected, _) => panic!("{expected:?} was read otherwise"),
            }
        }
    }
    // The first line is a query too.
    let query = headers.first().and_then(|line| std::str::from_utf8(line).ok());
    if let Some(store) = SCOPE.chosen(query, headers.iter().copied()) {
        assert!([1, 2].contains(&store.id), "the store of admins is no customer's choice");
    }
});
