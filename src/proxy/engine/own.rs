//! Requests that the gate answers itself, or asks itself about before they go upstream.
//!
//! Their bodies are collected, short ones only, within room and time of their own: anybody may send one. The answer is made elsewhere,
//! behind [`Endpoints`](crate::proxy::own::Endpoints): a worker hands the request over and awaits, as it does for facts.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, request::Parts};

use super::{
    exchange::{Body, Content, Inbound},
    report::Report,
    scan::{Scan, Sighting},
};
use crate::{
    auth::rejection::Rejection,
    proxy::{
        outcome::Watch,
        own::{OwnAnswer, OwnCall, OwnRequest},
    },
    store::Subject,
};

/// How long such a body may take in all: whoever sends it knows it already.
const BODY_TIME: Duration = Duration::from_secs(10);

/// What is left to do when the upstream has answered.
pub(super) enum Aftermath {
    /// Nothing.
    Nothing,
    /// If it agreed, facts about this customer are no longer true.
    Revoked(Subject),
    /// The same, if the body held a mutation.
    RevokedIf(Sighting, Subject),
}

impl Inbound<'_> {
    /// Answers an own endpoint.
    pub(super) async fn answer(
        &self,
        call: OwnCall,
        head: Parts,
        mut body: Body,
        report: &mut Report,
    ) -> Result<Response<Content>, Rejection> {
        let request = self.own_request(call, head, &mut body, report).await?;
        let shared = &self.service.shared;
        let OwnAnswer { mut response, refused, replayed } = shared.endpoints.answer(request).await?;
        report.replayed(replayed);
        if let Some(reason) = refused {
            report.refused_as(reason);
            let name = shared.settings.replies.header.clone();
            response.headers_mut().insert(name, HeaderValue::from_static(reason));
        }
        Ok(response.map(Content::Own))
    }

    /// Does what has to be done before a request goes upstream.
    pub(super) async fn watch(
        &self,
        watch: Watch,
        head: &Parts,
        body: &mut Body,
        report: &Report,
    ) -> Result<Aftermath, Rejection> {
        match watch {
            Watch::Nothing => Ok(Aftermath::Nothing),
            Watch::Revocation(subject) => Ok(subject.map_or(Aftermath::Nothing, Aftermath::Revoked)),
            Watch::Mutations(charge, subject) => {
                let scan = Scan::new(charge);
                let sighting = scan.sighting();
                body.scan(scan).await?;
                let revoked = subject.map(|subject| Aftermath::RevokedIf(sighting, subject));
                Ok(revoked.unwrap_or(Aftermath::Nothing))
            }
            Watch::Login(call) => {
                let request = self.own_request(call, head.clone(), body, report).await?;
                self.service.shared.endpoints.screen(request).await?;
                Ok(Aftermath::Nothing)
            }
        }
    }

    /// Learns from the upstream's answer, before the client has it.
    pub(super) fn learn(&self, aftermath: &Aftermath, answered: &Response<Content>) {
        let subject = match aftermath {
            Aftermath::Revoked(subject) => *subject,
            Aftermath::RevokedIf(sighting, subject) if sighting.has_mutation() => *subject,
            Aftermath::Nothing | Aftermath::RevokedIf(..) => return,
        };
        if answered.status().is_success() {
            self.service.shared.facts.cache().invalidate(subject);
        }
    }

    async fn own_request(
        &self,
        call: OwnCall,
        head: Parts,
        body: &mut Body,
        report: &Report,
    ) -> Result<OwnRequest, Rejection> {
        let shared = &self.service.shared;
        let collecting = tokio::time::timeout(BODY_TIME, body.collected(&shared.own_bodies));
        let body: Bytes = collecting.await.map_err(|_late| Rejection::BodyStalled)??;
        let client = self.client.peer.client(&head.headers, &shared.settings.trusted_proxies);
        let request_id = report.request_id.to_str().unwrap_or_default().to_owned();
        Ok(OwnRequest { call, head, body, client, request_id, now: self.now })
    }
}
