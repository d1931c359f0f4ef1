//! The line that a load balancer sends first, to say who connected to it: the PROXY protocol, versions 1 and 2.
//!
//! Pure: bytes in, what they say out. Strict where the protocol leaves room, because a line that two sides read differently
//! gives a client an address of its choice. Whether the sender may speak, and how long it may take, is the engine's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest line of version 1, its end included.
pub const MAX_V1: usize = 107;

/// The longest header of version 2 that we read: the largest addresses and some room for what else is told (TLVs).
pub const MAX_V2: usize = 536;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const FIXED: usize = 16;

/// What was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced {
    /// This address connected to the sender.
    Client(IpAddr),
    /// The sender speaks for itself: a health check, or an address that it does not know.
    Sender,
}

/// How far a reader got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It said this, in so many bytes.
    Read(Announced, usize),
    /// More has to come.
    Incomplete,
    /// It is no such line.
    Malformed,
}

/// Reads the beginning of a connection.
#[must_use]
pub fn read(bytes: &[u8]) -> Progress {
    let is_v2 = bytes.iter().zip(SIGNATURE).all(|(byte, expected)| byte == expected);
    if bytes.is_empty() {
        Progress::Incomplete
    } else if is_v2 {
        read_v2(bytes)
    } else {
        read_v1(bytes)
    }
}

fn read_v1(bytes: &[u8]) -> Progress {
    let begins = bytes.iter().zip(b"PROXY ").all(|(byte, expected)| byte == expected);
    let line = bytes.get(..MAX_V1).unwrap_or(bytes);
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        let may_end = begins && line.len() < MAX_V1 && !line.contains(&b'\n');
        return if may_end { Progress::Incomplete } else { Progress::Malformed };
    };
    let text = line.get(..end).and_then(|line| std::str::from_utf8(line).ok());
    // A bare line feed is refused as soon as it comes; what follows must not make it good again.
    match text.filter(|line| !line.contains('\n')).and_then(said_v1) {
        Some(announced) => Progress::Read(announced, end + 2),
        None => Progress::Malformed,
    }
}

fn said_v1(line: &str) -> Option<Announced> {
    let line = line.strip_prefix("PROXY ")?;
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        // What follows is to be ignored.
        return Some(Announced::Sender);
    }
    let mut words = line.split(' ');
    let (family, source, destination) = (words.next()?, words.next()?, words.next()?);
    let address = match family {
        "TCP4" => {
            let _: Ipv4Addr = destination.parse().ok()?;
            IpAddr::V4(source.parse().ok()?)
        }
        "TCP6" => {
            let _: Ipv6Addr = destination.parse().ok()?;
            IpAddr::V6(source.parse().ok()?)
        }
        _ => return None,
    };
    port(words.next()?)?;
    port(words.next()?)?;
    words.next().is_none().then_some(Announced::Client(address))
}

/// Digits without a sign or a leading zero.
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

fn read_v2(bytes: &[u8]) -> Progress {
    let Some(&[.., command, family, high, low]) = bytes.first_chunk::<FIXED>() else {
        return Progress::Incomplete;
    };
    let length = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_V2 {
        return Progress::Malformed;
    }
    let Some(rest) = bytes.get(FIXED..length) else {
        return Progress::Incomplete;
    };
    match said_v2(command, family, rest) {
        Some(announced) => Progress::Read(announced, length),
        None => Progress::Malformed,
    }
}

fn said_v2(command: u8, family: u8, rest: &[u8]) -> Option<Announced> {
    match (command, family) {
        // LOCAL: whatever else stands there is to be skipped.
        (0x20, _) => Some(Announced::Sender),
        // PROXY, of a kind that the sender does not know.
        (0x21, 0x00) => Some(Announced::Sender),
        // PROXY, TCP over IPv4: two addresses, two ports, then TLVs.
        (0x21, 0x11) => {
            let _ports_too = rest.get(..12)?;
            Some(Announced::Client(Ipv4Addr::from(*rest.first_chunk::<4>()?).into()))
        }
        // PROXY, TCP over IPv6.
        (0x21, 0x21) => {
            let _ports_too = rest.get(..36)?;
            Some(Announced::Client(Ipv6Addr::from(*rest.first_chunk::<16>()?).into()))
        }
        (_, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(address: &str) -> Announced {
        Announced::Client(address.parse().unwrap())
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    #[test]
    fn a_line_of_version_1_says_who_connected() {
        for (line, expected) in [
            ("PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n", client("192.0.2.7")),
            ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", client("255.255.255.255")),
            ("PROXY TCP6 2001:db8::7 ::1 0 443\r\n", client("2001:db8::7")),
            ("PROXY UNKNOWN\r\n", Announced::Sender),
            ("PROXY UNKNOWN whatever it says 1\r\n", Announced::Sender),
        ] {
            assert_eq!(read(line.as_bytes()), Progress::Read(expected, line.len()), "{line:?}");
            let more = format!("{line}GET / HTTP/1.1\r\n");
            assert_eq!(read(more.as_bytes()), Progress::Read(expected, line.len()), "{line:?}");
            for end in 0..line.len() {
                assert_eq!(read(&line.as_bytes()[..end]), Progress::Incomplete, "{line:?} {end}");
            }
        }
    }

    #[test]
    fn what_is_no_line_of_version_1_is_refused() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_V1));
        for line in [
            "GET / HTTP/1.1\r\n\r\n",
            "proxy TCP4 192.0.2.7 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 1 2 3\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 1\r\n",
            "PROXY  TCP4 192.0.2.7 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.7  10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.07 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2 10.0.0.1 1 2\r\n",
            "PROXY TCP4 2001:db8::7 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.7 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.7 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 65536 2\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 +1 2\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 01 2\r\n",
            "PROXY UDP4 192.0.2.7 10.0.0.1 1 2\r\n",
            "PROXY UNKNOWNX\r\n",
            "PROXY UNKNOWN \n\r\n",
            "PROXY TCP4 192.0.2.7,10.0.0.1 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.7\r10.0.0.1 1 2\r\n",
            "\r\n\r\n\0\r\nQUIX\n",
            long.as_str(),
        ] {
            assert_eq!(read(line.as_bytes()), Progress::Malformed, "{line:?}");
        }
    }

    #[test]
    fn a_header_of_version_2_says_who_connected() {
        let v4 = [192, 0, 2, 7, 10, 0, 0, 1, 0xdc, 4, 1, 0xbb];
        let v6 = [&Ipv6Addr::LOCALHOST.octets()[..], &[0; 16], &[0, 1, 0, 2]].concat();
        let tlv = [&v4[..], &[0x04, 0, 3, 1, 2, 3]].concat();
        let widest = [&v6[..], &[0; MAX_V2 - FIXED - 36]].concat();
        for (bytes, expected) in [
            (v2(0x21, 0x11, &v4), client("192.0.2.7")),
            (v2(0x21, 0x11, &tlv), client("192.0.2.7")),
            (v2(0x21, 0x21, &v6), client("::1")),
            (v2(0x21, 0x21, &widest), client("::1")),
            (v2(0x20, 0x00, &[]), Announced::Sender),
            (v2(0x20, 0x11, &v4), Announced::Sender),
            (v2(0x21, 0x00, &[]), Announced::Sender),
        ] {
            assert_eq!(read(&bytes), Progress::Read(expected, bytes.len()));
            let more = [&bytes[..], b"GET"].concat();
            assert_eq!(read(&more), Progress::Read(expected, bytes.len()));
            for end in 0..bytes.len() {
                assert_eq!(read(&bytes[..end]), Progress::Incomplete, "{end}");
            }
        }
        for wrong in [
            v2(0x21, 0x11, &v4[..11]),
            v2(0x21, 0x21, &v4),
            v2(0x21, 0x12, &v4),
            v2(0x21, 0x31, &[0; 216]),
            v2(0x22, 0x11, &v4),
            v2(0x11, 0x11, &v4),
            v2(0x21, 0x11, &[0; MAX_V2]),
        ] {
            assert_eq!(read(&wrong), Progress::Malformed, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_within_bounds(bytes: Vec<u8>, is_v2: bool) {
            let bytes = if is_v2 { [&SIGNATURE[..], &bytes].concat() } else { [b"PROXY ", &bytes[..]].concat() };
            match read(&bytes) {
                Progress::Read(_, length) => {
                    prop_assert!(length <= bytes.len() && length <= MAX_V2);
                    // What follows the line says nothing about it.
                    prop_assert_eq!(read(&bytes[..length]), read(&bytes));
                }
                Progress::Incomplete => prop_assert!(bytes.len() < MAX_V2),
                Progress::Malformed => {}
            }
        }

        #[test]
        fn what_is_malformed_stays_so(bytes: Vec<u8>, more: Vec<u8>) {
            if read(&bytes) == Progress::Malformed {
                prop_assert_eq!(read(&[bytes, more].concat()), Progress::Malformed);
            }
        }

        #[test]
        fn an_address_comes_back(v4: [u8; 4], v6: [u8; 16], from: u16, to: u16) {
            for address in [IpAddr::from(v4), IpAddr::from(v6)] {
                let family = if address.is_ipv4() { "TCP4" } else { "TCP6" };
                let line = format!("PROXY {family} {address} {address} {from} {to}\r\n");
                prop_assert_eq!(read(line.as_bytes()), Progress::Read(Announced::Client(address), line.len()));
            }
        }
    }
}
