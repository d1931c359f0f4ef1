//! The gate's own endpoints: which they are, and who answers them.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};

use super::wire;
use crate::{
    auth::rejection::Rejection,
    config::Config,
    proxy::{
        limit::LimitRules,
        own::{Endpoints, OwnAnswer, OwnEndpoint, OwnRequest, OwnRules},
        reserved::HeaderNames,
    },
    reply::Refusals,
    store::facts::Facts,
};

/// Which endpoints are answered here.
pub(super) fn own(_config: &Config) -> OwnRules {
    let answered: [OwnEndpoint; 0] = [];
    OwnRules::answering(answered)
}

/// How long bodies may be, and how often an address may sign in.
pub(super) const fn limit(config: &Config) -> LimitRules {
    LimitRules { max_body: config.listen.max_body, logins: None }
}

/// Whoever answers.
pub(super) fn endpoints(config: &Config, _facts: &Facts, names: &HeaderNames) -> Arc<dyn Endpoints> {
    Arc::new(OwnEndpoints { refusals: wire::refusals(config, names) })
}

/// Hands own requests to the services behind them.
#[derive(Debug)]
struct OwnEndpoints {
    refusals: Refusals,
}

impl Endpoints for OwnEndpoints {
    fn answer(&self, request: OwnRequest) -> BoxFuture<'static, OwnAnswer> {
        let rejection = match request.call.endpoint() {
            OwnEndpoint::AdminToken
            | OwnEndpoint::CustomerToken
            | OwnEndpoint::RevokeCustomerToken
            | OwnEndpoint::RequestToken
            | OwnEndpoint::AccessToken => Rejection::NoRoute,
        };
        let response = self.refusals.refuse(&rejection, None);
        std::future::ready(OwnAnswer { response, refused: Some(rejection.reason()) }).boxed()
    }

    fn screen(&self, _request: OwnRequest) -> BoxFuture<'static, Option<OwnAnswer>> {
        std::future::ready(None).boxed()
    }
}
