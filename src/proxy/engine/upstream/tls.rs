//! TLS to the upstream: whom we believe, and whom we show ourselves as.
//!
//! There is no way to believe everybody: an upstream with a certificate of its own making is believed by naming that
//! certificate's authority. Certificates are checked by rustls against the endpoint's name or against `server_name`.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use rustls_platform_verifier::BuilderVerifierExt as _;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::settings::Http2;

/// HTTP/2 in ALPN (RFC 9113 section 3.1).
const H2: &[u8] = b"h2";

/// HTTP/1.1 in ALPN.
const HTTP_1: &[u8] = b"http/1.1";

/// PEM texts that TLS to the upstream goes by.
#[derive(Default)]
pub struct TlsTexts {
    /// The only authorities that are believed; the platform's where there are none.
    pub authorities: Option<Vec<u8>>,
    /// Our certificate with its chain, and its key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The name that certificates are checked for, in place of the endpoint's host.
    pub server_name: Option<String>,
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of authorities holds none, or a broken one.
    #[error("the authorities cannot be read: {0}")]
    Authorities(String),
    /// Certificate and key are none, or do not belong together.
    #[error("the client certificate cannot be used: {0}")]
    Identity(String),
    /// The platform keeps no authorities.
    #[error("the platform's authorities cannot be used: {0}")]
    Platform(#[source] rustls::Error),
    /// No name.
    #[error("the server name is none: {0}")]
    Name(#[from] InvalidDnsNameError),
}

/// What handshakes go by. Two are equal when they were made of the same texts.
#[derive(Clone)]
pub struct TlsClient {
    parts: Option<Parts>,
    made_of: [u8; 32],
}

#[derive(Clone)]
struct Parts {
    /// Offers what requests may be sent with.
    requests: TlsConnector,
    /// Offers HTTP/1.1 alone, for upgrades.
    upgrades: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

impl TlsClient {
    /// For an upstream that is spoken to in the clear.
    #[must_use]
    pub const fn none() -> Self {
        Self { parts: None, made_of: [0; 32] }
    }

    /// Reads the texts.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(texts: &TlsTexts, http2: Http2) -> Result<Self, TlsError> {
        let server_name = texts.server_name.clone().map(ServerName::try_from).transpose()?;
        let mut requests = client_config(texts)?;
        let mut upgrades = requests.clone();
        upgrades.alpn_protocols = vec![HTTP_1.to_vec()];
        requests.alpn_protocols = match http2 {
            Http2::Off => vec![HTTP_1.to_vec()],
            Http2::Offered | Http2::Clear => vec![H2.to_vec(), HTTP_1.to_vec()],
        };
        let parts = Parts {
            requests: TlsConnector::from(Arc::new(requests)),
            upgrades: TlsConnector::from(Arc::new(upgrades)),
            server_name,
        };
        Ok(Self { parts: Some(parts), made_of: digest(texts) })
    }

    /// Shakes hands over a socket.
    pub(super) async fn connect(
        &self,
        host: &str,
        socket: TcpStream,
        offers_http2: bool,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let Some(Parts { requests, upgrades, server_name }) = &self.parts else {
            return Err(std::io::Error::other("TLS was not set up"));
        };
        let name = match server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?,
        };
        let connector = if offers_http2 { requests } else { upgrades };
        connector.connect(name, socket).await
    }
}

/// Whether the upstream chose HTTP/2.
pub(super) fn chose_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(H2)
}

fn client_config(texts: &TlsTexts) -> Result<ClientConfig, TlsError> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Platform)?;
    let builder = match &texts.authorities {
        Some(pem) => builder.with_root_certificates(authorities(pem)?),
        None => builder.with_platform_verifier().map_err(TlsError::Platform)?,
    };
    let Some((chain, key)) = &texts.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let wrong = |error: &dyn fmt::Display| TlsError::Identity(error.to_string());
    let chain = certificates(chain).map_err(|error| wrong(&error))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong(&error))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| wrong(&error))
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let wrong = |error: &dyn fmt::Display| TlsError::Authorities(error.to_string());
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem).map_err(|error| wrong(&error))? {
        store.add(certificate).map_err(|error| wrong(&error))?;
    }
    Ok(store)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(certificates) if certificates.is_empty() => Err("there is no certificate in it".to_owned()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(error.to_string()),
    }
}

/// What tells one set of texts from another, so that a reload knows whether connections can stay.
fn digest(texts: &TlsTexts) -> [u8; 32] {
    let TlsTexts { authorities, identity, server_name } = texts;
    let mut hash = Sha256::new();
    let (chain, key) = identity.as_ref().map_or((None, None), |(chain, key)| (Some(chain), Some(key)));
    for text in [authorities.as_ref(), chain, key, server_name.clone().map(String::into_bytes).as_ref()] {
        let length = text.map_or(u64::MAX, |text| text.len() as u64);
        hash.update(length.to_be_bytes());
        hash.update(text.map_or(&[][..], Vec::as_slice));
    }
    hash.finalize().into()
}

impl PartialEq for TlsClient {
    fn eq(&self, other: &Self) -> bool {
        self.made_of == other.made_of
    }
}

impl Eq for TlsClient {}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsClient")
    }
}

impl fmt::Debug for TlsTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTexts")
    }
}
