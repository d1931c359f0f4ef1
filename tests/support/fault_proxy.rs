//! A TCP proxy that misbehaves on demand: before a database, a Redis, an upstream, anything that speaks TCP.
//!
//! What it does is switched while it runs. Refusing, resetting and cutting concern connections that are open already too, as
//! a server that dies does; delays and flipped bits concern the bytes that pass from then on. It holds a chunk of 16 KiB a
//! direction and connection and at most [`MAX_CONNECTIONS`]; it counts connections and bytes.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use socket2::SockRef;

/// Connections at a time; one more is closed at once.
pub(crate) const MAX_CONNECTIONS: u64 = 256;

const CHUNK: usize = 16 * 1024;
/// How often a thread looks whether it should do something else.
const LOOK: Duration = Duration::from_millis(5);

/// A way of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// What happens to connections and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    Pass,
    /// Nobody listens, and whoever is connected is reset.
    Refuse,
    /// Whoever connects is accepted and reset, and whoever is connected too.
    Reset,
    /// Connections are accepted and stay open; no byte passes.
    Freeze,
    /// Bytes of this way arrive so much later.
    Delay(Way, Duration),
    /// Connections are reset once so many bytes have passed this way since the fault was set.
    CutAfter(Way, u64),
    /// A bit of the byte that follows so many bytes this way, counted since the fault was set, is turned over.
    FlipAfter(Way, u64),
    /// The server's end of each connection looks closed to the client: it reads an end, and may still write.
    HalfClose,
}

/// A running proxy; dropping it ends every connection.
pub(crate) struct FaultProxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

struct Shared {
    server: SocketAddr,
    fault: Mutex<Fault>,
    /// Bytes that passed each way since the fault was set.
    passed: [AtomicU64; 2],
    connections: AtomicU64,
    open: AtomicU64,
    bytes: [AtomicU64; 2],
    has_ended: AtomicBool,
}

impl Shared {
    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap()
    }

    fn ended(&self) -> bool {
        self.has_ended.load(Ordering::SeqCst)
    }
}

impl FaultProxy {
    /// A proxy on a free port before this server; at first it passes everything.
    pub(crate) fn before(server: SocketAddr) -> Self {
        let listener = listen(([127, 0, 0, 1], 0).into());
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server,
            fault: Mutex::new(Fault::Pass),
            passed: Default::default(),
            connections: AtomicU64::new(0),
            open: AtomicU64::new(0),
            bytes: Default::default(),
            has_ended: AtomicBool::new(false),
        });
        let listening = Arc::clone(&shared);
        let listening = Some(thread::spawn(move || accept(listener, address, &listening)));
        Self { address, shared, listening }
    }

    /// Does this from now on.
    pub(crate) fn set(&self, fault: Fault) {
        let mut current = self.shared.fault.lock().unwrap();
        for passed in &self.shared.passed {
            passed.store(0, Ordering::SeqCst);
        }
        *current = fault;
        drop(current);
        // Whoever refuses has stopped listening when this returns, and whoever passes listens again.
        thread::sleep(LOOK * 4);
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> u64 {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Bytes that passed this way so far.
    pub(crate) fn bytes(&self, way: Way) -> u64 {
        self.shared.bytes[way as usize].load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::SeqCst);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

fn listen(address: SocketAddr) -> TcpListener {
    let listener = TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

fn accept(listener: TcpListener, address: SocketAddr, shared: &Arc<Shared>) {
    let mut listener = Some(listener);
    while !shared.ended() {
        if shared.fault() == Fault::Refuse {
            listener = None;
            thread::sleep(LOOK);
            continue;
        }
        let listening = listener.get_or_insert_with(|| listen(address));
        match listening.accept() {
            Ok((client, _)) => {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                if shared.open.load(Ordering::SeqCst) >= MAX_CONNECTIONS {
                    continue;
                }
                client.set_nonblocking(false).unwrap();
                let shared = Arc::clone(shared);
                shared.open.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    carry(client, &shared);
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
            Err(_) => thread::sleep(LOOK),
        }
    }
}

/// A connection and its counterpart.
struct Pair {
    client: TcpStream,
    server: TcpStream,
    /// Set by whichever way finds that it is over; closing then resets.
    is_broken: AtomicBool,
}

/// Carries one connection to its end.
fn carry(client: TcpStream, shared: &Shared) {
    // A frozen server takes the call, as the kernel of a stopped process does.
    while shared.fault() == Fault::Freeze && !shared.ended() {
        thread::sleep(LOOK);
    }
    if matches!(shared.fault(), Fault::Reset | Fault::Refuse) || shared.ended() {
        return reset(&client);
    }
    let Ok(server) = TcpStream::connect_timeout(&shared.server, Duration::from_secs(3)) else {
        return reset(&client);
    };
    for socket in [&client, &server] {
        let _ = socket.set_nodelay(true);
        let _ = socket.set_read_timeout(Some(LOOK));
        let _ = socket.set_write_timeout(Some(Duration::from_secs(5)));
    }
    let pair = Pair { client, server, is_broken: AtomicBool::new(false) };
    thread::scope(|scope| {
        scope.spawn(|| pump(&pair, Way::Up, shared));
        pump(&pair, Way::Down, shared);
    });
    if pair.is_broken.load(Ordering::SeqCst) {
        reset(&pair.client);
        reset(&pair.server);
    }
}

/// Closing the socket resets it, now that nobody else holds it.
fn reset(socket: &TcpStream) {
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

/// Carries the bytes of one way until its end.
fn pump(pair: &Pair, way: Way, shared: &Shared) {
    let (mut from, mut to) = match way {
        Way::Up => (&pair.client, &pair.server),
        Way::Down => (&pair.server, &pair.client),
    };
    let break_off = || pair.is_broken.store(true, Ordering::SeqCst);
    let mut chunk = vec![0; CHUNK];
    let mut is_closed = false;
    while !pair.is_broken.load(Ordering::SeqCst) {
        let fault = shared.fault();
        if matches!(fault, Fault::Refuse | Fault::Reset) || shared.ended() {
            return break_off();
        }
        if fault == Fault::Freeze {
            thread::sleep(LOOK);
            continue;
        }
        if fault == Fault::HalfClose && way == Way::Down && !is_closed {
            is_closed = true;
            let _ = to.shutdown(Shutdown::Write);
        }
        let read = match from.read(&mut chunk) {
            Ok(0) => {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => return break_off(),
        };
        if is_closed {
            continue;
        }
        let sent = suffer(&mut chunk[..read], way, shared);
        if to.write_all(&chunk[..sent]).is_err() {
            return break_off();
        }
        shared.bytes[way as usize].fetch_add(sent as u64, Ordering::SeqCst);
        if sent < read {
            return break_off();
        }
    }
}

/// Does to these bytes what is to be done now; how many of them go on: less than all ends the connection.
fn suffer(bytes: &mut [u8], way: Way, shared: &Shared) -> usize {
    // Bytes that were read before it froze wait like those that were not.
    while shared.fault() == Fault::Freeze && !shared.ended() {
        thread::sleep(LOOK);
    }
    let before = shared.passed[way as usize].fetch_add(bytes.len() as u64, Ordering::SeqCst);
    let after = |after: u64| usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX);
    match shared.fault() {
        Fault::Delay(delayed, time) if delayed == way => {
            let until = Instant::now() + time;
            while Instant::now() < until && !shared.ended() {
                thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
            }
        }
        Fault::CutAfter(cut, count) if cut == way => return bytes.len().min(after(count)),
        Fault::FlipAfter(flipped, count) if flipped == way && count >= before => {
            if let Some(byte) = bytes.get_mut(after(count)) {
                *byte ^= 0x10;
            }
        }
        Fault::Refuse | Fault::Reset => return 0,
        Fault::Pass
        | Fault::Freeze
        | Fault::Delay(..)
        | Fault::CutAfter(..)
        | Fault::FlipAfter(..)
        | Fault::HalfClose => {}
    }
    bytes.len()
}
