//! Sessions as proof: which request's cookie is looked at, and whom its session names.
//!
//! A part of the stage `authenticate`. A customer's session counts on REST only for a script of the shop's own pages, which
//! the header `X-Requested-With: XMLHttpRequest` tells from a foreign form (MAGENTO_FACTS 41), and on GraphQL for anybody. An
//! admin's counts on REST if the configuration says so (deviation D10). A cookie that would not count is not looked at.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, header::COOKIE};

use super::{
    authenticate::{Authenticated, Stop, fact},
    locate::{Contexts, Destination},
    pipeline::{Known, Pipeline},
    sanitize::Sanitized,
};
use crate::{
    auth::{
        rejection::{Malformation, Rejection},
        session::{BadSessionCookie, SessionId, session_cookie},
        time::UnixTime,
    },
    store::{
        facts::{Lookup, SessionOwner, SessionQuery},
        grant::{CredentialKey, Fact},
    },
};

const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");
/// Compared byte for byte, as Magento does.
const SCRIPT: &str = "XMLHttpRequest";
/// The admin's namespace, which no customer's name can equal: those begin with `customer`.
const ADMIN: &str = "admin";

/// Which sessions count.
#[derive(Debug)]
pub struct SessionRules {
    /// The name of the cookie.
    pub cookie: String,
    /// Whether admins are known by their session.
    pub takes_admins: bool,
}

/// Finds out who is calling by the session that a cookie names.
///
/// # Errors
/// [`Stop::Refuse`] for two cookies, for a session that a change of the password ended, and while the stores are not known;
/// [`Stop::NeedFacts`] for what is missing to tell.
pub(super) fn session(
    pipeline: &Pipeline,
    sanitized: &Sanitized<'_>,
    destination: &Destination<'_>,
    (now, known): (UnixTime, Known<'_>),
) -> Result<Authenticated, Stop> {
    let Some(rules) = &pipeline.authenticate.sessions else { return Ok(Authenticated::guest(None)) };
    let headers = &sanitized.head.headers;
    let (takes_customers, takes_admins) = match destination.contexts() {
        Contexts::Rest => {
            // Two of them reach PHP as one value that is not equal.
            let is_script = headers.get_all(REQUESTED_WITH).iter().eq([SCRIPT]);
            (is_script, rules.takes_admins)
        }
        Contexts::Graphql => (true, false),
        Contexts::Soap | Contexts::None => (false, false),
    };
    if !takes_customers && !takes_admins {
        return Ok(Authenticated::guest(None));
    }
    let mut cookies = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let id = match session_cookie(&mut cookies, &rules.cookie) {
        Ok(Some(id)) => id,
        Ok(None) => return Ok(Authenticated::guest(None)),
        Err(BadSessionCookie::Illegal) => return Ok(Authenticated::guest(Some("session_id_illegal"))),
        Err(BadSessionCookie::Ambiguous) => {
            return Err(Stop::Refuse(Rejection::Malformed(Malformation::AmbiguousSession)));
        }
    };
    let presented = Presented { pipeline, id, now, known };
    let customer = if takes_customers {
        let namespace = destination.session_namespace().ok_or(Rejection::StoreUnavailable)?;
        presented.customer(namespace)?
    } else {
        Authenticated::guest(None)
    };
    if customer.grant().is_none() && takes_admins { presented.admin() } else { Ok(customer) }
}

/// A session id that may count.
struct Presented<'a> {
    pipeline: &'a Pipeline,
    id: SessionId,
    now: UnixTime,
    known: Known<'a>,
}

impl Presented<'_> {
    fn customer(&self, namespace: &str) -> Result<Authenticated, Stop> {
        self.caller(namespace, || SessionOwner::Customer { namespace: namespace.to_owned() })
    }

    fn admin(&self) -> Result<Authenticated, Stop> {
        self.caller(ADMIN, || SessionOwner::Admin)
    }

    fn caller(&self, namespace: &str, of: impl FnOnce() -> SessionOwner) -> Result<Authenticated, Stop> {
        let key = CredentialKey::session(&self.id, namespace);
        let lookup = || Lookup::Session(Box::new(SessionQuery { id: self.id.clone(), of: of() }));
        let fact: Arc<Fact> = fact(self.pipeline, key, self.known, lookup)?;
        if matches!(*fact, Fact::SessionExpired) {
            return Err(Stop::Refuse(Rejection::SessionExpired));
        }
        Ok(Authenticated::by_fact(fact, self.now, "session_ended"))
    }
}
