//! HTTP/1.1 by hand: what is sent and what comes back are bytes, so that nothing is normalised on the way.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A message as it came over the wire.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    /// The request or status line.
    pub(crate) start: String,
    /// Name and value, in order, names as received.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// The body, chunks joined.
    pub(crate) body: Vec<u8>,
    /// The head as received, the empty line included.
    pub(crate) head: Vec<u8>,
    /// Header lines after a chunked body.
    pub(crate) trailers: Vec<String>,
}

impl Message {
    /// The status of a response.
    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default()
    }

    /// The target of a request.
    pub(crate) fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The method of a request.
    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// Every value of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let of_name = self.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads one message; `None` where the peer closed before its first byte.
pub(crate) fn read_message(
    reader: &mut BufReader<TcpStream>,
    answers_head: bool,
) -> io::Result<Option<Message>> {
    let mut message = Message::default();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return if message.head.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        message.head.extend(&line);
        let line = line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")).unwrap_or(&line);
        if message.start.is_empty() {
            message.start = String::from_utf8_lossy(line).into_owned();
        } else if line.is_empty() {
            break;
        } else {
            let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            let name = String::from_utf8_lossy(&line[..at]).into_owned();
            message.headers.push((name, line[(at + 1).min(line.len())..].trim_ascii().to_vec()));
        }
    }
    let is_response = message.start.starts_with("HTTP/");
    let status = if is_response { message.status() } else { 0 };
    if answers_head || status == 204 || status == 304 || (100..200).contains(&status) {
        return Ok(Some(message));
    }
    if message.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        read_chunks(reader, &mut message)?;
    } else if let Some(length) = message.header("content-length") {
        message.body = vec![0; length.parse().map_err(io::Error::other)?];
        reader.read_exact(&mut message.body)?;
    } else if is_response {
        reader.read_to_end(&mut message.body)?;
    }
    Ok(Some(message))
}

fn read_chunks(reader: &mut BufReader<TcpStream>, message: &mut Message) -> io::Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16)
            .map_err(io::Error::other)?;
        if size == 0 {
            break;
        }
        let start = message.body.len();
        message.body.resize(start + size, 0);
        reader.read_exact(&mut message.body[start..])?;
        reader.read_line(&mut line)?;
    }
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.trim().is_empty() {
            return Ok(());
        }
        message.trailers.push(line.trim().to_owned());
    }
}

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).expect("the server listens");
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { reader: BufReader::new(socket) }
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).expect("the server reads");
    }

    /// Sends bytes to a server that may have closed already.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Reads an answer; `None` where the server closed instead.
    pub(crate) fn receive(&mut self) -> Option<Message> {
        read_message(&mut self.reader, false).unwrap_or(None)
    }

    /// Reads an answer; an error where it breaks off.
    pub(crate) fn try_receive(&mut self) -> io::Result<Option<Message>> {
        read_message(&mut self.reader, false)
    }

    /// Reads exactly so many bytes.
    pub(crate) fn read_bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads to the end of the connection; a reset counts as one.
    pub(crate) fn read_rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.reader.read_to_end(&mut bytes);
        bytes
    }

    /// Whether the server closes within this time without a byte.
    pub(crate) fn closes_within(&mut self, patience: Duration) -> bool {
        self.reader.get_ref().set_read_timeout(Some(patience)).unwrap();
        let ended = match self.reader.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        };
        self.reader.get_ref().set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        ended
    }

    /// Reads an answer to a HEAD request.
    pub(crate) fn receive_head(&mut self) -> Option<Message> {
        read_message(&mut self.reader, true).unwrap_or(None)
    }

    /// The socket.
    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        self.reader.get_mut()
    }
}

/// Sends one request on a connection of its own and reads the answer.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> Message {
    let mut client = Client::connect(address);
    client.send(request);
    client.receive().expect("the server answers")
}

/// [`exchange`] with a server that may be gone at any moment.
pub(crate) fn try_exchange(address: SocketAddr, request: &[u8]) -> io::Result<Message> {
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut client = Client { reader: BufReader::new(socket) };
    client.try_send(request)?;
    client.try_receive()?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// A request with a Host and the given headers.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        bytes.extend(b"Host: shop.test\r\n");
    }
    for (name, value) in headers {
        bytes.extend(format!("{name}: {value}\r\n").bytes());
    }
    if !body.is_empty() {
        bytes.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}
