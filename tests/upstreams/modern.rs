//! An endpoint that speaks TLS and HTTP/2, and the certificates for it.

use std::{
    convert::Infallible,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::{BodyExt as _, combinators::BoxBody};
use hyper::{body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::TlsAcceptor;

/// What an endpoint saw of a request.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) version: Version,
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) authority: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) type Body = BoxBody<Bytes, std::io::Error>;
type Answering = dyn Fn(&Seen) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> + Send + Sync;

/// An endpoint.
#[derive(Clone)]
pub(crate) struct Modern {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
    leave: Arc<watch::Sender<usize>>,
}

/// An authority and what it signed.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for these names, valid until the end of this year.
    pub(crate) fn sign(&self, names: &[&str], until: i32) -> Identity {
        let mut params =
            CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }

    /// Writes its own certificate.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, &self.pem).unwrap();
        path
    }
}

impl Identity {
    /// What a server with it goes by; where an authority is given, clients need its certificate.
    pub(crate) fn server(&self, clients: Option<&Authority>, protocols: &[&[u8]]) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chain = vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }
}

/// A whole body.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    http_body_util::Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed()
}

impl Modern {
    /// Answers with the version that it was asked in and the length of the body.
    pub(crate) fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        Self::answering(tls, |seen| {
            let text = format!("{:?} {}", seen.version, seen.body.len());
            Box::pin(async move { Response::new(full(text)) })
        })
    }

    /// Answers as told: over TLS in the protocol that was agreed on, in the clear in HTTP/2.
    pub(crate) fn answering(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&Seen) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> + Send + Sync + 'static,
    ) -> Self {
        let (told, address) = mpsc::channel();
        let (connections, seen) = (Arc::new(AtomicUsize::new(0)), Arc::<Mutex<Vec<Seen>>>::default());
        let leave = Arc::new(watch::Sender::new(0));
        let (count, kept, leaving) = (Arc::clone(&connections), Arc::clone(&seen), leave.subscribe());
        let answer: Arc<Answering> = Arc::new(answer);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                loop {
                    let (socket, _) = listener.accept().await.unwrap();
                    count.fetch_add(1, SeqCst);
                    let serves = (Arc::clone(&answer), Arc::clone(&kept));
                    tokio::spawn(greet(socket, tls.clone(), serves, leaving.clone()));
                }
            });
        });
        Self { address: address.recv().unwrap(), connections, seen, leave }
    }

    /// Says goodbye on every connection (GOAWAY), and ends what is under way.
    pub(crate) fn leave(&self) {
        self.leave.send_modify(|times| *times += 1);
    }

    /// Every request since the last call.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// How many requests came since the last call of [`Modern::take`].
    pub(crate) fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }
}

type Serves = (Arc<Answering>, Arc<Mutex<Vec<Seen>>>);

async fn greet(
    socket: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    serves: Serves,
    leaving: watch::Receiver<usize>,
) {
    let Some(tls) = tls else {
        serve(socket, true, serves, leaving).await;
        return;
    };
    if let Ok(stream) = TlsAcceptor::from(tls).accept(socket).await {
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        serve(stream, is_http2, serves, leaving).await;
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    is_http2: bool,
    (answer, kept): Serves,
    mut leaving: watch::Receiver<usize>,
) {
    leaving.mark_unchanged();
    let service = service_fn(move |request: Request<Incoming>| {
        let (answer, kept) = (Arc::clone(&answer), Arc::clone(&kept));
        async move {
            let (head, body) = request.into_parts();
            let Ok(body) = body.collect().await else {
                return Err(std::io::Error::other("the body broke off"));
            };
            let seen = Seen {
                version: head.version,
                method: head.method,
                target: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
                authority: head.uri.authority().map(ToString::to_string),
                headers: head.headers,
                body: body.to_bytes(),
            };
            kept.lock().unwrap().push(seen.clone());
            Ok(answer(&seen).await)
        }
    });
    let io = TokioIo::new(stream);
    if is_http2 {
        let mut connection =
            std::pin::pin!(conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service));
        let left = tokio::select! {
            _ = connection.as_mut() => false,
            left = leaving.changed() => left.is_ok(),
        };
        if left {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    } else {
        let _ = conn::http1::Builder::new().serve_connection(io, service).await;
    }
}
