//! What a bearer value is: a row of `oauth_token` or a user JWT, whose it is, and whether it counts.

use std::sync::Arc;

use super::{explainer::Telling, relative::relative};
use crate::{
    auth::{
        identity::UserType,
        jwt::{Claims, JwtContents},
        secret::Secret,
        time::UnixTime,
    },
    proxy::{authenticate::by_bearer, locate::Destination},
    store::{
        facts::{Lookup, OPAQUE_MAX},
        grant::{CredentialKey, Fact},
        rows::{TokenRow, TokenType, UserRow},
    },
};

/// Tells about a bearer value and returns what the gate makes of it.
pub(super) async fn tell(
    telling: &mut Telling<'_>,
    token: &[u8],
    destination: &Destination<'_>,
) -> Option<Arc<Fact>> {
    let facts = &telling.explainer.pipeline.facts;
    let now = telling.circumstances.at;
    let is_opaque = token.len() <= OPAQUE_MAX;
    let kind = if is_opaque { "bearer token, opaque" } else { "bearer token, longer than an opaque one" };
    telling.chain.find("seen", format!("{kind}, {} bytes", token.len()));
    let fingerprint = facts.judge().fingerprint(&[token]);
    telling.chain.find("fingerprint", super::explainer::text(&fingerprint));

    telling.chain.step("token");
    if is_opaque {
        opaque(telling, token).await;
    } else {
        jwt(telling, token).await;
    }
    let lookup = Lookup::Bearer(Secret::new(token.to_vec()));
    let Ok(fact) = facts.resolve(CredentialKey::bearer(token), lookup).await else {
        telling.chain.find("counts", "unknown: the store cannot be asked");
        return None;
    };
    let expires_at = fact.grant().and_then(|grant| grant.expires_at);
    let judged = by_bearer(&telling.explainer.pipeline, fact, destination, now);
    let counts = match judged.grant() {
        Some(grant) => {
            let id = grant.context.user_id().unwrap_or_default();
            format!("yes, {} {id}", grant.context.user_type().as_str())
        }
        None => format!("no: {}", judged.cause().unwrap_or_default()),
    };
    telling.chain.find("counts", counts);
    if let Some(expiry) = expires_at {
        telling.chain.find("expires", relative(expiry, now));
    }
    judged.into_fact()
}

async fn opaque(telling: &mut Telling<'_>, token: &[u8]) {
    match telling.explainer.pipeline.facts.store().token(token).await {
        Ok(Some(row)) => {
            telling.chain.find("found", true);
            row_of_token(telling, &row);
        }
        Ok(None) => {
            telling.chain.find("found", "no row of oauth_token has this value, compared byte for byte")
        }
        Err(_) => telling.chain.find("found", "unknown: the store cannot be asked"),
    }
}

/// A row of `oauth_token`: type, owner, state.
pub(super) fn row_of_token(telling: &mut Telling<'_>, row: &TokenRow) {
    let now = telling.circumstances.at;
    let kind = match row.token_type {
        TokenType::Access => "access",
        TokenType::Request => "request (handshake not finished)",
        TokenType::Verifier => "verifier (handshake not begun)",
        TokenType::Unknown => "unknown",
    };
    telling.chain.find("type", kind);
    let user_type = row.user_type.and_then(UserType::from_magento);
    let owner = match (user_type, &row.user, &row.integration) {
        (Some(UserType::Integration), _, Some(integration)) => {
            let state = if integration.is_active { "active" } else { "not active" };
            format!("integration {} \"{}\", {state}", integration.id, integration.name)
        }
        (Some(user_type), Some(user), _) => owner(user_type, user),
        (Some(user_type), None, _) => format!("{}, but the row is missing", user_type.as_str()),
        (None, _, _) => "a user type that Magento does not know".to_owned(),
    };
    telling.chain.find("owner", owner);
    telling.chain.find("revoked", row.is_revoked);
    if let Some(created_at) = row.created_at {
        telling.chain.find("created", relative(created_at, now));
    }
    if let Some(user) = &row.user {
        revocation(telling, user);
    }
}

fn owner(user_type: UserType, user: &UserRow) -> String {
    let state = if user.is_active { "active" } else { "not active" };
    format!("{} {}, {state}", user_type.as_str(), user.id)
}

fn revocation(telling: &mut Telling<'_>, user: &UserRow) {
    if let Some(moment) = user.revoke_before {
        let when = relative(moment, telling.circumstances.at);
        telling.chain.find("all revoked", format!("whatever was issued up to {when}"));
    }
}

async fn jwt(telling: &mut Telling<'_>, token: &[u8]) {
    match JwtContents::read(token) {
        Ok(JwtContents { header, claims }) => {
            telling.chain.find("jwt header", header);
            telling.chain.find("jwt claims", claims);
        }
        Err(refusal) => telling.chain.find("jwt", refusal.to_string()),
    }
    let facts = &telling.explainer.pipeline.facts;
    let claims: Claims = match facts.judge().claims(token) {
        Ok(claims) => claims,
        Err(refusal) => return telling.chain.find("verified", format!("no: {refusal}")),
    };
    telling.chain.find("verified", true);
    issued(telling, claims.issued_at);
    let user = match claims.user_type {
        UserType::Admin | UserType::Customer => facts.store().user(claims.user_type, claims.user_id).await,
        UserType::Integration | UserType::Guest => Ok(None),
    };
    match user {
        Ok(Some(user)) => {
            telling.chain.find("owner", owner(claims.user_type, &user));
            revocation(telling, &user);
        }
        Ok(None) => {
            let missing = format!("{} {} does not exist", claims.user_type.as_str(), claims.user_id);
            telling.chain.find("owner", missing);
        }
        Err(_) => telling.chain.find("owner", "unknown: the store cannot be asked"),
    }
}

fn issued(telling: &mut Telling<'_>, at: UnixTime) {
    let when = relative(at, telling.circumstances.at);
    telling.chain.find("issued", when);
}
