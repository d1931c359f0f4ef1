//! Base strings made slowly and plainly, from the text of the standard and of Magento's rules.
//!
//! Every step makes a list of strings. What is hard to get wrong here is compared with what is fast elsewhere.

use std::cmp::Ordering;

use super::*;
use crate::auth::oauth1::magento_path;

pub(super) fn encode(text: &[u8]) -> String {
    text.iter()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(*byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

pub(super) fn decode(text: &[u8], plus_is_blank: bool) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let escape = text.get(at + 1..at + 3).filter(|two| two.iter().all(u8::is_ascii_hexdigit));
        match (text[at], escape) {
            (b'%', Some(two)) => {
                decoded.push(u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap());
                at += 2;
            }
            (b'+', _) if plus_is_blank => decoded.push(b' '),
            (byte, _) => decoded.push(byte),
        }
        at += 1;
    }
    decoded
}

fn split_once(text: &[u8]) -> (Vec<u8>, Vec<u8>) {
    match text.iter().position(|byte| *byte == b'=') {
        Some(at) => (text[..at].to_vec(), text[at + 1..].to_vec()),
        None => (text.to_vec(), Vec::new()),
    }
}

fn pieces(text: &[u8]) -> Vec<&[u8]> {
    text.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty()).collect()
}

fn is_protocol_name(name: &[u8]) -> bool {
    let text = String::from_utf8_lossy(name);
    text.match_indices("oauth_").any(|(at, _)| {
        text[at + 6..].chars().next().is_some_and(|next| next.is_ascii_lowercase() || "_-".contains(next))
    })
}

/// Name, value and whether the raw name is a protocol name, in header order.
fn header_pairs(credentials: &str) -> Vec<(Vec<u8>, Vec<u8>, bool)> {
    credentials
        .split(',')
        .map(|piece| piece.trim_matches([' ', '\t', '\n', '\r', '\0', '\x0b']))
        .filter_map(|piece| piece.split_once('='))
        .map(|(name, value)| {
            let value = decode(value.trim_matches('"').as_bytes(), false);
            (decode(name.as_bytes(), false), value, is_protocol_name(name.as_bytes()))
        })
        .collect()
}

/// RFC 5849 §3.4.1.
pub(super) fn rfc5849(credentials: &str, request: &SignedRequest<'_>) -> String {
    let mut pairs: Vec<(String, String)> = header_pairs(credentials)
        .into_iter()
        .filter(|(name, _, _)| !name.eq_ignore_ascii_case(b"realm") && name != b"oauth_signature")
        .map(|(name, value, _)| (encode(&name), encode(&value)))
        .collect();
    let query = request.query.unwrap_or_default().as_bytes();
    for piece in pieces(query).into_iter().chain(pieces(request.form.unwrap_or_default())) {
        let (name, value) = split_once(piece);
        pairs.push((encode(&decode(&name, true)), encode(&decode(&value, true))));
    }
    pairs.sort();
    join(request, request.path, &pairs)
}

/// `MAGENTO_AUTH` sections 3.1 and 3.5: one map in order of insertion, then `uksort` with `strnatcmp`.
pub(super) fn magento(credentials: &str, request: &SignedRequest<'_>) -> String {
    let mut map: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut set = |name: Vec<u8>, value: Vec<u8>| match map.iter_mut().find(|(known, _)| *known == name) {
        Some((_, old)) => *old = value,
        None => map.push((name, value)),
    };
    for (name, value, _) in header_pairs(credentials).into_iter().filter(|(_, _, protocol)| *protocol) {
        set(name, value);
    }
    for piece in pieces(request.form.unwrap_or_default()) {
        let (name, value) = split_once(piece);
        let name = decode(&name, true);
        let start = name.iter().position(|byte| *byte != b' ').unwrap_or(name.len());
        let name: Vec<u8> =
            name[start..].iter().map(|byte| if b". ".contains(byte) { b'_' } else { *byte }).collect();
        // What PHP would cut or nest is never verified, and left out.
        let is_plain = !name.is_empty() && !name.contains(&b'[') && !name.contains(&0);
        if is_plain && !is_protocol_name(&name) {
            set(name, decode(&value, true));
        }
    }
    for piece in pieces(request.query.unwrap_or_default().as_bytes()) {
        let (name, value) = split_once(piece);
        if piece.iter().filter(|byte| **byte == b'=').count() == 1 && !is_protocol_name(&name) {
            set(decode(&name, false), decode(&value, false));
        }
    }
    let mut pairs: Vec<(String, String)> = map
        .iter()
        .filter(|(name, _)| name != b"oauth_signature")
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort_by(|(a, _), (b, _)| strnatcmp(a, b));
    join(request, &magento_path(request.path), &pairs)
}

fn join(request: &SignedRequest<'_>, path: &str, pairs: &[(String, String)]) -> String {
    let (scheme, port) = match request.scheme {
        Scheme::Http => ("http", ":80"),
        Scheme::Https => ("https", ":443"),
    };
    let host = request.host.to_lowercase();
    let host = host.strip_suffix(port).unwrap_or(&host);
    let path = if path.is_empty() { "/" } else { path };
    let list: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let parts = [request.method.to_uppercase(), format!("{scheme}://{host}{path}"), list.join("&")];
    parts.map(|part| encode(part.as_bytes())).join("&")
}

/// A text as numbers and other bytes: the order of these lists is PHP's order of the texts.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    Number(String),
    Byte(u8),
}

fn tokens(text: &str) -> Vec<Token> {
    let mut bytes = text.bytes().peekable();
    let mut tokens = Vec::new();
    while let Some(byte) = bytes.next() {
        if !byte.is_ascii_digit() {
            tokens.push(Token::Byte(byte));
            continue;
        }
        let mut number = char::from(byte).to_string();
        while let Some(digit) = bytes.next_if(u8::is_ascii_digit) {
            number.push(char::from(digit));
        }
        if tokens.is_empty() {
            number = match number.trim_start_matches('0') {
                "" => "0".to_owned(),
                digits => digits.to_owned(),
            };
        }
        tokens.push(Token::Number(number));
    }
    tokens
}

fn strnatcmp(a: &str, b: &str) -> Ordering {
    for (left, right) in tokens(a).iter().zip(tokens(b).iter()) {
        let order = match (left, right) {
            (Token::Number(x), Token::Number(y)) if x.starts_with('0') || y.starts_with('0') => x.cmp(y),
            (Token::Number(x), Token::Number(y)) => x.len().cmp(&y.len()).then_with(|| x.cmp(y)),
            (Token::Number(x), Token::Byte(y)) => x.as_bytes()[0].cmp(y),
            (Token::Byte(x), Token::Number(y)) => x.cmp(&y.as_bytes()[0]),
            (Token::Byte(x), Token::Byte(y)) => x.cmp(y),
        };
        if order.is_ne() {
            return order;
        }
    }
    tokens(a).len().cmp(&tokens(b).len())
}
