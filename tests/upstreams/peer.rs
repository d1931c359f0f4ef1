//! An endpoint that can be killed and comes back on its port.

use std::{
    io::{BufReader, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use socket2::{Domain, Socket, Type};

pub(crate) use crate::support::waiting::until;
use crate::support::{
    gate::{Gate, Setup},
    wire::{Client, Message, exchange, read_message, request},
};

type Answer = dyn Fn(&Message, &mut TcpStream) -> bool + Send + Sync;

/// An endpoint on loopback that records what it was asked.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) name: &'static str,
    state: Arc<State>,
}

struct State {
    answer: Box<Answer>,
    seen: Mutex<Vec<Message>>,
    sockets: Mutex<Vec<TcpStream>>,
    is_dead: AtomicBool,
    connections: AtomicUsize,
    /// Keeps the port of a dead peer from everybody else: bound, and nobody listens.
    port: Mutex<Option<Socket>>,
}

impl Peer {
    /// Answers with its name.
    pub(crate) fn start(name: &'static str) -> Self {
        Self::answering(name, move |_, socket| answer(socket, name))
    }

    /// Answers as told.
    pub(crate) fn answering(
        name: &'static str,
        answer: impl Fn(&Message, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let peer = Self {
            address: listener.local_addr().unwrap(),
            name,
            state: Arc::new(State {
                answer: Box::new(answer),
                seen: Mutex::default(),
                sockets: Mutex::default(),
                is_dead: AtomicBool::new(false),
                connections: AtomicUsize::new(0),
                port: Mutex::default(),
            }),
        };
        peer.listen(listener);
        peer
    }

    fn listen(&self, listener: TcpListener) {
        let peer = self.clone();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if peer.state.is_dead.load(SeqCst) {
                    return;
                }
                peer.state.connections.fetch_add(1, SeqCst);
                peer.state.sockets.lock().unwrap().push(socket.try_clone().unwrap());
                let peer = peer.clone();
                thread::spawn(move || peer.serve(socket));
            }
        });
    }

    fn serve(&self, socket: TcpStream) {
        let mut writer = socket.try_clone().unwrap();
        let mut reader = BufReader::new(socket);
        while let Ok(Some(request)) = read_message(&mut reader, false) {
            self.state.seen.lock().unwrap().push(request.clone());
            if !(self.state.answer)(&request, &mut writer) {
                break;
            }
        }
        let _ = writer.shutdown(Shutdown::Both);
    }

    /// Closes the listener and every connection.
    pub(crate) fn kill(&self) {
        self.state.is_dead.store(true, SeqCst);
        let _ = TcpStream::connect(self.address);
        for socket in self.state.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
        while TcpStream::connect(self.address).is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
        let port = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        port.set_reuse_address(true).unwrap();
        port.bind(&self.address.into()).unwrap();
        *self.state.port.lock().unwrap() = Some(port);
    }

    /// Listens again.
    pub(crate) fn revive(&self) {
        drop(self.state.port.lock().unwrap().take());
        self.state.is_dead.store(false, SeqCst);
        self.listen(TcpListener::bind(self.address).unwrap());
    }

    /// Every request since the last call.
    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut *self.state.seen.lock().unwrap())
    }

    /// How many requests for clients came since the last call.
    pub(crate) fn count(&self) -> usize {
        self.take().iter().filter(|seen| seen.target() != "/health").count()
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(SeqCst)
    }
}

/// Answers 200 with this text.
pub(crate) fn answer(socket: &mut TcpStream, text: &str) -> bool {
    // In one piece: the kernel would hold back the second one.
    let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    socket.write_all(bytes.as_bytes()).is_ok()
}

/// A gate before these endpoints, of equal weight.
pub(crate) fn before(peers: &[&Peer]) -> Setup {
    let weighed: Vec<_> = peers.iter().map(|peer| (*peer, 1)).collect();
    weighted(&weighed)
}

/// A gate before these endpoints with their weights.
pub(crate) fn weighted(peers: &[(&Peer, usize)]) -> Setup {
    let list: Vec<_> = peers
        .iter()
        .map(|(peer, weight)| {
            format!("{{ url = \"http://{}\", name = \"{}\", weight = {weight} }}", peer.address, peer.name)
        })
        .collect();
    Setup::before(peers[0].0.address).with("upstream", &format!("endpoint = [{}]", list.join(", ")))
}

/// A GET outside of what is authenticated.
pub(crate) fn get(target: &str) -> Vec<u8> {
    request("GET", target, &[], b"")
}

/// Sends so many GETs on one connection; the statuses.
pub(crate) fn many(gate: &Gate, count: usize) -> Vec<u16> {
    let mut client = Client::connect(gate.proxy);
    let mut one = |number: usize| {
        client.send(&get(&format!("/media/{number}")));
        client.receive().unwrap().status()
    };
    (0..count).map(&mut one).collect()
}

/// The figure on this line.
pub(crate) fn figure(gate: &Gate, name: &str) -> Option<f64> {
    let page = exchange(gate.admin, &request("GET", "/metrics", &[("Connection", "close")], b"")).text();
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.parse().ok()
}

/// Status and reason of a refusal.
pub(crate) fn refusal(answer: &Message) -> (u16, Option<String>) {
    (answer.status(), answer.header("x-auth-refused"))
}
