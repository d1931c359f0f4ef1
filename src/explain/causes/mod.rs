//! Why a signature does not verify: what clients usually get wrong, tried one after the other.
//!
//! A change says what the client may have signed instead: another URL (`url`), other parameters (`content`), another key or
//! code (`keys`), a base string written otherwise (`rewrite`). Each is put into the engine's own base string, and the
//! engine's own code is compared with the one presented: a fit is certain, not a guess. First no change at all (a reading
//! that is switched off, `readings`), then each alone, then two together, three only within the URL.
//!
//! Nothing here lets anybody in: a fit is told, never acted upon.

mod change;
mod content;
mod keys;
mod readings;
mod rewrite;
mod search;
mod url;

use http::HeaderMap;

use super::oauth::Secrets;
use crate::auth::{
    oauth1::{Presented, Readings, SignedRequest, SigningKey, TimestampWindow},
    time::UnixTime,
};

pub(super) use search::diagnose;

/// Something that the client got wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// A word for programs.
    pub name: &'static str,
    /// One sentence for people.
    pub fix: String,
}

impl Cause {
    fn new(name: &'static str, fix: impl Into<String>) -> Self {
        Self { name, fix: fix.into() }
    }
}

/// A signed request whose signature does not verify.
pub(super) struct Unverified<'a> {
    pub(super) presented: &'a Presented<'a>,
    /// What stands after `OAuth `.
    pub(super) credentials: &'a str,
    pub(super) request: SignedRequest<'a>,
    pub(super) signing_key: &'a SigningKey,
    pub(super) secrets: &'a Secrets,
    pub(super) readings: Readings,
    pub(super) path_is_safe: bool,
    pub(super) surroundings: Surroundings<'a>,
}

/// What else the client may have had in mind.
pub(super) struct Surroundings<'a> {
    pub(super) headers: &'a HeaderMap,
    /// Whether the peer's forwarding headers count.
    pub(super) is_trusted: bool,
    /// The authority of the URL that was called.
    pub(super) called: Option<&'a str>,
    /// Hosts of this installation.
    pub(super) other_hosts: &'a [String],
    pub(super) store_codes: Vec<String>,
    pub(super) body: &'a [u8],
    /// In lower case.
    pub(super) media_type: String,
}

/// Why a timestamp is outside the window.
pub(super) fn clock(presented: &Presented<'_>, window: TimestampWindow, now: UnixTime) -> Cause {
    let sent = presented.timestamp().time();
    let thousandth = UnixTime::from_seconds(sent.seconds() / 1000);
    if thousandth >= now.minus(window.past) && thousandth <= now.plus(window.future) {
        return Cause::new(
            "milliseconds",
            "oauth_timestamp counts milliseconds: send whole seconds since 1970.",
        );
    }
    let offset = super::relative::span(sent.seconds().abs_diff(now.seconds()));
    let side = if sent < now { "behind" } else { "ahead" };
    let fix = format!(
        "oauth_timestamp is {offset} {side}: set the client's clock (NTP), or sign again if the request is old; the \
         window is oauth.timestamp_window and oauth.future_window."
    );
    Cause::new("clock", fix)
}
