//! The way of a request, as one function.
//!
//! `decide` names the stages in order and knows no engine, no socket and no store: it answers with an outcome, or says what
//! it lacks, and whoever called fetches that and asks again. So the same pipeline serves the inline proxy and every other
//! door. Each stage's result can only be built by that stage, and the next asks for it: a skipped check does not compile.

use std::sync::Arc;

use http::{HeaderValue, request::Parts};

use super::{
    authenticate::{AuthenticateRules, Authenticated, Stop, authenticate},
    authorize::{AclMode, AuthorizeRules, authorize},
    inject::inject_unchecked,
    limit::{LimitRules, limit, screen, screen_lookup},
    locate::{LocateRules, locate},
    nonce_use::NonceUse,
    outcome::{Forward, Outcome},
    own::OwnEndpoint,
    peer::Peer,
    quotas::LimitNotes,
    reserved::HeaderNames,
    sanitize::{SanitizeRules, sanitize},
    shadow::ShadowVerdict,
};
use crate::{
    auth::{
        identity::{AuthMethod, UserType},
        rejection::Rejection,
        time::UnixTime,
    },
    store::{
        facts::{Facts, Lookup},
        grant::{CredentialKey, Fact},
        nonces::Recorded,
        reference::ReferenceTables,
        shared_nonces::NonceClaim,
    },
};

/// Decides about requests; `Send + Sync`, shared by all workers.
#[derive(Debug)]
pub struct Pipeline {
    /// Rules of the stages, in their order.
    pub sanitize: SanitizeRules,
    /// Which paths are whose.
    pub locate: LocateRules,
    /// Which proofs count.
    pub authenticate: AuthenticateRules,
    /// What happens to those who may not.
    pub authorize: AuthorizeRules,
    /// How long a body may be, and how often an address may sign in.
    pub limit: LimitRules,
    /// The names that identity travels under.
    pub names: HeaderNames,
    /// What is known of credentials.
    pub facts: Facts,
    /// Store views and roles.
    pub reference: Arc<ReferenceTables>,
    /// Nonces that were used.
    pub nonces: NonceUse,
}

/// What the caller fetched so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The answers to [`Step::NeedFacts`], `None` where the store did not answer: a request may show several credentials.
    pub facts: &'a [(CredentialKey, Option<Arc<Fact>>)],
    /// The answer to [`Step::NeedForm`].
    pub form: Option<&'a [u8]>,
    /// The answer to [`Step::NeedNonce`], with what was asked: it counts for nothing else.
    pub nonce: Option<&'a (NonceClaim, Recorded)>,
}

impl Known<'_> {
    /// Whether the request is asked about for the first time.
    pub(super) const fn is_first(self) -> bool {
        self.facts.is_empty() && self.form.is_none() && self.nonce.is_none()
    }
}

/// An outcome, or what it takes to reach one.
#[derive(Debug)]
pub enum Step {
    /// Decided.
    Done(Verdict),
    /// The store must be asked about a credential.
    NeedFacts(CredentialKey, Lookup),
    /// The form body is signed and must be collected.
    NeedForm,
    /// Everything verified, and the nonce has to be recorded where all replicas see it.
    NeedNonce(NonceClaim),
}

/// What was decided, and what to write down about it.
#[derive(Debug)]
pub struct Verdict {
    /// What becomes of the request, or the refusal.
    pub outcome: Result<Outcome, Rejection>,
    /// For log and figures.
    pub notes: Notes,
}

/// What log and figures want to know of a decision.
#[derive(Debug, Clone)]
pub struct Notes {
    /// The kind of caller.
    pub user_type: UserType,
    /// The caller's id.
    pub user_id: Option<u32>,
    /// How the caller was proven.
    pub method: AuthMethod,
    /// Why a presented credential did not count, or a denial that was only reported.
    pub cause: Option<&'static str>,
    /// The fingerprint of the credential.
    pub credential: Option<HeaderValue>,
    /// The matched route's template.
    pub route: Option<Arc<str>>,
    /// The reading that verified a signature.
    pub reading: Option<&'static str>,
    /// Reserved headers that the client sent.
    pub spoofed: usize,
    /// The endpoint, if the gate answers it itself.
    pub own: Option<OwnEndpoint>,
    /// What we would have done, where everything is forwarded.
    pub shadow: Option<ShadowVerdict>,
    /// The consumer whose nonce was used before, whatever became of the request.
    pub replayed: Option<u32>,
    /// How near the caller is to a rate limit.
    pub limits: LimitNotes,
}

impl Default for Notes {
    fn default() -> Self {
        Self {
            user_type: UserType::Guest,
            user_id: None,
            method: AuthMethod::None,
            cause: None,
            credential: None,
            route: None,
            reading: None,
            spoofed: 0,
            own: None,
            shadow: None,
            replayed: None,
            limits: LimitNotes::default(),
        }
    }
}

impl Pipeline {
    /// Decides about a request's head: sanitize, locate, authenticate, authorize, limit, and inject or the gate's own call.
    #[must_use]
    pub fn decide(&self, head: &Parts, peer: &Peer, now: UnixTime, known: Known<'_>) -> Step {
        let shadow = self.shadows().then_some(ShadowVerdict::Pass);
        let mut notes = Notes { shadow, ..Notes::default() };
        let decided = self.stages(head, peer, (now, known), &mut notes);
        if let Err(Stop::Refuse(rejection)) = &decided {
            notes.replayed = rejection.replayed();
        }
        let outcome = match decided {
            Ok(outcome) => Ok(outcome),
            Err(Stop::Refuse(rejection)) if self.forwards(&rejection, &notes) => {
                notes.shadow = Some(ShadowVerdict::of(&rejection));
                let edits = inject_unchecked(&self.names, self.sanitize.reserved.among(&head.headers));
                Ok(Outcome::Forward(Forward::from(edits)))
            }
            Err(Stop::Refuse(rejection)) => Err(rejection),
            Err(Stop::NeedFacts(key, lookup)) => return Step::NeedFacts(key, lookup),
            Err(Stop::NeedForm) => return Step::NeedForm,
            Err(Stop::NeedNonce(claim)) => return Step::NeedNonce(claim),
        };
        Step::Done(Verdict { outcome, notes })
    }

    fn shadows(&self) -> bool {
        self.authorize.mode == AclMode::Shadow
    }

    /// Whether a refusal is only noted. What the gate answers itself has no upstream that could judge.
    fn forwards(&self, rejection: &Rejection, notes: &Notes) -> bool {
        self.shadows() && rejection.is_forwardable() && notes.own.is_none()
    }

    fn stages(
        &self,
        head: &Parts,
        peer: &Peer,
        (now, known): (UnixTime, Known<'_>),
        notes: &mut Notes,
    ) -> Result<Outcome, Stop> {
        let sanitized = sanitize(&self.sanitize, head, peer)?;
        notes.spoofed = sanitized.spoofed.len();
        let reference = self.reference.current();
        let reference = reference.as_deref();
        let destination = locate(&self.locate, &sanitized, reference)?;
        notes.route = destination.template();
        notes.own = destination.own();
        let screened = screen(&self.limit, (&sanitized, &destination), peer, known, notes)?;
        let authenticated = authenticate(self, &sanitized, &destination, (now, known));
        if let Err(Stop::NeedFacts(..)) = &authenticated {
            screen_lookup(&self.limit, &screened, (&sanitized, &destination), notes)?;
        }
        let authenticated = authenticated?;
        note(&authenticated, notes);
        let permit = authorize(&self.authorize, authenticated, &destination, reference, notes)?;
        let admitted = limit(&self.limit, (permit, screened), sanitized, (&destination, peer), notes)?;
        Ok(Outcome::of(&self.names, admitted))
    }
}

fn note(authenticated: &Authenticated, notes: &mut Notes) {
    notes.cause = authenticated.cause();
    notes.reading = authenticated.reading();
    notes.replayed = authenticated.replayed();
    if let Some(grant) = authenticated.grant() {
        notes.user_type = grant.context.user_type();
        notes.user_id = grant.context.user_id();
        notes.method = grant.method;
        notes.credential = Some(grant.headers.credential.clone());
    }
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Self {
        Self::Refuse(rejection)
    }
}
