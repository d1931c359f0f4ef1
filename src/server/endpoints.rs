//! The gate's own endpoints: which they are, how often an address may use them, and who answers.
//!
//! Answers are made on the runtime of the store. A client that goes away does not stop one that is being made: what a
//! service began it ends.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use http::{
    HeaderName,
    header::{ACCEPT, CONTENT_TYPE},
};
use tokio::{runtime::Handle, sync::Semaphore};

use super::handshake;
use crate::{
    auth::{crypt_keys::CryptKeys, identity::UserContext, rejection::Rejection},
    clock::Clock,
    config::{self, Config},
    metrics::Metrics,
    proxy::{
        address_limit::AddressLimit,
        limit::{LimitRules, LoginRules},
        own::{Endpoints, OwnAnswer, OwnCall, OwnEndpoint, OwnRequest, OwnRules},
        peer::TrustedProxies,
    },
    server::BuildError,
    service::{
        Issuer, LoginDesk, Origin, TokenSettings,
        admin_token::AdminTokenService,
        audit::Audit,
        customer_token::{CustomerTokenService, login_website},
        passwords::{PasswordPool, PasswordSettings},
    },
    store::{facts::Facts, logins::LoginKind, reference::ReferenceTables},
    token::{
        TokenEndpoints, TokenRequest,
        handshake::{Answered, Asked, Handshake},
    },
};

/// Steps of handshakes under way at once; look-ups of callers go by the same connections.
const MAX_HANDSHAKES: usize = 16;

/// Which endpoints are answered here. Where admins need a second factor, only the upstream can let them in.
pub(super) fn own(config: &Config) -> OwnRules {
    let is_issuer = match config.tokens.issuer {
        config::Issuer::Jwt | config::Issuer::Opaque => true,
        config::Issuer::Upstream => false,
    };
    let admin = (is_issuer && !config.tokens.two_factor).then_some(OwnEndpoint::AdminToken);
    let customer = is_issuer.then_some([OwnEndpoint::CustomerToken, OwnEndpoint::RevokeCustomerToken]);
    let steps = [OwnEndpoint::RequestToken, OwnEndpoint::AccessToken];
    let handshake = handshake::is_answered(config).then_some(steps);
    let people = admin.into_iter().chain(customer.into_iter().flatten());
    OwnRules::answering(people.chain(handshake.into_iter().flatten()))
}

/// How often an address may sign in; `None` where that is not limited.
pub(super) fn address_limit(config: &Config) -> Option<Arc<AddressLimit>> {
    config.tokens.address_limit.map(|rate| Arc::new(AddressLimit::new(rate.per_minute, rate.burst)))
}

/// How long bodies may be, and who counts how often an address signs in.
pub(super) fn limit(config: &Config, sign_ins: Option<&Arc<AddressLimit>>) -> LimitRules {
    let logins = sign_ins.map(|limit| LoginRules {
        limit: Arc::clone(limit),
        trusted_proxies: TrustedProxies::new(config.listen.trusted_proxies.clone()),
    });
    LimitRules { max_body: config.listen.max_body, logins }
}

/// Whoever answers the endpoints, whatever stores and routes there are; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Desks {
    tokens: Arc<TokenEndpoints>,
    runtime: Handle,
}

impl Desks {
    /// Opens them under this configuration, on the current runtime.
    pub(super) fn open(
        config: &Config,
        audit: Audit,
        (facts, metrics, clock): (&Facts, &Arc<Metrics>, &Clock),
    ) -> Result<Self, BuildError> {
        let desk = desk(config, audit, metrics, (facts, clock))?;
        let tokens = TokenEndpoints {
            admins: AdminTokenService::new(desk.clone()),
            customers: CustomerTokenService::new(desk),
            facts: facts.clone(),
            reads_query: config.tokens.query_credentials,
        };
        Ok(Self { tokens: Arc::new(tokens), runtime: Handle::current() })
    }

    /// The port behind which they answer, by these stores and with this handshake.
    pub(super) fn endpoints(
        &self,
        reference: &Arc<ReferenceTables>,
        handshake: Handshake,
    ) -> Arc<dyn Endpoints> {
        let (tokens, reference) = (Arc::clone(&self.tokens), Arc::clone(reference));
        let handshakes = Semaphore::new(MAX_HANDSHAKES);
        let answering = Answering { tokens, handshake, handshakes, reference };
        Arc::new(OwnEndpoints(Arc::new(answering), self.runtime.clone()))
    }
}

/// Where people's tokens are issued.
pub(super) fn desk(
    config: &Config,
    audit: Audit,
    metrics: &Metrics,
    (facts, clock): (&Facts, &Clock),
) -> Result<LoginDesk, BuildError> {
    let tokens = &config.tokens;
    let keys = CryptKeys::parse(config.magento.crypt_key.expose())?;
    let crypt_key = keys.newest().cipher_key().clone();
    let settings = PasswordSettings {
        workers: tokens.password_workers.unwrap_or_else(|| PasswordSettings::default().workers),
        queue: tokens.password_queue,
        max_wait: tokens.password_wait,
    };
    let passwords = PasswordPool::new(settings, crypt_key, metrics.passwords.clone());
    let issuer = match tokens.issuer {
        config::Issuer::Jwt | config::Issuer::Upstream => Issuer::Jwt,
        config::Issuer::Opaque => Issuer::Opaque,
    };
    let settings = TokenSettings { issuer, rehashes: tokens.rehash_on_login };
    Ok(LoginDesk::new(facts.clone(), passwords, audit, clock.clone(), settings))
}

/// Hands own requests over to the runtime on which they are answered.
#[derive(Debug)]
struct OwnEndpoints(Arc<Answering>, Handle);

#[derive(Debug)]
struct Answering {
    tokens: Arc<TokenEndpoints>,
    handshake: Handshake,
    handshakes: Semaphore,
    reference: Arc<ReferenceTables>,
}

impl Endpoints for OwnEndpoints {
    fn answer(&self, request: OwnRequest) -> BoxFuture<'static, Result<OwnAnswer, Rejection>> {
        let answering = Arc::clone(&self.0);
        self.elsewhere(async move { answering.answer(request).await })
    }

    fn screen(&self, request: OwnRequest) -> BoxFuture<'static, Result<(), Rejection>> {
        let answering = Arc::clone(&self.0);
        self.elsewhere(async move { answering.screen(request).await })
    }
}

impl OwnEndpoints {
    fn elsewhere<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Rejection>> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Rejection>> {
        let task = self.1.spawn(work);
        async move {
            task.await.unwrap_or_else(|error| {
                tracing::error!(error = %error, "answering an endpoint broke");
                Err(Rejection::StoreUnavailable)
            })
        }
        .boxed()
    }
}

impl Answering {
    async fn answer(&self, request: OwnRequest) -> Result<OwnAnswer, Rejection> {
        // Nothing is asked of a store that nobody has proven, and nothing written to it, however well it answers.
        if !self.tokens.facts.is_trusted() {
            return Err(Rejection::StoreUnavailable);
        }
        let response = match request.call.endpoint() {
            OwnEndpoint::AdminToken => self.tokens.admin_token(&read(request).1).await?,
            OwnEndpoint::CustomerToken => {
                let website_id = self.website(&request.call)?;
                self.tokens.customer_token(&read(request).1, website_id).await?
            }
            OwnEndpoint::RevokeCustomerToken => {
                let (call, request) = read(request);
                self.tokens.revoke_customer_token(&request, call.caller()).await?
            }
            step @ (OwnEndpoint::RequestToken | OwnEndpoint::AccessToken) => {
                return self.shake_hands(step, &asked(request)).await;
            }
        };
        Ok(OwnAnswer { response, refused: None, replayed: None })
    }

    /// The handshake has refusals of its own. Few at a time: each asks the store before it knows who asks.
    async fn shake_hands(&self, step: OwnEndpoint, asked: &Asked) -> Result<OwnAnswer, Rejection> {
        let Ok(_permit) = self.handshakes.try_acquire() else { return Err(Rejection::StoreUnavailable) };
        let Answered { response, refused, replayed } = if step == OwnEndpoint::RequestToken {
            self.handshake.request_token(asked).await
        } else {
            self.handshake.access_token(asked).await
        };
        Ok(OwnAnswer { response, refused, replayed })
    }

    async fn screen(&self, request: OwnRequest) -> Result<(), Rejection> {
        if !self.tokens.facts.is_trusted() {
            return Ok(());
        }
        let (call, request) = read(request);
        let kind = match call.endpoint() {
            OwnEndpoint::AdminToken => LoginKind::Admin,
            OwnEndpoint::CustomerToken => LoginKind::Customer,
            OwnEndpoint::RevokeCustomerToken | OwnEndpoint::RequestToken | OwnEndpoint::AccessToken => {
                return Ok(());
            }
        };
        self.tokens.screen(&request, kind).await
    }

    /// The website whose customers sign in where this was asked.
    fn website(&self, call: &OwnCall) -> Result<Option<u16>, Rejection> {
        let reference = self.reference.current();
        let known = reference.as_deref().ok_or(Rejection::StoreUnavailable)?;
        Ok(login_website(&known.scope, call.store()))
    }
}

/// What the token endpoints read of a request.
fn read(request: OwnRequest) -> (OwnCall, TokenRequest) {
    let OwnRequest { call, head, body, client, request_id, now } = request;
    let header = |name: HeaderName| head.headers.get(name).cloned();
    let origin = Origin { actor: actor(call.caller()), client: Some(client), request_id: Some(request_id) };
    let request = TokenRequest {
        content_type: header(CONTENT_TYPE),
        accept: header(ACCEPT),
        query: head.uri.query().map(str::to_owned),
        body,
        origin,
        now,
    };
    (call, request)
}

/// What the handshake reads of a request. Who asks is a guest until the signature says otherwise.
fn asked(request: OwnRequest) -> Asked {
    let OwnRequest { call, head, body, client, request_id, now } = request;
    let origin = Origin { actor: "guest".to_owned(), client: Some(client), request_id: Some(request_id) };
    Asked { head, scheme: call.scheme(), body, origin, now }
}

/// Who asks, in the audit's words.
fn actor(caller: Option<&UserContext>) -> String {
    let known = caller.and_then(|caller| Some((caller.user_type(), caller.user_id()?)));
    known.map_or_else(|| "guest".to_owned(), |(user_type, id)| format!("{}:{id}", user_type.as_str()))
}
