//! An upstream that keeps what it was sent, byte for byte.

use std::{
    io::{BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::wire::{Message, read_message};

/// What an upstream answers; it gets the request and may write anything to the socket. Returns whether it goes on.
pub(crate) type Answer = dyn Fn(&Message, &mut TcpStream) -> bool + Send + Sync;

/// A server on loopback that records every request.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Message>>>,
    broken: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Upstream {
    /// Answers 200 with a small JSON body.
    pub(crate) fn start() -> Self {
        Self::answering(|_, socket| {
            let body = r#"{"from":"upstream"}"#;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
            write!(socket, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).is_ok()
        })
    }

    /// Answers as told.
    pub(crate) fn answering(
        answer: impl Fn(&Message, &mut TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        let answer: Arc<Answer> = Arc::new(answer);
        Self::listening(move |server, socket| server.serve(socket, &*answer))
    }

    /// Hands each connection over as it is.
    pub(crate) fn raw(connection: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        Self::listening(move |_, socket| connection(socket))
    }

    fn listening(connection: impl Fn(&Self, TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let upstream = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            broken: Arc::default(),
            connections: Arc::default(),
        };
        let (server, connection) = (upstream.clone(), Arc::new(connection));
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                server.connections.fetch_add(1, Ordering::SeqCst);
                let (server, connection) = (server.clone(), Arc::clone(&connection));
                thread::spawn(move || connection(&server, socket));
            }
        });
        upstream
    }

    fn serve(&self, socket: TcpStream, answer: &Answer) {
        // Heads and bodies may be written apart: without this the second waits for the client's delayed acknowledgment.
        socket.set_nodelay(true).unwrap();
        let mut writer = socket.try_clone().unwrap();
        let mut reader = BufReader::new(socket);
        loop {
            match read_message(&mut reader, false) {
                Ok(Some(request)) => {
                    self.seen.lock().unwrap().push(request.clone());
                    if !answer(&request, &mut writer) {
                        return;
                    }
                }
                Ok(None) => return,
                Err(_) => {
                    self.broken.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
        }
    }

    /// Requests that broke off before their end.
    pub(crate) fn broken(&self) -> usize {
        self.broken.load(Ordering::SeqCst)
    }

    /// Every request since the last call.
    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// The one request since the last call.
    pub(crate) fn take_one(&self) -> Message {
        let mut seen = self.take();
        assert_eq!(seen.len(), 1, "one request reached the upstream");
        seen.remove(0)
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}
