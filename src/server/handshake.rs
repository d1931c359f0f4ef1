//! The services of integrations and the handshake's endpoints, put together from the configuration.

use std::sync::Arc;

use super::{
    error::BuildError,
    wire::{self, Files},
};
use crate::{
    auth::acl::AclTree,
    clock::Clock,
    config::{self, Config},
    service::{
        audit::Audit,
        callback::{CallbackDoor, CallbackRules},
        foundation::{Foundation, Memory},
        integration::IntegrationService,
        oauth::{HandshakeRules, OauthService},
    },
    store::{facts::Facts, nonces::Nonces, reference::ReferenceTables},
    token::handshake::{Handshake, SignatureRules},
};

/// What a running gate has that its services work on.
#[derive(Debug)]
pub(super) struct Running<'a> {
    pub(super) facts: &'a Facts,
    pub(super) reference: &'a Arc<ReferenceTables>,
    pub(super) tree: &'a Arc<AclTree>,
    pub(super) clock: &'a Clock,
}

/// The services of integrations for a process that decides about no requests: a command, a job. A gate on the same store
/// follows its changes within the lifetime of its cache.
///
/// # Errors
/// Whatever the configuration names that cannot be read.
pub async fn integration_service(
    config: &Config,
    audit: Audit,
    clock: Clock,
) -> Result<IntegrationService, BuildError> {
    let tree = Files::read(config)?.tree;
    let encryptor = wire::encryptor(config)?;
    let store = wire::open_store(config, &encryptor).await?;
    let foundation = Foundation { store, encryptor, tree, audit, clock, memory: None };
    Ok(IntegrationService::new(oauth_service(config, foundation)))
}

/// The services of a running gate, whose memory follows every change at once.
pub(super) fn running_service(config: &Config, audit: Audit, running: &Running<'_>) -> IntegrationService {
    let facts = running.facts;
    let memory = Memory { facts: facts.clone(), reference: Arc::clone(running.reference) };
    let foundation = Foundation {
        store: facts.store().clone(),
        encryptor: facts.judge().encryptor.clone(),
        tree: Arc::clone(running.tree),
        audit,
        clock: running.clock.clone(),
        memory: Some(memory),
    };
    IntegrationService::new(oauth_service(config, foundation))
}

/// The endpoints of a running gate.
pub(super) fn endpoints(config: &Config, integrations: &IntegrationService, nonces: &Nonces) -> Handshake {
    Handshake::new(integrations.oauth().clone(), signature_rules(config), nonces.clone())
}

/// Whether the gate answers the handshake.
pub(super) fn is_answered(config: &Config) -> bool {
    match config.handshake.issuer {
        config::HandshakeIssuer::Portcullis => true,
        config::HandshakeIssuer::Upstream => false,
    }
}

/// The service of consumers on a foundation.
pub(super) fn oauth_service(config: &Config, foundation: Foundation) -> OauthService {
    let handshake = &config.handshake;
    let rules = HandshakeRules {
        store_base_url: handshake.store_base_url.clone(),
        success_callback: handshake
            .admin_base_url
            .as_ref()
            .map(|base| format!("{base}integration/loginSuccessCallback")),
        expiry: handshake.expiry,
        request_token_lifetime: handshake.request_token_lifetime,
    };
    OauthService::new(Arc::new(foundation), rules, CallbackDoor::new(callback_rules(config)))
}

/// Where callbacks are posted to.
pub(super) fn callback_rules(config: &Config) -> CallbackRules {
    let handshake = &config.handshake;
    CallbackRules {
        allow_http: handshake.allow_http,
        allow_networks: handshake.allow_networks.clone(),
        timeout: handshake.timeout,
    }
}

/// The rules by which the API's signatures are judged.
fn signature_rules(config: &Config) -> SignatureRules {
    let rules = wire::authenticate(config);
    SignatureRules {
        methods: rules.signature_methods,
        window: rules.window,
        readings: rules.readings,
        origin: rules.origin,
    }
}
