//! What becomes of an admitted request: header edits for the upstream, or a call of the gate's own.
//!
//! Both can only be made from what `limit` admitted. A request that goes upstream may have to be watched, where the
//! upstream checks passwords or revokes tokens.

use super::{
    address_limit::Charge,
    inject::{HeaderEdits, inject},
    limit::Admitted,
    own::{OwnCall, OwnEndpoint, Sensitive},
    reserved::HeaderNames,
};
use crate::{auth::identity::UserContext, store::Subject};

/// What becomes of a request that nobody refused.
#[derive(Debug)]
pub enum Outcome {
    /// It goes upstream.
    Forward(Forward),
    /// The gate answers.
    Own(OwnCall),
}

/// How a request goes upstream.
#[derive(Debug)]
pub struct Forward {
    /// What the upstream reads of us.
    pub edits: HeaderEdits,
    /// What has to be seen on the way.
    pub watch: Watch,
}

/// What has to be seen of a request that goes upstream.
#[derive(Debug)]
pub enum Watch {
    /// Nothing.
    Nothing,
    /// A login: [`super::own::Endpoints::screen`] is asked about the body first.
    Login(OwnCall),
    /// A revocation: if the upstream agrees, what is known of this customer is no longer true.
    Revocation(Option<Subject>),
    /// GraphQL: token mutations in the body are charged as they pass, and may be a revocation.
    Mutations(Option<Charge>, Option<Subject>),
}

impl Outcome {
    /// Turns an admitted request into what becomes of it.
    #[must_use]
    pub(super) fn of(names: &HeaderNames, admitted: Admitted) -> Self {
        if let Some(endpoint) = admitted.own() {
            return Self::Own(OwnCall::new(endpoint, &admitted));
        }
        let watch = Watch::over(&admitted);
        Self::Forward(Forward { edits: inject(names, admitted), watch })
    }
}

impl From<HeaderEdits> for Forward {
    fn from(edits: HeaderEdits) -> Self {
        Self { edits, watch: Watch::Nothing }
    }
}

impl Watch {
    fn over(admitted: &Admitted) -> Self {
        match admitted.sensitive() {
            Some(Sensitive::Endpoint(endpoint @ (OwnEndpoint::AdminToken | OwnEndpoint::CustomerToken))) => {
                Self::Login(OwnCall::new(endpoint, admitted))
            }
            Some(Sensitive::Endpoint(OwnEndpoint::RevokeCustomerToken)) => {
                Self::Revocation(customer(admitted))
            }
            Some(Sensitive::Graphql) => Self::Mutations(admitted.charge(), customer(admitted)),
            Some(
                Sensitive::SecondFactor
                | Sensitive::Soap
                | Sensitive::Endpoint(OwnEndpoint::RequestToken | OwnEndpoint::AccessToken),
            )
            | None => Self::Nothing,
        }
    }
}

/// The customer who asks.
fn customer(admitted: &Admitted) -> Option<Subject> {
    match &admitted.permit().grant()?.context {
        UserContext::Customer(customer) => Some(Subject::Customer(customer.id)),
        UserContext::Guest | UserContext::Admin { .. } | UserContext::Integration(_) => None,
    }
}
