//! Posting: one connection to an address that was looked at, one request, an answer that nobody believes.

use std::{io, net::SocketAddr, sync::Arc};

use reqwest::{
    dns::{Addrs, Name, Resolve, Resolving},
    header::CONTENT_TYPE,
    redirect::Policy,
};
use rustls::{ClientConfig, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt as _;
use thiserror::Error;

use super::{
    CallbackRules,
    address::is_allowed,
    url::{BadUrl, CallbackUrl},
};
use crate::auth::{form_text::push_field, secret::Secret};

/// Of an answer no more is read than this; what it says does not matter.
const MAX_ANSWER: usize = 8 * 1024;

/// Posts to callbacks.
#[derive(Debug, Clone)]
pub struct CallbackDoor {
    rules: CallbackRules,
}

/// Why nothing was posted, or nobody knows whether it arrived.
#[derive(Debug, Error)]
pub enum CallbackError {
    /// The address itself is refused.
    #[error("the callback's URL is refused: {0}")]
    Url(#[from] BadUrl),
    /// The name has no address.
    #[error("the callback's host has no address")]
    Unresolved(#[source] io::Error),
    /// An address of the name is none of the public internet.
    #[error("the callback's host is at an address that is not public")]
    NotPublic,
    /// The machine's certificates cannot be read.
    #[error("no certificates to verify the callback with")]
    Certificates(#[source] rustls::Error),
    /// Nobody answered, or nobody who proved to be the host.
    #[error("the callback did not answer")]
    Transport(#[source] reqwest::Error),
    /// The time was up.
    #[error("the callback did not answer in time")]
    Timeout,
}

impl CallbackDoor {
    /// A door that opens by these rules.
    #[must_use]
    pub const fn new(rules: CallbackRules) -> Self {
        Self { rules }
    }

    /// The rules.
    #[must_use]
    pub const fn rules(&self) -> &CallbackRules {
        &self.rules
    }

    /// Posts fields as a form, in their order. Any answer counts as one, whatever its status (`MAGENTO_AUTH` 4.2).
    ///
    /// # Errors
    /// [`CallbackError`]; after a transport error or a timeout the other side may have got them all the same.
    pub async fn post(&self, url: &CallbackUrl, fields: &[(&str, &str)]) -> Result<(), CallbackError> {
        let posting = self.post_and_read(url, fields);
        tokio::time::timeout(self.rules.timeout, posting).await.unwrap_or(Err(CallbackError::Timeout))
    }

    async fn post_and_read(&self, url: &CallbackUrl, fields: &[(&str, &str)]) -> Result<(), CallbackError> {
        let vetted = self.vetted_addresses(url).await?;
        let client = client(vetted)?;
        let form = form(fields);
        let request = client
            .post(url.as_url().clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.expose().clone());
        let mut answer = request.send().await.map_err(transport)?;
        let mut read = 0;
        while read < MAX_ANSWER {
            // The fields arrived; an answer that breaks off changes nothing about that.
            let Ok(Some(piece)) = answer.chunk().await else { break };
            read += piece.len();
        }
        tracing::debug!(status = answer.status().as_u16(), "the callback answered");
        Ok(())
    }

    /// Every address of the host; none, if one of them is refused: which one is connected to is nobody's choice.
    async fn vetted_addresses(&self, url: &CallbackUrl) -> Result<Vec<SocketAddr>, CallbackError> {
        let addresses: Vec<SocketAddr> = match url.literal() {
            Some(literal) => vec![SocketAddr::new(literal, url.port())],
            None => {
                let found = tokio::net::lookup_host((url.host(), url.port())).await;
                found.map_err(CallbackError::Unresolved)?.collect()
            }
        };
        if addresses.is_empty() {
            return Err(CallbackError::Unresolved(io::ErrorKind::NotFound.into()));
        }
        let is_allowed = |address: &SocketAddr| is_allowed(address.ip(), &self.rules.allow_networks);
        if addresses.iter().all(is_allowed) { Ok(addresses) } else { Err(CallbackError::NotPublic) }
    }
}

/// Resolves every name to what was looked at: between the look and the connection no name is asked for again.
#[derive(Debug)]
struct Vetted(Vec<SocketAddr>);

impl Resolve for Vetted {
    fn resolve(&self, _name: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

/// The fields, in a buffer that never moves and leaves a copy of a secret behind.
fn form(fields: &[(&str, &str)]) -> Secret<String> {
    let room = fields.iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
    let mut form = String::with_capacity(room);
    fields.iter().for_each(|(name, value)| push_field(&mut form, name, value));
    Secret::new(form)
}

/// A client for one request.
fn client(vetted: Vec<SocketAddr>) -> Result<reqwest::Client, CallbackError> {
    let provider = Arc::new(ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(CallbackError::Certificates)?
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(Vetted(vetted))
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .user_agent("Portcullis")
        .build()
        .map_err(transport)
}

/// The error's text would repeat the URL.
fn transport(error: reqwest::Error) -> CallbackError {
    CallbackError::Transport(error.without_url())
}
