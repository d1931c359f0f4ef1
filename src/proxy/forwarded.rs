//! `Forwarded` (RFC 7239), as a trusted proxy writes it: read for who the client is, and gone on with.
//!
//! Only where no `X-Forwarded-For` says it: two accounts of one way would be two chances to lie.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderValue, header::FORWARDED};

/// More hops than anybody has.
const MAX_HOPS: usize = 32;

/// The hops from the nearest to the farthest; `None` for one that hides or that cannot be read, behind which nothing counts.
pub(super) fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let mut hops = Vec::new();
    for value in headers.get_all(FORWARDED) {
        let Some(elements) = value.to_str().ok().and_then(elements) else {
            return vec![None];
        };
        hops.extend(elements.iter().map(|element| sender(element)));
    }
    hops.reverse();
    hops.truncate(MAX_HOPS);
    hops
}

/// Adds the peer as the nearest hop, if there is a chain to add to.
pub(super) fn append(headers: &mut HeaderMap, peer: IpAddr) {
    let mut chain: Vec<&[u8]> = headers.get_all(FORWARDED).iter().map(HeaderValue::as_bytes).collect();
    if chain.is_empty() {
        return;
    }
    let hop = match peer {
        IpAddr::V4(address) => format!("for={address}"),
        IpAddr::V6(address) => format!("for=\"[{address}]\""),
    };
    chain.push(hop.as_bytes());
    if let Ok(joined) = HeaderValue::from_bytes(&chain.join(&b", "[..])) {
        headers.insert(FORWARDED, joined);
    }
}

/// The elements of a list, commas in quotes left alone; nothing where a quote does not end.
fn elements(value: &str) -> Option<Vec<&str>> {
    split(value, ',')
}

/// The address behind `for=`.
fn sender(element: &str) -> Option<IpAddr> {
    let mut senders = split(element, ';')?.into_iter().filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    });
    let (value, None) = (senders.next()?, senders.next()) else {
        return None;
    };
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    let bare = value.strip_prefix('[').and_then(|value| value.strip_suffix(']')).unwrap_or(value);
    let address = bare.parse().or_else(|_| value.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = text.split(|character| {
        if std::mem::take(&mut is_escaped) {
            return false;
        }
        match character {
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => return character == separator && !is_quoted,
        }
        false
    });
    let parts = parts.collect();
    (!is_quoted).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Vec<String> {
        let headers = values.iter().map(|value| (FORWARDED, HeaderValue::from_str(value).unwrap())).collect();
        hops(&headers)
            .into_iter()
            .map(|hop| hop.map_or_else(|| "?".to_owned(), |hop| hop.to_string()))
            .collect()
    }

    #[test]
    fn the_nearest_hop_comes_first() {
        for (values, expected) in [
            (&["for=192.0.2.7"][..], &["192.0.2.7"][..]),
            (&["for=192.0.2.7;proto=https;by=10.0.0.1, For=\"10.0.0.9:443\""], &["10.0.0.9", "192.0.2.7"]),
            (&["for=192.0.2.7", "for=10.0.0.9"], &["10.0.0.9", "192.0.2.7"]),
            (&["for=\"[2001:db8::7]:4711\""], &["2001:db8::7"]),
            (&["for=\"[::ffff:192.0.2.7]\""], &["192.0.2.7"]),
            (&["for=unknown, for=_hidden, for=192.0.2.7"], &["192.0.2.7", "?", "?"]),
            (&["host=\"a,for=6.6.6.6\";for=192.0.2.7"], &["192.0.2.7"]),
            (&["host=\"a\\\",for=6.6.6.6\";for=192.0.2.7"], &["192.0.2.7"]),
            (&["for=192.0.2.7;for=6.6.6.6"], &["?"]),
            (&["proto=https"], &["?"]),
            (&["for=\"192.0.2.7"], &["?"]),
            (&[], &[]),
        ] {
            assert_eq!(read(values), expected, "{values:?}");
        }
    }

    #[test]
    fn a_chain_goes_on_and_none_is_begun() {
        for (peer, expected) in [
            ("10.0.0.1", "for=192.0.2.7, for=10.0.0.1"),
            ("2001:db8::1", "for=192.0.2.7, for=\"[2001:db8::1]\""),
        ] {
            let mut headers: HeaderMap =
                [(FORWARDED, HeaderValue::from_static("for=192.0.2.7"))].into_iter().collect();
            append(&mut headers, peer.parse().unwrap());
            assert_eq!(headers[FORWARDED], expected);
        }
        let mut headers = HeaderMap::new();
        append(&mut headers, "10.0.0.1".parse().unwrap());
        assert!(headers.is_empty());
    }
}
