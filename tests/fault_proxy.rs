//! The proxy that stands for broken networks does what it says, so that tests that use it show what they claim.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

#[path = "support/mod.rs"]
mod support;

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use support::{
    fault_proxy::{Fault, FaultProxy, MAX_CONNECTIONS, Way},
    waiting::until_is,
};

/// A server that sends back what it gets.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let _ = std::io::copy(&mut socket.try_clone().unwrap(), &mut &socket);
            });
        }
    });
    address
}

fn connect(proxy: &FaultProxy) -> TcpStream {
    let socket = TcpStream::connect(proxy.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// What comes back of what is sent, or how the connection ended.
fn ping(socket: &mut TcpStream, bytes: &[u8]) -> Result<Vec<u8>, ErrorKind> {
    socket.write_all(bytes).map_err(|error| error.kind())?;
    let mut back = vec![0; bytes.len()];
    socket.read_exact(&mut back).map_err(|error| error.kind())?;
    Ok(back)
}

#[test]
fn what_passes_is_untouched_and_counted() {
    let proxy = FaultProxy::before(echo());
    let bytes: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
    let mut sockets: Vec<TcpStream> = (0..3).map(|_| connect(&proxy)).collect();
    for socket in &mut sockets {
        assert_eq!(ping(socket, &bytes).unwrap(), bytes);
    }
    assert_eq!((proxy.connections(), proxy.open()), (3, 3));
    // Bytes are counted when they have been passed on, which is after they arrived.
    until_is("bytes", &(300_000, 300_000), || (proxy.bytes(Way::Up), proxy.bytes(Way::Down)));
}

#[test]
fn refusing_and_resetting_end_what_is_open_and_passing_brings_it_back() {
    let proxy = FaultProxy::before(echo());
    for fault in [Fault::Refuse, Fault::Reset] {
        let mut socket = connect(&proxy);
        assert_eq!(ping(&mut socket, b"one").unwrap(), b"one");
        proxy.set(fault);
        let ended = ping(&mut socket, b"two").unwrap_err();
        assert!(matches!(ended, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{fault:?}: {ended}");
        match TcpStream::connect(proxy.address) {
            Err(error) => assert_eq!((error.kind(), fault), (ErrorKind::ConnectionRefused, Fault::Refuse)),
            Ok(mut next) => {
                assert_eq!(fault, Fault::Reset);
                assert_eq!(next.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
            }
        }
        proxy.set(Fault::Pass);
        assert_eq!(ping(&mut connect(&proxy), b"three").unwrap(), b"three");
    }
}

#[test]
fn a_frozen_one_takes_the_call_and_says_nothing_until_it_thaws() {
    let proxy = FaultProxy::before(echo());
    let mut old = connect(&proxy);
    assert_eq!(ping(&mut old, b"one").unwrap(), b"one");
    proxy.set(Fault::Freeze);
    let mut new = connect(&proxy);
    for socket in [&mut old, &mut new] {
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert_eq!(ping(socket, b"two").unwrap_err(), ErrorKind::WouldBlock);
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    }
    proxy.set(Fault::Pass);
    for socket in [&mut old, &mut new] {
        let mut late = [0; 3];
        socket.read_exact(&mut late).unwrap();
        assert_eq!(&late, b"two");
    }
}

#[test]
fn a_delay_holds_the_bytes_of_either_way() {
    let proxy = FaultProxy::before(echo());
    let mut socket = connect(&proxy);
    for way in [Way::Up, Way::Down] {
        proxy.set(Fault::Delay(way, Duration::from_millis(150)));
        let began = Instant::now();
        assert_eq!(ping(&mut socket, b"slow").unwrap(), b"slow");
        assert!(began.elapsed() >= Duration::from_millis(150), "{way:?}");
    }
}

#[test]
fn a_cut_lets_exactly_so_many_bytes_through() {
    let proxy = FaultProxy::before(echo());
    let mut socket = connect(&proxy);
    proxy.set(Fault::CutAfter(Way::Down, 7));
    socket.write_all(b"four").unwrap();
    let mut whole = [0; 4];
    socket.read_exact(&mut whole).unwrap();
    socket.write_all(b"and more").unwrap();
    let mut rest = Vec::new();
    let ended = socket.read_to_end(&mut rest);
    assert_eq!(rest, b"and", "{ended:?}");
    assert_eq!(proxy.bytes(Way::Down), 7);
}

#[test]
fn one_bit_of_one_byte_is_turned_over() {
    let proxy = FaultProxy::before(echo());
    let mut socket = connect(&proxy);
    proxy.set(Fault::FlipAfter(Way::Up, 5));
    assert_eq!(ping(&mut socket, b"abcd").unwrap(), b"abcd");
    assert_eq!(ping(&mut socket, b"abcd").unwrap(), b"arcd");
    assert_eq!(ping(&mut socket, b"abcd").unwrap(), b"abcd");
}

#[test]
fn a_half_closed_one_reads_and_no_longer_answers() {
    let proxy = FaultProxy::before(echo());
    let mut socket = connect(&proxy);
    assert_eq!(ping(&mut socket, b"one").unwrap(), b"one");
    proxy.set(Fault::HalfClose);
    let before = proxy.bytes(Way::Up);
    assert_eq!(socket.read(&mut [0]).unwrap(), 0);
    socket.write_all(b"two").unwrap();
    let began = Instant::now();
    while proxy.bytes(Way::Up) < before + 3 {
        assert!(began.elapsed() < Duration::from_secs(5), "the server still hears");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn connections_are_bounded() {
    let proxy = FaultProxy::before(echo());
    proxy.set(Fault::Freeze);
    let held: Vec<TcpStream> = (0..MAX_CONNECTIONS).map(|_| connect(&proxy)).collect();
    let began = Instant::now();
    while proxy.open() < MAX_CONNECTIONS {
        assert!(began.elapsed() < Duration::from_secs(20), "{} are open", proxy.open());
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(connect(&proxy).read(&mut [0]).unwrap_or(0), 0, "one more is closed at once");
    drop(held);
}
