//! HTTP/2 by hand (RFC 9113): frames are bytes that a test makes up, so that no client library keeps it from breaking rules.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const WITH_PRIORITY: u8 = 0x20;

pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const STREAM_CLOSED: u32 = 5;
pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
pub(crate) const COMPRESSION_ERROR: u32 = 9;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// A frame that came.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) payload: Vec<u8>,
}

/// How the gate took what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It said why it ends the connection.
    GoAway(u32),
    /// It ended the stream alone.
    Reset(u32),
    /// It answered the stream.
    Answered(u16),
    /// It closed without a word.
    Closed,
    /// It did nothing for a while.
    Silent,
}

/// A frame's bytes.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// One setting.
pub(crate) fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// A header block: every field a literal that is not indexed (RFC 7541 section 6.2.2), nothing compressed.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| {
        let mut bytes = Vec::new();
        if text.len() < 127 {
            bytes.push(u8::try_from(text.len()).unwrap());
        } else {
            bytes.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                bytes.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            bytes.push(u8::try_from(rest).unwrap());
        }
        bytes.extend(text.bytes());
        bytes
    };
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// What a plain request for `path` begins with.
pub(crate) fn pseudo<'a>(method: &'a str, path: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![(":method", method), (":scheme", "http"), (":authority", "shop.test"), (":path", path)]
}

/// A whole GET request as one frame.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&pseudo("GET", path)))
}

/// A connection.
pub(crate) struct Raw {
    socket: TcpStream,
}

impl Raw {
    /// Connects and sends nothing.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { socket }
    }

    /// Connects and opens as every client does.
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::open_with(address, &[])
    }

    /// The same with settings of its own.
    pub(crate) fn open_with(address: SocketAddr, settings: &[u8]) -> Self {
        let mut raw = Self::connect(address);
        raw.send(PREFACE);
        raw.send(&frame(SETTINGS, 0, 0, settings));
        raw.send(&frame(SETTINGS, ACK, 0, &[]));
        raw
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes);
    }

    /// Sends bytes to a gate that may have closed.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// A second handle, for a thread that reads.
    pub(crate) fn again(&self) -> Self {
        Self { socket: self.socket.try_clone().unwrap() }
    }

    /// Sends nothing more.
    pub(crate) fn finish(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// How long to wait for a frame.
    pub(crate) fn patience(&self, patience: Duration) {
        self.socket.set_read_timeout(Some(patience)).unwrap();
    }

    /// The next frame.
    pub(crate) fn receive(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        self.socket.read_exact(&mut payload)?;
        Ok(Frame { kind: head[3], payload })
    }

    /// How the gate takes what was sent; frames of its own housekeeping are passed over.
    pub(crate) fn outcome(&mut self) -> Outcome {
        loop {
            let frame = match self.receive() {
                Ok(frame) => frame,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Outcome::Silent,
                Err(_) => return Outcome::Closed,
            };
            let number = |at: usize| u32::from_be_bytes(frame.payload[at..at + 4].try_into().unwrap());
            match frame.kind {
                GOAWAY => return Outcome::GoAway(number(4)),
                RST_STREAM => return Outcome::Reset(number(0)),
                HEADERS => return Outcome::Answered(status(&frame.payload)),
                _ => {}
            }
        }
    }
}

/// The status that a block begins with: an entry of the static table, or its name with a value of three digits, plain or as
/// Huffman has them.
fn status(block: &[u8]) -> u16 {
    match block {
        [indexed @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        [_, 3, digits @ ..] => std::str::from_utf8(&digits[..3]).unwrap().parse().unwrap(),
        [_, length, coded @ ..] if length & 0x80 != 0 => huffman_digits(&coded[..usize::from(length & 0x7f)]),
        other => panic!("no status in {other:?}"),
    }
}

/// Three digits in Huffman's code (RFC 7541 appendix B): `0`, `1`, `2` have five bits, the others six.
fn huffman_digits(coded: &[u8]) -> u16 {
    let bits: Vec<u8> = coded.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let mut at = 0;
    let mut take = |count: usize, bits: &[u8]| {
        let value = bits[at..at + count].iter().fold(0_u16, |value, bit| value << 1 | u16::from(*bit));
        at += count;
        value
    };
    (0..3).fold(0, |status, _| {
        let digit = match take(5, &bits) {
            short @ 0..=2 => short,
            long => (long << 1 | take(1, &bits)) - 0x19 + 3,
        };
        status * 10 + digit
    })
}
