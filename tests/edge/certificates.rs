//! Certificates made for a test, and clients that trust them.

use std::{
    fs,
    io::{BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    version::{TLS12, TLS13},
};

use crate::support::{gate::Setup, upstream::Upstream, wire::Message};

/// An integration that may do everything, as bearer.
pub(crate) const FULL: (&str, &str) = ("Authorization", "Bearer rcnp1r0ttgql8dyfay14d83fjc7k5q78");
/// A route that needs `Magento_Backend::admin`.
pub(crate) const PROTECTED: &str = "/rest/V1/modules";
/// A path outside `/rest`.
pub(crate) const OUTSIDE: &str = "/media/picture.png";

/// The versions that the gate speaks, together and alone.
static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
pub(crate) static EACH: [[&SupportedProtocolVersion; 1]; 2] = [[&TLS13], [&TLS12]];

/// An authority and what it signed.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    /// A new authority whose files are in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "an authority of tests");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder: folder.to_owned() }
    }

    /// Writes `name.pem` and `name.key` for these names.
    pub(crate) fn sign(&self, name: &str, hosts: &[&str]) -> CertificateDer<'static> {
        self.sign_with(name, hosts, |_| {}).0.der().clone()
    }

    /// The same, with something changed before it is signed.
    pub(crate) fn sign_with(
        &self,
        name: &str,
        hosts: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (Certificate, KeyPair) {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        // Replaced as a careful operator does, so that no half of a file is ever read.
        for (ending, text) in [("key", key.serialize_pem()), ("pem", certificate.pem())] {
            let (next, path) = (self.folder.join("next"), self.folder.join(format!("{name}.{ending}")));
            fs::write(&next, text).unwrap();
            fs::rename(next, path).unwrap();
        }
        (certificate, key)
    }

    /// A client that trusts this authority.
    pub(crate) fn client(&self) -> TlsClient {
        TlsClient { authority: self.issuer.der().clone(), identity: None, versions: &BOTH, alpn: Vec::new() }
    }
}

/// How a client speaks TLS.
#[derive(Clone)]
pub(crate) struct TlsClient {
    authority: CertificateDer<'static>,
    identity: Option<(CertificateDer<'static>, Arc<KeyPair>)>,
    versions: &'static [&'static SupportedProtocolVersion],
    alpn: Vec<Vec<u8>>,
}

impl TlsClient {
    /// Shows this certificate.
    pub(crate) fn showing(mut self, (certificate, key): (Certificate, KeyPair)) -> Self {
        self.identity = Some((certificate.der().clone(), Arc::new(key)));
        self
    }

    /// Speaks these versions alone.
    pub(crate) fn speaking(mut self, versions: &'static [&'static SupportedProtocolVersion]) -> Self {
        self.versions = versions;
        self
    }

    /// Offers these protocols.
    pub(crate) fn offering(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        self
    }

    /// As rustls wants it.
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            Some((certificate, key)) => {
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![certificate.clone()], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        Arc::new(config)
    }

    /// What it says first.
    pub(crate) fn hello(&self, name: &str) -> Vec<u8> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut session = ClientConnection::new(self.config(), name).unwrap();
        let mut bytes = Vec::new();
        session.write_tls(&mut bytes).unwrap();
        bytes
    }

    /// Connects and shakes hands.
    pub(crate) fn connect(&self, address: SocketAddr, name: &str) -> Result<TlsSocket, String> {
        self.connect_behind(address, name, b"")
    }

    /// The same behind something that comes first.
    pub(crate) fn connect_behind(
        &self,
        address: SocketAddr,
        name: &str,
        first: &[u8],
    ) -> Result<TlsSocket, String> {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(first).unwrap();
        shake_hands(&self.config(), socket, name)
    }
}

/// Connects and shakes hands as this configuration says; one that is used again may resume.
pub(crate) fn connect(
    config: &Arc<ClientConfig>,
    address: SocketAddr,
    name: &str,
) -> Result<TlsSocket, String> {
    shake_hands(config, TcpStream::connect(address).unwrap(), name)
}

fn shake_hands(config: &Arc<ClientConfig>, mut socket: TcpStream, name: &str) -> Result<TlsSocket, String> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut session = ClientConnection::new(Arc::clone(config), name).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    while session.is_handshaking() {
        session.complete_io(&mut socket).map_err(|error| error.to_string())?;
    }
    Ok(TlsSocket { stream: BufReader::new(StreamOwned::new(session, socket)) })
}

/// An open TLS connection.
pub(crate) struct TlsSocket {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

impl TlsSocket {
    /// The handshake's outcome.
    pub(crate) fn session(&self) -> &ClientConnection {
        &self.stream.get_ref().conn
    }

    /// The certificate that the gate showed.
    pub(crate) fn shown(&self) -> CertificateDer<'static> {
        self.session().peer_certificates().unwrap()[0].clone().into_owned()
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads an answer with a length.
    pub(crate) fn receive(&mut self) -> Option<Message> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        let text = String::from_utf8(head.clone()).unwrap();
        let mut lines = text.split("\r\n");
        let mut message = Message { start: lines.next()?.to_owned(), head, ..Message::default() };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            message.headers.push((name.to_owned(), value.trim().as_bytes().to_vec()));
        }
        let length = message.header("content-length").map_or(0, |length| length.parse().unwrap());
        message.body = vec![0; length];
        self.stream.read_exact(&mut message.body).ok()?;
        Some(message)
    }

    /// Reads exactly so many bytes.
    pub(crate) fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads until the gate says that nothing more comes; an error where the connection just ends.
    pub(crate) fn read_rest(&mut self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).map(|_count| bytes)
    }

    /// Sends a request and reads its answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Option<Message> {
        self.send(request).ok()?;
        self.receive()
    }
}

/// A gate that takes [`FULL`].
pub(crate) fn gate(upstream: &Upstream) -> Setup {
    Setup::before(upstream.address).with("magento", "integration_as_bearer = true")
}

/// The same with `name.pem` and `name.key` of this folder, and more lines of `[listen.tls]`.
pub(crate) fn tls_gate(upstream: &Upstream, folder: &Path, name: &str, more: &str) -> Setup {
    let file = |ending: &str| folder.join(format!("{name}.{ending}")).display().to_string();
    let lines = format!("certificate_file = \"{}\"\nkey_file = \"{}\"\n{more}", file("pem"), file("key"));
    gate(upstream).with("listen.tls", &lines)
}

/// The figures.
pub(crate) fn figures(admin: SocketAddr) -> String {
    let request = crate::support::wire::request("GET", "/metrics", &[("Connection", "close")], b"");
    crate::support::wire::exchange(admin, &request).text()
}
