//! Certificates and keys out of their files, and all that is wrong with them at once.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoClientAuth, ServerSessionMemoryCache, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use sha2::{Digest as _, Sha256};

use super::{
    der::{self, Said},
    resolver::Resolver,
};
use crate::{
    auth::{secret::Secret, time::UnixTime},
    config::{CertificateFiles, ClientAuth, Tls, read_bounded},
};

/// A chain of certificates is a few kilobytes, a bundle of authorities a few hundred.
const MAX_FILE: u64 = 1 << 20;

/// Sessions that can be resumed without a ticket.
const SESSIONS: usize = 4096;

/// A certificate that ends sooner is worth a warning.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// Why a listener cannot speak TLS: every mistake, a line each.
#[derive(Debug, thiserror::Error)]
pub struct TlsProblems(Vec<String>);

/// What one listener speaks TLS with.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    /// What handshakes go by.
    pub(super) config: Arc<ServerConfig>,
    /// Each certificate's first name and its end.
    pub(super) ends: Vec<(String, i64)>,
    settings: Tls,
    contents: [u8; 32],
}

/// The text of every file that a listener's settings name.
struct Texts {
    pairs: Vec<(CertificateFiles, String, Secret<String>)>,
    authorities: Option<String>,
    contents: [u8; 32],
}

impl fmt::Display for TlsProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl TlsProblems {
    /// Both listeners' mistakes together.
    pub(super) fn and(mut self, other: Option<Self>) -> Self {
        self.0.extend(other.into_iter().flat_map(|other| other.0));
        self
    }
}

impl Loaded {
    /// Reads a listener's files. What is `current` stays where neither settings nor files changed, so that clients may go on
    /// with the sessions they have.
    ///
    /// # Errors
    /// [`TlsProblems`], each with the setting `section`.
    pub(super) fn load(
        section: &'static str,
        settings: &Tls,
        current: Option<&Self>,
        (now, protocols): (UnixTime, &[&[u8]]),
    ) -> Result<Self, TlsProblems> {
        let texts = Texts::read(section, settings)?;
        if let Some(current) = current
            && current.settings == *settings
            && current.contents == texts.contents
        {
            return Ok(current.clone());
        }
        let provider = Arc::new(ring::default_provider());
        let (mut problems, mut shown, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for (files, certificate, key) in &texts.pairs {
            let wrong = |what: String| format!("{section}: {what}");
            match certified(files, (certificate, key), &provider, now) {
                Ok((said, key)) => {
                    ends.push((said.names.first().cloned().unwrap_or_default(), said.not_after));
                    shown.push((said.names, Arc::new(key)));
                }
                Err(what) => problems.push(wrong(what)),
            }
        }
        let verifier = verifier(settings, texts.authorities.as_deref(), &provider);
        let verifier = verifier.map_err(|what| problems.push(format!("{section}: {what}")));
        let (Ok(verifier), true) = (verifier, problems.is_empty()) else {
            return Err(TlsProblems(problems));
        };
        let resolver = Resolver::new(shown, settings.strict_sni);
        let config = server_config(&provider, verifier, resolver, protocols)
            .map_err(|error| TlsProblems(vec![format!("{section}: {error}")]))?;
        let config = Arc::new(config);
        Ok(Self { config, ends, settings: settings.clone(), contents: texts.contents })
    }

    /// How long a handshake may take.
    pub(super) const fn handshake_timeout(&self) -> Duration {
        self.settings.handshake_timeout
    }
}

impl Texts {
    fn read(section: &'static str, settings: &Tls) -> Result<Self, TlsProblems> {
        let (mut problems, mut hash) = (Vec::new(), Sha256::new());
        let mut text = |path: &Path| {
            let read = read_bounded(path, MAX_FILE);
            let read = read.map_err(|error| {
                problems.push(format!("{section}: cannot read {}: {error}", path.display()));
            });
            let read = read.unwrap_or_default();
            hash.update(read.len().to_be_bytes());
            hash.update(&read);
            read
        };
        let pairs = settings.certificates.iter().map(|files| {
            let (certificate, key) = (text(&files.certificate), Secret::new(text(&files.key)));
            (files.clone(), certificate, key)
        });
        let pairs = pairs.collect();
        let authorities = settings.client_ca_file.as_deref().map(&mut text);
        let contents = hash.finalize().into();
        if problems.is_empty() {
            Ok(Self { pairs, authorities, contents })
        } else {
            Err(TlsProblems(problems))
        }
    }
}

/// A certificate and its key, proven to belong together and to be in force.
fn certified(
    CertificateFiles { certificate: path, key: key_path }: &CertificateFiles,
    (certificate, key): (&str, &Secret<String>),
    provider: &CryptoProvider,
    now: UnixTime,
) -> Result<(Said, CertifiedKey), String> {
    let (path, key_path) = (path.display(), key_path.display());
    let chain = certificates(certificate).map_err(|reason| format!("{path} {reason}"))?;
    let said = chain.first().and_then(|leaf| der::read(leaf));
    let said = said.ok_or_else(|| format!("{path} holds no certificate that can be read"))?;
    let left = said.not_after - now.seconds();
    if left <= 0 {
        return Err(format!("{path} expired {} days ago; renew it", -left / 86_400));
    }
    if left < SOON.as_secs().cast_signed() {
        tracing::warn!(certificate = %path, days = left / 86_400, "a certificate expires soon");
    }
    if said.not_before > now.seconds() {
        tracing::warn!(certificate = %path, "a certificate is not valid yet");
    }
    // The reason could quote the file.
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
        .map_err(|_reason| format!("{key_path} holds no private key in PEM"))?;
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        if matches!(error, rustls::Error::InconsistentKeys(_)) {
            format!("{key_path} is not the key to {path}")
        } else {
            format!("{path} with {key_path}: {error}")
        }
    })?;
    Ok((said, certified))
}

fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let chain = chain.map_err(|error| format!("is not PEM: {error}"))?;
    if chain.is_empty() { Err("holds no certificate".to_owned()) } else { Ok(chain) }
}

/// What judges the certificates of clients.
fn verifier(
    settings: &Tls,
    authorities: Option<&str>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let (Some(path), Some(text)) = (&settings.client_ca_file, authorities) else {
        return Ok(Arc::new(NoClientAuth));
    };
    let path = path.display();
    let mut roots = RootCertStore::empty();
    for authority in certificates(text).map_err(|reason| format!("{path} {reason}"))? {
        roots.add(authority).map_err(|error| format!("{path}: {error}"))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    builder = match settings.client_auth {
        ClientAuth::Off => return Ok(Arc::new(NoClientAuth)),
        ClientAuth::Optional => builder.allow_unauthenticated(),
        ClientAuth::Required => builder,
    };
    let verifier = builder.build().map_err(|error| format!("{path}: {error}"))?;
    Ok(verifier)
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ClientCertVerifier>,
    resolver: Resolver,
    protocols: &[&[u8]],
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    // Of this configuration alone: who resumes was proven by the same authorities.
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    config.ticketer = ring::Ticketer::new()?;
    Ok(config)
}
