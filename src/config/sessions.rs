//! `[sessions]`: whether PHP's sessions prove who is calling, and where PHP keeps them.
//!
//! Off unless a handler is named. The URL of a Redis is a secret, because it carries the password.

use std::{path::PathBuf, time::Duration};

use super::{
    lenient::{Lenient, Words},
    raw::RawSessions,
    report::Report,
    secret,
};
use crate::auth::secret::Secret;

/// What a URL of Redis begins with; TLS and sockets are not supported.
const REDIS: &str = "redis://";

/// Which sessions count, and where they are.
#[derive(Debug, Clone)]
pub struct Sessions {
    /// Where they are; `None` where none count.
    pub storage: Option<SessionStorage>,
    /// The name of the cookie.
    pub cookie: String,
    /// How long a session is remembered; zero reads it every time.
    pub ttl: Duration,
    /// How long an id that was given up still counts (`web/cookie/cookie_lifetime`).
    pub lifetime: Duration,
    /// Whether admins are known by their session.
    pub admin: bool,
}

/// Where sessions are kept.
#[derive(Debug, Clone)]
pub enum SessionStorage {
    /// In a folder, a file each: PHP's own handler.
    Files(PathBuf),
    /// In Redis, as Magento's handler keeps them.
    Redis(Secret<String>),
}

/// The handler's word, before its place is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HandlerWord {
    Off,
    Files,
    Redis,
}

impl Words for HandlerWord {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("files", Self::Files), ("redis", Self::Redis)];
}

impl Sessions {
    /// Where Redis is, with its password.
    pub(super) const fn redis_url(&self) -> Option<&Secret<String>> {
        match &self.storage {
            Some(SessionStorage::Redis(url)) => Some(url),
            Some(SessionStorage::Files(_)) | None => None,
        }
    }

    pub(super) fn parse(raw: RawSessions, report: &mut Report) -> Self {
        let RawSessions { handler, path, redis_url, redis_url_file, cookie, ttl, lifetime, admin } = raw;
        let handler = report.take("sessions.handler", handler, HandlerWord::Off);
        let written = (path.is_written(), redis_url.is_written() || redis_url_file.is_written());
        let storage = storage(handler, path, (redis_url, redis_url_file), report);
        warn_of_unused(handler, written, report);
        let cookie = report.take("sessions.cookie", cookie, "PHPSESSID".to_owned());
        check_cookie(&cookie, report);
        let seconds = Duration::from_secs;
        let ttl = report.take_within("sessions.ttl", ttl, seconds(3), seconds(0)..=seconds(60));
        let lifetime = report.take_within(
            "sessions.lifetime",
            lifetime,
            seconds(3600),
            seconds(0)..=seconds(366 * 24 * 3600),
        );
        let admin = report.take("sessions.admin", admin, false);
        if admin && handler != HandlerWord::Off {
            report.warn(
                "sessions.admin",
                "an admin's session id works as a credential of the API, without any header of a script",
            );
        }
        Self { storage, cookie, ttl, lifetime, admin }
    }
}

fn storage(
    handler: HandlerWord,
    path: Lenient<PathBuf>,
    (url, url_file): (Lenient<Secret<String>>, Lenient<PathBuf>),
    report: &mut Report,
) -> Option<SessionStorage> {
    let (path_written, url_written) = (path.is_written(), url.is_written() || url_file.is_written());
    let path = report.take_path("sessions.path", path);
    let url = secret::take(report, ("sessions.redis_url", url), ("sessions.redis_url_file", url_file));
    match handler {
        HandlerWord::Off => None,
        HandlerWord::Files => {
            if !path_written {
                let text = "is required with handler \"files\"; name the folder of session.save_path";
                report.error("sessions.path", text);
            }
            path.map(SessionStorage::Files)
        }
        HandlerWord::Redis => {
            let is_redis = url.as_ref().is_some_and(|url| url.expose().starts_with(REDIS));
            if !url_written {
                let text = "is required with handler \"redis\"; set it, or sessions.redis_url_file";
                report.error("sessions.redis_url", text);
            } else if url.is_some() && !is_redis {
                let text =
                    "does not begin with redis://; write one such as \"redis://:password@127.0.0.1:6379/2\"";
                report.error("sessions.redis_url", text);
            }
            url.map(SessionStorage::Redis)
        }
    }
}

/// A place without its handler is a slip that leaves sessions off.
fn warn_of_unused(handler: HandlerWord, (path, url): (bool, bool), report: &mut Report) {
    if path && handler != HandlerWord::Files {
        report.warn("sessions.path", "has no effect unless sessions.handler is \"files\"");
    }
    if url && handler != HandlerWord::Redis {
        report.warn("sessions.redis_url", "has no effect unless sessions.handler is \"redis\"");
    }
}

/// What PHP takes as `session.name`, less the odd ones.
fn check_cookie(cookie: &str, report: &mut Report) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let is_number = cookie.bytes().all(|byte| byte.is_ascii_digit());
    if is_number || cookie.len() > 64 || !cookie.bytes().all(is_plain) {
        let text = "is no name of a session cookie; write one such as \"PHPSESSID\"";
        report.error("sessions.cookie", text);
    }
}
