//! `stage auth FOLDER`: the auth service that nginx asks, on the socket `auth.sock` in the folder.
//!
//! It is as small as such a service can be: one thread, no store behind it, callers and signing keys in a map by digest. What
//! it proves it proves by the crate's own rules, as Portcullis does: an opaque token is somebody's, a signature verifies, its
//! timestamp is within the window and its nonce was not used before. Nonces are kept in memory and not in a journal. It
//! answers 200 with the identity in four headers, or 401. Routes and permissions are nobody's concern here.

use std::{collections::HashMap, convert::Infallible, path::Path, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{AUTHORIZATION, HOST},
};
use http_body_util::Empty;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use portcullis::{
    auth::{
        credential::Credential,
        oauth1::{
            ProtocolParameters, Reading, Readings, Scheme, SignatureMethods, SignedRequest, SigningKey,
            TimestampWindow, check, verify,
        },
    },
    clock::Clock,
    store::nonces::{NonceSettings, NonceStore, Recorded},
};
use sha2::{Digest as _, Sha256};
use tokio::net::UnixListener;

use super::support::callers::{self, Known};

const METHOD: HeaderName = HeaderName::from_static("x-original-method");
const URI: HeaderName = HeaderName::from_static("x-original-uri");

type Digest = [u8; 32];

/// Serves until it is ended.
pub(crate) fn serve(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(async {
        let gate = Arc::new(Gate::new());
        let listener = UnixListener::bind(folder.join("auth.sock")).expect("the socket is free");
        while let Ok((socket, _)) = listener.accept().await {
            let gate = Arc::clone(&gate);
            let answer = service_fn(move |request: Request<Incoming>| {
                std::future::ready(Ok::<_, Infallible>(gate.answer(&request)))
            });
            let mut server = http1::Builder::new();
            server.auto_date_header(false).writev(false);
            tokio::spawn(server.serve_connection(TokioIo::new(socket), answer));
        }
    });
}

struct Gate {
    bearers: HashMap<Digest, HeaderMap>,
    signers: HashMap<Digest, Signer>,
    nonces: NonceStore,
    clock: Clock,
}

struct Signer {
    consumer: u32,
    key: SigningKey,
    identity: HeaderMap,
}

impl Gate {
    fn new() -> Self {
        let clock = Clock::system();
        let window = TimestampWindow::default();
        let settings =
            NonceSettings { past: window.past, future: window.future, max: 100_000_000, journal: None };
        let known = callers::customer();
        let bearers = HashMap::from([(digest(&[known.token]), identity(&known, "bearer"))]);
        let known = callers::integration();
        let key = SigningKey::new(callers::CONSUMER_SECRET.as_bytes(), callers::TOKEN_SECRET.as_bytes());
        let signer = Signer {
            consumer: 1,
            key: key.expect("neither secret is empty"),
            identity: identity(&known, "oauth1"),
        };
        let signers = HashMap::from([(digest(&[callers::CONSUMER_KEY, known.token]), signer)]);
        let nonces = NonceStore::open(settings, clock.now()).expect("a store without a journal opens");
        Self { bearers, signers, nonces, clock }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Empty<Bytes>> {
        let identity = self.identity(request.headers());
        let mut answer = Response::new(Empty::new());
        match identity {
            Some(identity) => answer.headers_mut().extend(identity.clone()),
            None => *answer.status_mut() = StatusCode::UNAUTHORIZED,
        }
        answer
    }

    fn identity(&self, headers: &HeaderMap) -> Option<&HeaderMap> {
        match Credential::parse(headers.get(AUTHORIZATION)?.as_bytes()).ok()? {
            Credential::None => None,
            Credential::Bearer(token) => self.bearers.get(&digest(&[token.as_bytes()])),
            Credential::Oauth(parameters) => self.signed(parameters, headers),
        }
    }

    fn signed(&self, parameters: &str, headers: &HeaderMap) -> Option<&HeaderMap> {
        let text = |name: HeaderName| headers.get(name)?.to_str().ok();
        let (path, query) = split(text(URI)?);
        let method = text(METHOD)?;
        let host = text(HOST)?;
        let request = SignedRequest { method, scheme: Scheme::Http, host, path, query, form: None };
        let parameters = ProtocolParameters::parse(parameters);
        let presented = check(&parameters, SignatureMethods::default()).ok()?;
        let signer = self.signers.get(&digest(&[presented.consumer_key(), presented.token()]))?;
        let (timestamp, now) = (presented.timestamp(), self.clock.now());
        let is_current = TimestampWindow::default().accepts(timestamp, now);
        let readings = Readings::only(Reading::Rfc5849);
        verify(&presented, &request, (&signer.key).into(), readings, false).ok().filter(|_| is_current)?;
        let nonce = self.nonces.record(signer.consumer, presented.nonce(), timestamp.time(), now);
        (nonce == Recorded::Fresh).then_some(&signer.identity)
    }
}

fn split(uri: &str) -> (&str, Option<&str>) {
    uri.split_once('?').map_or((uri, None), |(path, query)| (path, Some(query)))
}

/// The parts are of fixed length, so nothing stands between them.
fn digest(parts: &[impl AsRef<[u8]>]) -> Digest {
    parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into()
}

fn identity(known: &Known, method: &str) -> HeaderMap {
    let headers = [
        ("x-auth-user-type", known.user_type),
        ("x-auth-method", method),
        ("x-auth-user-id", known.user_id),
        ("x-auth-acl", &known.acl),
    ];
    let value = |text: &str| HeaderValue::from_str(text).expect("constants are visible ASCII");
    headers.into_iter().map(|(name, text)| (HeaderName::from_static(name), value(text))).collect()
}
