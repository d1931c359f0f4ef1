//! Sends a request through the pipeline and tells what each stage saw.

use std::{net::IpAddr, sync::Arc};

use http::{
    HeaderValue,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use serde_json::{Value, json};

use super::{
    advice::advice,
    bearer,
    causes::Cause,
    chain::{Chain, CleanChain},
    inquiry::Inquiry,
    oauth, route,
    scrub::Scrubber,
};
use crate::{
    auth::{credential::Credential, oauth1::Scheme, rejection::Rejection, time::UnixTime},
    proxy::{
        authenticate::has_form,
        forward::Credentials,
        inject::HeaderEdits,
        locate::{Destination, locate},
        outcome::Outcome,
        peer::{Peer, TrustedProxies},
        pipeline::{Known, Notes, Pipeline, Step, Verdict},
        sanitize::{Sanitized, sanitize},
    },
    reply::Refusals,
    store::{grant::Fact, nonces::NoncePeek, reference::Reference, shared_nonces::SharedNonces},
};

/// Explains requests as a gate with the same configuration would judge them.
#[derive(Debug)]
pub struct Explainer {
    /// The gate's stages, with a nonce port that only looks.
    pub pipeline: Pipeline,
    /// Where the gate's nonces can be looked at, if they can.
    pub nonces: Option<NonceLook>,
    /// How refusals are written.
    pub refusals: Refusals,
    /// Whose forwarding headers count.
    pub trusted_proxies: TrustedProxies,
    /// Whether the gate's own listener speaks TLS: then whoever asks it spoke https.
    pub speaks_tls: bool,
    /// Whether the upstream sees the client's credentials.
    pub credentials: Credentials,
    /// The longest form that is collected.
    pub max_form: usize,
    /// Hosts of this installation that a client may have signed by mistake.
    pub other_hosts: Vec<String>,
}

/// Where nonces are looked at.
#[derive(Debug)]
pub enum NonceLook {
    /// In the gate's journal.
    Journal(NoncePeek),
    /// In Redis, where replicas share them.
    Shared(Arc<SharedNonces>),
}

/// What a request does not say about itself.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// The time of the judgment.
    pub at: UnixTime,
    /// The address that connected to the gate.
    pub peer: IpAddr,
    /// Whether that connection was encrypted; else the URL that was called says so.
    pub scheme: Option<Scheme>,
    /// Whether signatures are shown whole. A signature that was not used yet is a credential.
    pub shows_signatures: bool,
}

/// Why a request passes or fails.
#[derive(Debug)]
pub struct Explanation {
    /// What the pipeline decided.
    pub verdict: Verdict,
    /// What fits where a signature does not verify.
    pub causes: Vec<Cause>,
    chain: CleanChain,
}

impl Explanation {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        self.chain.text()
    }

    /// For programs: an object of steps, each an object of findings.
    #[must_use]
    pub fn json(&self) -> Value {
        self.chain.json()
    }
}

impl Explainer {
    /// Explains one request. Nothing is recorded, forwarded or written.
    pub async fn explain(&self, inquiry: &Inquiry, circumstances: &Circumstances) -> Explanation {
        let mut inquiry_notes = inquiry.notes.clone();
        let peer = self.peer(inquiry, circumstances, &mut inquiry_notes);
        let verdict = self.decide(inquiry, &peer, circumstances.at).await;
        let headers = &inquiry.head.headers;
        let form = has_form(headers).then_some(inquiry.body.as_slice());
        let query = inquiry.head.uri.query();
        let scrubber = Scrubber::of_request(headers, query, form, circumstances.shows_signatures);
        let mut telling = Telling {
            explainer: self,
            inquiry,
            circumstances,
            peer: &peer,
            chain: Chain::new(scrubber),
            causes: Vec::new(),
        };
        telling.request(inquiry_notes, &verdict.notes);
        telling.stages(&verdict.notes).await;
        telling.outcome(&verdict);
        let Telling { mut chain, mut causes, .. } = telling;
        for cause in &mut causes {
            cause.fix = chain.scrubber().clean(&cause.fix);
        }
        Explanation { verdict, causes, chain: chain.finish() }
    }

    /// Asks the pipeline until it knows enough, as the engine does.
    async fn decide(&self, inquiry: &Inquiry, peer: &Peer, now: UnixTime) -> Verdict {
        let refuse = |rejection| Verdict { outcome: Err(rejection), notes: Notes::default() };
        let (mut facts, mut form, mut nonce) = (Vec::new(), None, None);
        loop {
            let known = Known { facts: &facts, form, nonce: nonce.as_ref() };
            match self.pipeline.decide(&inquiry.head, peer, now, known) {
                Step::Done(verdict) => return verdict,
                Step::NeedFacts(key, lookup) => {
                    facts.push((key, self.pipeline.facts.resolve(key, lookup).await.ok()));
                }
                Step::NeedForm if inquiry.body.len() > self.max_form => {
                    return refuse(Rejection::BodyTooLarge);
                }
                Step::NeedForm => form = Some(inquiry.body.as_slice()),
                Step::NeedNonce(claim) => {
                    let seen = self.pipeline.nonces.resolve(&claim, now).await;
                    nonce = Some((claim, seen));
                }
            }
        }
    }

    /// The other end. A client that called https reached the gate through somebody who ends TLS, if there is such a one.
    fn peer(&self, inquiry: &Inquiry, circumstances: &Circumstances, notes: &mut Vec<String>) -> Peer {
        let called = inquiry.called.as_ref().map(|(scheme, _)| *scheme);
        let is_tls = match (circumstances.scheme, called) {
            (Some(scheme), _) => scheme == Scheme::Https,
            (None, _) if self.speaks_tls => true,
            (None, Some(Scheme::Https)) if self.trusted_proxies.is_empty() => {
                notes.push(
                    "the client called https, but no listen.trusted_proxies may say so: the gate sees http \
                     (--scheme https judges otherwise)"
                        .into(),
                );
                false
            }
            (None, Some(Scheme::Https)) => {
                notes.push(
                    "the client called https: judged as if a trusted proxy said so (--scheme http judges otherwise)"
                        .into(),
                );
                true
            }
            (None, Some(Scheme::Http) | None) => false,
        };
        Peer::new(circumstances.peer, &self.trusted_proxies, is_tls)
    }
}

/// An explanation while it is told.
pub(super) struct Telling<'a> {
    pub(super) explainer: &'a Explainer,
    pub(super) inquiry: &'a Inquiry,
    pub(super) circumstances: &'a Circumstances,
    pub(super) peer: &'a Peer,
    pub(super) chain: Chain,
    pub(super) causes: Vec<Cause>,
}

impl Telling<'_> {
    fn request(&mut self, inquiry_notes: Vec<String>, notes: &Notes) {
        let Self { inquiry, peer, chain, .. } = self;
        let head = &inquiry.head;
        chain.step("request");
        chain.find("line", format!("{} {}", head.method, head.uri));
        let hosts = head.headers.get_all(http::header::HOST);
        let hosts: Vec<String> = hosts.iter().map(text).collect();
        chain.find("host", hosts);
        let trust = if peer.is_trusted { "in" } else { "not in" };
        chain.find("peer", format!("{}, {trust} listen.trusted_proxies", peer.address));
        chain.find("judged at", self.circumstances.at.seconds());
        let kind = head.headers.get(CONTENT_TYPE).map_or_else(|| "no media type".into(), text);
        chain.find("body", format!("{} bytes, {kind}", inquiry.body.len()));
        if notes.spoofed > 0 {
            chain.find("reserved headers", format!("{} sent by the client, removed", notes.spoofed));
        }
        if !inquiry_notes.is_empty() {
            chain.find("notes", inquiry_notes);
        }
    }

    async fn stages(&mut self, notes: &Notes) {
        let pipeline = &self.explainer.pipeline;
        let Ok(sanitized) = sanitize(&pipeline.sanitize, &self.inquiry.head, self.peer) else {
            return;
        };
        let reference: Option<Arc<Reference>> = pipeline.reference.current().clone();
        let found = locate(&pipeline.locate, &sanitized, reference.as_deref());
        route::tell(self, &sanitized, found.as_ref().ok());
        let Ok(destination) = found else { return };
        let fact = self.credential(&sanitized, &destination, reference.as_deref()).await;
        route::tell_permission(self, (&destination, notes), fact.as_deref(), reference.as_deref());
    }

    async fn credential(
        &mut self,
        sanitized: &Sanitized<'_>,
        destination: &Destination<'_>,
        reference: Option<&Reference>,
    ) -> Option<Arc<Fact>> {
        self.chain.step("credential");
        match *sanitized.credential() {
            Credential::None => {
                let authorization = self.inquiry.head.headers.get(AUTHORIZATION);
                let why = authorization.map_or("no Authorization header", why_no_credential);
                self.chain.find("seen", format!("none: {why}"));
                None
            }
            Credential::Bearer(token) => bearer::tell(self, token.as_bytes(), destination).await,
            Credential::Oauth(parameters) => {
                let codes = reference.map(|known| known.scope.codes().map(str::to_owned).collect());
                oauth::tell(self, parameters, (sanitized, destination), codes.unwrap_or_default()).await
            }
        }
    }

    fn outcome(&mut self, verdict: &Verdict) {
        let Verdict { outcome, notes } = verdict;
        if let Ok(Outcome::Forward(forward)) = outcome {
            self.upstream(&forward.edits);
        }
        if !self.causes.is_empty() {
            self.chain.step("likely cause");
            for Cause { name, fix } in &self.causes {
                self.chain.find(name, fix.as_str());
            }
        }
        self.chain.step("verdict");
        let caller = match (notes.user_id, outcome) {
            (Some(id), _) => format!("{} {id}, by {}", notes.user_type.as_str(), notes.method.as_str()),
            (None, Ok(_)) | (None, Err(Rejection::ResourceDenied { .. } | Rejection::HttpsRequired)) => {
                "guest".to_owned()
            }
            (None, Err(_)) => "not decided".to_owned(),
        };
        self.chain.find("caller", caller);
        if let Some(cause) = notes.cause {
            self.chain.find("credential refused", cause);
        }
        match outcome {
            Ok(Outcome::Forward(_)) => self.chain.find("outcome", "forwarded to the upstream"),
            Ok(Outcome::Own(call)) => {
                self.chain.find("outcome", format!("answered by the gate ({})", call.endpoint().as_str()));
            }
            Err(rejection) => self.refusal(rejection),
        }
        let reason = notes.cause.or_else(|| outcome.as_ref().err().map(Rejection::reason));
        if let Some(advice) = reason.and_then(advice) {
            self.chain.find("advice", advice);
        }
    }

    fn upstream(&mut self, edits: &HeaderEdits) {
        let HeaderEdits { remove, set } = edits;
        self.chain.step("upstream");
        let set: Vec<String> = set.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect();
        self.chain.find("headers set", set);
        let removed: Vec<&str> = remove.iter().map(http::HeaderName::as_str).collect();
        self.chain.find("headers removed", removed);
        let credentials = match self.explainer.credentials {
            Credentials::Forward => "forwarded as sent (upstream.credentials = \"forward\")",
            Credentials::Strip => "removed (upstream.credentials = \"strip\")",
        };
        self.chain.find("credentials", credentials);
    }

    fn refusal(&mut self, rejection: &Rejection) {
        let accept = self.inquiry.head.headers.get(ACCEPT);
        let reply = self.explainer.refusals.refuse(rejection, accept);
        self.chain.find("outcome", "refused");
        self.chain.find("status", reply.status().as_u16());
        self.chain.find("reason", rejection.reason());
        let kind = reply.headers().get(CONTENT_TYPE).map(text);
        self.chain.find("content type", json!(kind));
        self.chain.find("body", String::from_utf8_lossy(reply.body()).trim_end().to_owned());
    }
}

/// A header value for people.
pub(super) fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// Why an Authorization value holds no credential that counts.
fn why_no_credential(value: &HeaderValue) -> &'static str {
    let value = text(value).to_ascii_lowercase();
    let scheme = value.split_ascii_whitespace().next().unwrap_or_default();
    match scheme {
        "bearer" => "a bearer value must be `Bearer`, one blank and one token, nothing else",
        "oauth" => "`OAuth` must be followed by a blank and by parameters in UTF-8",
        "basic" => "Basic is for the web server, the API knows no such credential",
        _ if value.contains("oauth ") => "`OAuth` counts only at the start of the value",
        _ => "the scheme is neither Bearer nor OAuth",
    }
}
