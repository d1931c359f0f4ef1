//! `[redis]`: what replicas share, if they share anything.
//!
//! Off unless a URL or nodes are written. A single server is named by a URL, sentinels and the nodes of a cluster by host
//! and port. The URL is read as a secret, because it may carry the password.

use std::{path::PathBuf, time::Duration};

use redis::{ConnectionAddr, IntoConnectionInfo as _};

use super::{
    gather::read_bounded,
    lenient::{Lenient, Words},
    origin::HostPort,
    raw::RawRedis,
    report::Report,
    secret,
};
use crate::auth::secret::Secret;

/// More than this is no bundle of certificates but a wrong file.
const MAX_CA_FILE: u64 = 1 << 20;

/// Longest prefix of keys, in bytes: each nonce carries it.
const MAX_PREFIX: usize = 64;

/// Where Redis is and how it is talked to.
#[derive(Debug, Clone)]
pub struct Redis {
    /// Where.
    pub home: RedisHome,
    /// The user of the access list, where there is one.
    pub user: Option<String>,
    /// The password, unless the URL carries it.
    pub password: Option<Secret<String>>,
    /// Whether sentinels and nodes are spoken to through TLS; a URL says so itself.
    pub tls: bool,
    /// The certificates that a server's must lead to, as PEM; the system's, where none are named.
    pub ca: Option<String>,
    /// What every key begins with.
    pub prefix: String,
    /// How long one command may take.
    pub timeout: Duration,
    /// Most commands under way at a time; a further one is refused.
    pub max_in_flight: usize,
}

/// A kind of Redis and its addresses.
#[derive(Debug, Clone)]
pub enum RedisHome {
    /// One server, by its URL.
    Single(Secret<String>),
    /// Whichever server the sentinels call the master.
    Sentinel {
        /// Where sentinels listen.
        nodes: Vec<HostPort>,
        /// The name that they know the master by.
        master: String,
    },
    /// A cluster, found from some of its nodes.
    Cluster {
        /// Some nodes.
        nodes: Vec<HostPort>,
    },
}

/// The mode's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RedisMode {
    Single,
    Sentinel,
    Cluster,
}

impl Words for RedisMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("single", Self::Single), ("sentinel", Self::Sentinel), ("cluster", Self::Cluster)];
}

impl RedisHome {
    /// The mode in a word.
    #[must_use]
    pub const fn mode(&self) -> &'static str {
        match self {
            Self::Single(_) => "single",
            Self::Sentinel { .. } => "sentinel",
            Self::Cluster { .. } => "cluster",
        }
    }
}

impl Redis {
    /// The URL, with whatever password it carries.
    pub(super) const fn url(&self) -> Option<&Secret<String>> {
        match &self.home {
            RedisHome::Single(url) => Some(url),
            RedisHome::Sentinel { .. } | RedisHome::Cluster { .. } => None,
        }
    }

    pub(super) fn parse(raw: RawRedis, report: &mut Report) -> Option<Self> {
        let RawRedis {
            url,
            url_file,
            mode,
            nodes,
            sentinel_master,
            user,
            password,
            password_file,
            tls,
            ca_file,
            prefix,
            timeout,
            max_in_flight,
        } = raw;
        let written = Written {
            url: url.is_written() || url_file.is_written(),
            nodes: nodes.is_written(),
            master: sentinel_master.is_written(),
        };
        let url = secret::take(report, ("redis.url", url), ("redis.url_file", url_file));
        let mode = report.take("redis.mode", mode, RedisMode::Single);
        let nodes = report.take("redis.nodes", nodes, Vec::new());
        let master = report.take_optional("redis.sentinel_master", sentinel_master);
        let home = home(mode, url, (nodes, master), &written, report);
        let user = report.take_optional("redis.user", user);
        let password =
            secret::take(report, ("redis.password", password), ("redis.password_file", password_file));
        let tls = report.take("redis.tls", tls, false);
        if tls && mode == RedisMode::Single {
            report.error("redis.tls", "has no place beside mode \"single\"; write redis.url as rediss://");
        }
        let ca = ca(ca_file, report);
        let prefix = report.take("redis.prefix", prefix, "portcullis:".to_owned());
        check_prefix(&prefix, report);
        let millis = Duration::from_millis;
        let timeout = report.take_within("redis.timeout", timeout, millis(100), millis(10)..=millis(5000));
        let max_in_flight = report.take_within("redis.max_in_flight", max_in_flight, 1024, 1..=65_536);
        let home = home?;
        check_login(&home, (user.as_deref(), password.as_ref()), report);
        Some(Self { home, user, password, tls, ca, prefix, timeout, max_in_flight })
    }
}

/// Which of the settings that say where Redis is were written.
struct Written {
    url: bool,
    nodes: bool,
    master: bool,
}

fn home(
    mode: RedisMode,
    url: Option<Secret<String>>,
    (nodes, master): (Vec<HostPort>, Option<String>),
    written: &Written,
    report: &mut Report,
) -> Option<RedisHome> {
    if mode == RedisMode::Single {
        for (is_written, key) in [(written.nodes, "redis.nodes"), (written.master, "redis.sentinel_master")] {
            if is_written {
                report.error(key, "has no place beside mode \"single\"; write redis.url alone");
            }
        }
        let url = url?;
        check_url(&url, report);
        return Some(RedisHome::Single(url));
    }
    if written.url {
        report.error("redis.url", "has no place beside this mode; write redis.nodes");
    }
    if nodes.is_empty() && !report.is_wrong("redis.nodes") {
        report.error("redis.nodes", "is required with this mode; write hosts and ports");
    }
    match (mode, master) {
        (RedisMode::Sentinel, Some(master)) => Some(RedisHome::Sentinel { nodes, master }),
        (RedisMode::Sentinel, None) => {
            report.error("redis.sentinel_master", "is required with mode \"sentinel\"");
            None
        }
        (RedisMode::Cluster | RedisMode::Single, _) => {
            if written.master {
                report.error("redis.sentinel_master", "has no place beside mode \"cluster\"");
            }
            Some(RedisHome::Cluster { nodes })
        }
    }
}

/// Texts do not repeat the URL, which may carry a password.
fn check_url(url: &Secret<String>, report: &mut Report) {
    let text = url.expose().as_str();
    let is_known = ["redis://", "rediss://", "unix://"].iter().any(|scheme| text.starts_with(scheme));
    if !is_known || text.contains('#') || text.into_connection_info().is_err() {
        let text = "is no URL of Redis; write one such as \"redis://127.0.0.1:6379/0\", \"rediss://…\" or \"unix:///run/redis.sock\"";
        report.error("redis.url", text);
    }
}

/// One place for who we are.
fn check_login(
    home: &RedisHome,
    (user, password): (Option<&str>, Option<&Secret<String>>),
    report: &mut Report,
) {
    if user.is_some() && password.is_none() && !report.is_wrong("redis.password") {
        report.error("redis.user", "has no password; write redis.password_file");
    }
    let RedisHome::Single(url) = home else { return };
    let Ok(info) = url.expose().as_str().into_connection_info() else { return };
    if password.is_some() && info.redis_settings().password().is_some() {
        report.error("redis.password", "stands in redis.url as well; keep one of the two");
    }
    if matches!(info.addr(), ConnectionAddr::Tcp(host, _) if !is_loopback(host)) {
        let text = "is not encrypted; whoever can write to the connection can forge nonces and answers (use rediss://)";
        report.warn("redis.url", text);
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

fn ca(file: Lenient<PathBuf>, report: &mut Report) -> Option<String> {
    let path = report.take_path("redis.ca_file", file)?;
    report.has_read(&path);
    match read_bounded(&path, MAX_CA_FILE) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => Some(text),
        Ok(_) => {
            report.error("redis.ca_file", format!("{} holds no certificate in PEM", path.display()));
            None
        }
        Err(error) => {
            report.error("redis.ca_file", format!("cannot read {}: {error}", path.display()));
            None
        }
    }
}

/// Braces would make hash tags of a cluster where none are meant.
fn check_prefix(prefix: &str, report: &mut Report) {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"{}*?[]\\".contains(&byte);
    if prefix.is_empty() || prefix.len() > MAX_PREFIX || !prefix.bytes().all(is_plain) {
        let text = format!(
            "is no prefix of keys; write up to {MAX_PREFIX} visible characters without braces and wildcards, such as \"portcullis:\""
        );
        report.error("redis.prefix", text);
    }
}
