//! The client that posts to one receiver: the audit's webhook, the collector of traces.
//!
//! It talks to that receiver alone, so that nobody who answers there, and no variable of the environment, can send what it
//! carries elsewhere.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, redirect};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// Why there is no client.
type Unusable = Box<dyn std::error::Error + Send + Sync>;

/// A client for `url`, whose requests take `timeout` at most: no redirect, no proxy of the environment. `authorities` (PEM)
/// are the only ones that are believed over https; the platform's where there are none.
///
/// # Errors
/// When the authorities cannot be read.
pub fn receiver_client(url: &str, timeout: Duration, authorities: Option<&[u8]>) -> Result<Client, Unusable> {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    let is_https = url.starts_with("https:");
    let tls = match authorities {
        Some(pem) => tls.with_root_certificates(roots(pem)?),
        None if is_https => tls.with_platform_verifier()?,
        None => tls.with_root_certificates(RootCertStore::empty()),
    };
    let client = Client::builder()
        .tls_backend_preconfigured(tls.with_no_client_auth())
        .https_only(is_https)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .timeout(timeout)
        .connect_timeout(timeout)
        .build()?;
    Ok(client)
}

fn roots(pem: &[u8]) -> Result<RootCertStore, Unusable> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        return Err("there is no certificate in it".into());
    }
    Ok(roots)
}
