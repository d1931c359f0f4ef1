//! `portcullis check --spoof URL`: every spelling of the reserved headers, sent through a running gate.
//!
//! The URL must lead to something that shows the headers it got (an echo endpoint, `phpinfo`, the demo's shop). Each spelling
//! carries a value of its own; a value that comes back came through. A control header proves that the endpoint shows
//! headers at all: without it nothing could be concluded, and the check fails.

use std::{
    io::{Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    time::Duration,
};

use http::Uri;
use rand::RngExt as _;

use super::{Failure, say};
use crate::proxy::reserved::every_name;

/// More than any echo needs.
const MAX_ANSWER: u64 = 1 << 20;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends the spellings and reports which came through.
pub(super) fn spoof(url: &Uri, prefix: &str) -> Result<(), Failure> {
    let target = Target::of(url)?;
    if !target.shows(&Probe::header("X-Echo-Control"))? {
        return Err(Failure::runtime(format!(
            "{url} does not show the headers it gets, so nothing can be said; name an endpoint that does"
        )));
    }
    let mut sent = 0;
    let mut through = Vec::new();
    for probe in every_name(prefix).iter().flat_map(|name| probes(name)) {
        sent += 1;
        if target.shows(&probe)? {
            through.push(probe.description);
        }
    }
    if through.is_empty() {
        return say(&format!("{sent} spellings sent, none came through"));
    }
    for description in &through {
        say(&format!("came through: {description}"))?;
    }
    Err(Failure::runtime(format!("{} of {sent} spellings came through", through.len())))
}

/// One request with one forged header.
struct Probe {
    description: String,
    /// Lines after the Host line, up to the empty line.
    headers: String,
    /// What follows the head.
    body: String,
    /// What must not come back.
    canary: String,
}

impl Probe {
    fn header(name: &str) -> Self {
        let canary = canary();
        let headers = format!("{name}: {canary}\r\n");
        Self { description: format!("{name} as a header"), headers, body: String::new(), canary }
    }

    /// Named in `Connection`, as if it were this hop's alone.
    fn nominated(name: &str) -> Self {
        let canary = canary();
        let headers = format!("Connection: close, {name}\r\n{name}: {canary}\r\n");
        Self { description: format!("{name} named in Connection"), headers, body: String::new(), canary }
    }

    /// After a chunked body.
    fn trailer(name: &str) -> Self {
        let canary = canary();
        let headers = format!("Transfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: {name}\r\n");
        let body = format!("1\r\nx\r\n0\r\n{name}: {canary}\r\n\r\n");
        Self { description: format!("{name} as a trailer"), headers, body, canary }
    }
}

/// Every way to write one name.
fn probes(name: &str) -> Vec<Probe> {
    let squeezed: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let spellings = [
        name.to_owned(),
        name.to_ascii_uppercase(),
        name.replace('-', "_"),
        name.replacen('-', "_", 1),
        name.replace('-', "."),
        squeezed,
        format!("_{name}"),
        format!("{name}_"),
    ];
    let mut probes: Vec<Probe> = spellings.iter().map(|spelling| Probe::header(spelling)).collect();
    probes.push(Probe::nominated(name));
    probes.push(Probe::trailer(name));
    probes
}

fn canary() -> String {
    format!("canary{}", hex::encode(rand::rng().random::<[u8; 8]>()))
}

/// Where the probes go.
struct Target {
    authority: String,
    path: String,
}

impl Target {
    fn of(url: &Uri) -> Result<Self, Failure> {
        let (Some("http"), Some(authority)) = (url.scheme_str(), url.authority()) else {
            return Err(Failure::runtime(format!("{url} must begin with http:// and name a host")));
        };
        let path = url.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        Ok(Self { authority: authority.to_string(), path })
    }

    fn shows(&self, probe: &Probe) -> Result<bool, Failure> {
        let answer = self.send(probe).map_err(|error| {
            Failure::runtime(format!("{}: {}: {error}", self.authority, probe.description))
        })?;
        Ok(answer.windows(probe.canary.len()).any(|window| window == probe.canary.as_bytes()))
    }

    fn send(&self, probe: &Probe) -> std::io::Result<Vec<u8>> {
        let with_port = if self.authority.contains(':') {
            self.authority.clone()
        } else {
            format!("{}:80", self.authority)
        };
        let address =
            with_port.to_socket_addrs()?.next().ok_or_else(|| std::io::Error::other("no address"))?;
        let mut socket = TcpStream::connect_timeout(&address, TIMEOUT)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        let closing = if probe.headers.starts_with("Connection") { "" } else { "Connection: close\r\n" };
        let method = if probe.body.is_empty() { "GET" } else { "POST" };
        write!(
            socket,
            "{method} {} HTTP/1.1\r\nHost: {}\r\n{closing}{}\r\n{}",
            self.path, self.authority, probe.headers, probe.body
        )?;
        let mut answer = Vec::new();
        socket.take(MAX_ANSWER).read_to_end(&mut answer)?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_probe_carries_a_value_of_its_own() {
        let probes = probes("x-auth-user-id");
        let mut canaries: Vec<&str> = probes.iter().map(|probe| probe.canary.as_str()).collect();
        canaries.sort_unstable();
        canaries.dedup();
        assert_eq!(canaries.len(), probes.len());
        assert!(probes.iter().any(|probe| probe.headers.starts_with("xauthuserid: ")));
        assert!(probes.iter().any(|probe| probe.body.contains("x-auth-user-id: canary")));
    }
}
