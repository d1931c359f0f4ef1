//! `portcullis health`: asks a gate on this machine how it is, for health checks without a shell or a client.
//!
//! It asks the admin listener where the configuration has it, over TLS where that says so. Then nobody but the holder of a
//! configured certificate's key is believed; names and authorities do not count, because the address is the gate's own.
//! Whatever is wrong is one line and exit code 1: a health check knows no other.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
    StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};

use super::{ConfigArgs, Failure, load, printable, say};
use crate::config::{self, ClientAuth};

/// For connecting, and for each read and write.
const PATIENCE: Duration = Duration::from_secs(2);

/// No page of health is longer.
const LONGEST_ANSWER: usize = 16 * 1024;

/// `portcullis health`.
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Asks whether requests can be decided (/readyz), not only whether the process runs (/healthz)
    #[arg(long)]
    ready: bool,
}

/// Prints what the gate says of itself; fails unless all is well.
pub(super) fn health(args: &HealthArgs) -> Result<(), Failure> {
    let config = load(&args.config).map_err(|_listed_by_check| {
        Failure::runtime("the configuration cannot be used; portcullis check says why")
    })?;
    let page = if args.ready { "/readyz" } else { "/healthz" };
    let (is_well, said) = ask(&config.listen, page)
        .map_err(|error| Failure::Runtime(format!("{}: {error}", config.listen.admin)))?;
    if is_well { say(&said) } else { Err(Failure::Runtime(said)) }
}

/// Whether a page is 200, and its first line.
fn ask(listen: &config::Listen, page: &str) -> io::Result<(bool, String)> {
    let address = own(listen.admin);
    let mut socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let head = format!("GET {page} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    match &listen.admin_tls {
        None => exchange(&mut socket, &head),
        Some(tls) => {
            let name = ServerName::IpAddress(address.ip().into());
            let session = ClientConnection::new(Arc::new(client(tls)?), name).map_err(io::Error::other)?;
            exchange(&mut StreamOwned::new(session, socket), &head)
        }
    }
}

/// Where a listener of this machine is reached.
fn own(listener: SocketAddr) -> SocketAddr {
    if !listener.ip().is_unspecified() {
        return listener;
    }
    let ip: IpAddr = if listener.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    SocketAddr::new(ip, listener.port())
}

fn exchange(stream: &mut (impl Read + Write), head: &str) -> io::Result<(bool, String)> {
    stream.write_all(head.as_bytes())?;
    let answer = read(stream)?;
    let answer = String::from_utf8_lossy(&answer);
    let no_answer = || io::Error::other("does not answer as a gate does");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(no_answer)?;
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).ok_or_else(no_answer)?;
    Ok((status == "200", printable(body.lines().next().unwrap_or_default())))
}

/// Everything up to the end, unless that is long in coming.
fn read(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let (began, mut answer, mut piece) = (Instant::now(), Vec::new(), [0; 1024]);
    loop {
        let length = stream.read(&mut piece)?;
        answer.extend(piece.iter().take(length));
        if length == 0 {
            return Ok(answer);
        }
        if began.elapsed() > PATIENCE || answer.len() > LONGEST_ANSWER {
            return Err(io::Error::other("does not come to an end"));
        }
    }
}

/// Speaks to a holder of one of the listener's own keys, and to nobody else.
fn client(tls: &config::Tls) -> io::Result<ClientConfig> {
    if tls.client_auth == ClientAuth::Required {
        return Err(io::Error::other("listen.admin_tls.client_auth = \"required\" keeps health checks out"));
    }
    let provider = Arc::new(ring::default_provider());
    let certificates = tls.certificates.iter().map(|files| leaf(&files.certificate));
    let own = OwnCertificates {
        certificates: certificates.collect::<io::Result<_>>()?,
        provider: Arc::clone(&provider),
    };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(own))
        .with_no_client_auth())
}

fn leaf(path: &Path) -> io::Result<CertificateDer<'static>> {
    let mut certificates = CertificateDer::pem_reader_iter(File::open(path)?);
    let leaf = certificates.next().ok_or_else(|| io::Error::other("a certificate's file is empty"))?;
    leaf.map_err(io::Error::other)
}

/// Believes the certificates that the configuration names, by their bytes.
#[derive(Debug)]
struct OwnCertificates {
    certificates: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for OwnCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.certificates.iter().any(|own| own == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::UnknownIssuer.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_asked_on_loopback() {
        for (listener, expected) in [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
            ("127.0.0.2:1", "127.0.0.2:1"),
            ("192.0.2.7:9090", "192.0.2.7:9090"),
        ] {
            assert_eq!(own(listener.parse().unwrap()).to_string(), expected);
        }
    }
}
