//! `[handshake]`: who gives integrations their tokens, and where their secrets may be posted to.

use std::time::Duration;

use ipnet::IpNet;

use super::{
    lenient::{Leaf, Words, text},
    origin::Origin,
    raw::RawHandshake,
    report::Report,
    upstream::Credentials,
};

/// Who answers `/oauth/token/request` and `/oauth/token/access`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeIssuer {
    /// Portcullis.
    Portcullis,
    /// The upstream.
    Upstream,
}

/// How integrations get their tokens.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// Who gives them out.
    pub issuer: HandshakeIssuer,
    /// Whether a callback may be `http`.
    pub allow_http: bool,
    /// Networks that are not public and may be posted to.
    pub allow_networks: Vec<IpNet>,
    /// The time for a post.
    pub timeout: Duration,
    /// What a third party is told the shop's address is.
    pub store_base_url: Option<String>,
    /// Where browsers of operators reach the operator's listener; ends in a slash.
    pub admin_base_url: Option<String>,
    /// How long after the post a request token may be asked for.
    pub expiry: Duration,
    /// How long a request token may be exchanged.
    pub request_token_lifetime: Duration,
}

/// An `http` or `https` URL of a shop; ends in a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BaseUrl(String);

impl Leaf for BaseUrl {
    fn read(value: &figment::value::Value) -> Result<Self, String> {
        let text = text(value)?;
        let wrong = || "is not the URL of a shop; write one such as \"https://shop.example.com/\"".to_owned();
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let authority = rest.split('/').next().unwrap_or_default();
        let is_plain = text.len() <= 255
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\\"<>".contains(&byte));
        format!("{scheme}://{authority}").parse::<Origin>().map_err(|_| wrong())?;
        if !is_plain {
            return Err(wrong());
        }
        Ok(Self(if text.ends_with('/') { text.to_owned() } else { format!("{text}/") }))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

impl Words for HandshakeIssuer {
    const WORDS: &'static [(&'static str, Self)] =
        &[("portcullis", Self::Portcullis), ("upstream", Self::Upstream)];
}

impl Handshake {
    pub(super) fn parse(
        raw: RawHandshake,
        (credentials, origin): (Credentials, Option<&Origin>),
        report: &mut Report,
    ) -> Self {
        let RawHandshake {
            issuer,
            allow_http,
            allow_networks,
            timeout,
            store_base_url,
            admin_base_url,
            expiry,
            request_token_lifetime,
        } = raw;
        // An upstream that judges signatures itself must know the tokens.
        let by_upstream = match credentials {
            Credentials::Strip => HandshakeIssuer::Portcullis,
            Credentials::Forward => HandshakeIssuer::Upstream,
        };
        let seconds = Duration::from_secs;
        let parsed = Self {
            issuer: report.take("handshake.issuer", issuer, by_upstream),
            allow_http: report.take("handshake.allow_http", allow_http, false),
            allow_networks: report.take("handshake.allow_networks", allow_networks, Vec::new()),
            timeout: report.take_within(
                "handshake.timeout",
                timeout,
                seconds(5),
                Duration::from_millis(100)..=seconds(60),
            ),
            store_base_url: {
                let written = report.take_optional("handshake.store_base_url", store_base_url);
                written.map(|url: BaseUrl| url.0).or_else(|| origin.map(|origin| format!("{origin}/")))
            },
            admin_base_url: report
                .take_optional("handshake.admin_base_url", admin_base_url)
                .map(|url: BaseUrl| url.0),
            expiry: report.take_within(
                "handshake.expiry",
                expiry,
                seconds(300),
                seconds(1)..=seconds(86_400),
            ),
            request_token_lifetime: report.take_within(
                "handshake.request_token_lifetime",
                request_token_lifetime,
                seconds(7200),
                seconds(1)..=seconds(7 * 86_400),
            ),
        };
        if parsed.allow_http {
            report.warn("handshake.allow_http", "consumers' secrets may travel in clear text");
        }
        parsed
    }
}
