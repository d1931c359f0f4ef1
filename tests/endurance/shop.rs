//! Callers of every kind, what each must be told, and an upstream that tells whom it saw.

use std::{
    collections::HashMap,
    io::{BufReader, Write as _},
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use portcullis::clock::Clock;

use crate::support::{
    gate::{Setup, run_sql},
    signing::Credentials,
    upstream::Upstream,
    wire::{Message, read_message, request},
};

/// Needs a resource that the integration has.
const PROTECTED: &str = "/rest/V1/modules";
/// A customer's own.
const SELF: &str = "/rest/V1/customers/me";
/// Outside `/rest`.
const OUTSIDE: &str = "/media/picture.png";
/// The resources that [`PROTECTED`] needs, by one configuration or the other.
pub(crate) const RESOURCES: [&str; 2] = ["Magento_Backend::store", "Magento_Sales::actions_view"];
/// The one that it needs where nobody said otherwise.
const RECORDED: &str = "Magento_Backend::admin";
/// Customers that tokens belong to in turn; the first has this id.
const CUSTOMERS: u64 = 1000;
const FIRST: u64 = 1000;
/// How many of the tokens are used again and again.
const USED: u64 = 200;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nobody in particular, where everybody may.
    Guest,
    /// Nobody in particular, where a permission is needed.
    Stranger,
    /// A customer by one of some tokens.
    Customer(u64),
    /// The integration by its token.
    Integration,
    /// The integration by a signature with a nonce that nobody used.
    Signed,
    /// A customer by a token that was revoked.
    Revoked,
}

impl Kind {
    /// The kind of a request of this number: every kind, most of them cached.
    pub(crate) const fn of(number: u64) -> Self {
        match number % 10 {
            0 | 1 => Self::Guest,
            2 => Self::Stranger,
            3..=5 => Self::Customer(number % USED),
            6 => Self::Integration,
            7 | 8 => Self::Signed,
            _ => Self::Revoked,
        }
    }
}

/// One request and what must come of it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) kind: Kind,
    pub(crate) target: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) authorization: Option<String>,
}

impl Asked {
    /// A request that no other is like.
    pub(crate) fn new(kind: Kind) -> Self {
        Self::over(false, kind)
    }

    /// The same; what is signed is signed for `https`, where it goes over TLS.
    pub(crate) fn over(is_tls: bool, kind: Kind) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let path = match kind {
            Kind::Guest => OUTSIDE,
            Kind::Stranger | Kind::Integration | Kind::Signed => PROTECTED,
            Kind::Customer(_) | Kind::Revoked => SELF,
        };
        let target = format!("{path}?number={number}");
        let authorization = match kind {
            Kind::Guest | Kind::Stranger => None,
            Kind::Customer(token) => Some(format!("Bearer customer{token:024}")),
            Kind::Integration => Some(format!("Bearer {}", Credentials::full().token)),
            Kind::Signed => {
                let now = Clock::system().now().seconds();
                let (integration, nonce) = (Credentials::full(), format!("nonce-{number}"));
                Some(match is_tls {
                    true => integration.secure_authorization(&target, now, &nonce),
                    false => integration.authorization(&target, now, &nonce),
                })
            }
            Kind::Revoked => Some("Bearer revoked00000000000000000000000000".to_owned()),
        };
        let headers: Vec<_> = authorization.iter().map(|value| ("Authorization", value.as_str())).collect();
        let bytes = request("GET", &target, &headers, b"");
        Self { kind, target, bytes, authorization }
    }

    /// What is wrong with an answer.
    pub(crate) fn problem(&self, answer: &Message) -> Option<String> {
        let refused = answer.header("x-auth-refused").unwrap_or_default();
        self.problem_with((answer.status(), &answer.text(), &refused))
    }

    /// What is wrong with a status, a body and the reason of a refusal.
    pub(crate) fn problem_with(&self, (status, body, refused): (u16, &str, &str)) -> Option<String> {
        let told = |who: &str, resources: &[&str]| {
            let is_it = |resource: &&str| body == format!("{who} {resource} {}", self.target);
            status == 200 && resources.iter().any(is_it)
        };
        let is_right = match self.kind {
            Kind::Guest => told("guest -", &["unmatched"]),
            Kind::Customer(token) => told(&format!("customer {}", FIRST + token % CUSTOMERS), &["self"]),
            Kind::Integration | Kind::Signed => {
                told("integration 1", &RESOURCES) || told("integration 1", &[RECORDED])
            }
            Kind::Stranger | Kind::Revoked => status == 401 && refused == "resource_denied",
        };
        (!is_right).then(|| format!("{:?} {}: {status} {refused} {body}", self.kind, self.target))
    }

    /// Whether an answer says that the nonce is used.
    pub(crate) fn is_replay(answer: &Message) -> bool {
        answer.status() == 401 && answer.header("x-auth-refused").as_deref() == Some("oauth_nonce_used")
    }
}

/// How often each target reached the upstream.
pub(crate) type Seen = Arc<Mutex<HashMap<String, usize>>>;

/// An upstream that answers with the caller that it was told of, the resource and the target, after a while that the
/// target decides, up to this; what it saw is kept where somebody asks for it.
pub(crate) fn echo(seen: Option<Seen>, slowest: Duration) -> Upstream {
    Upstream::raw(move |socket| {
        socket.set_nodelay(true).unwrap();
        let mut writer = socket.try_clone().unwrap();
        let mut reader = BufReader::new(socket);
        while let Ok(Some(request)) = read_message(&mut reader, false) {
            if let Some(seen) = &seen {
                *seen.lock().unwrap().entry(request.target().to_owned()).or_default() += 1;
            }
            if !slowest.is_zero() {
                let sum: u32 = request.target().bytes().map(u32::from).sum();
                thread::sleep(slowest * (sum % 16) / 16);
            }
            let of = |name: &str| request.header(name).unwrap_or_else(|| "-".to_owned());
            let body = [of("x-auth-user-type"), of("x-auth-user-id"), of("x-auth-resource")].join(" ");
            let body = format!("{body} {}", request.target());
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if writer.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// A gate for these callers, on this address, that only a signal reloads.
pub(crate) fn setup(upstream: &Upstream, proxy: SocketAddr) -> Setup {
    Setup::before(upstream.address)
        .with("listen", &format!("proxy = \"{proxy}\""))
        .with("log", "level = \"info\"")
        .with("magento", "integration_as_bearer = true")
        .with("reload", "watch = false")
}

/// Adds the customers, so many tokens and the revoked one to the store of a folder.
pub(crate) fn fill(folder: &Path, tokens: u64) {
    run_sql(
        folder,
        &format!(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {CUSTOMERS} - 1)
            INSERT INTO customer_entity (entity_id, website_id, email, group_id, store_id, is_active)
            SELECT {FIRST} + i, 1, 'c' || i || '@example.com', 1, 1, 1 FROM n;
            WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {} - 1)
            INSERT INTO oauth_token (customer_id, type, token, secret, callback_url, user_type, created_at)
            SELECT {FIRST} + i % {CUSTOMERS}, 'access', 'customer' || printf('%024d', i), '', '', 3,
                datetime('now') FROM n;
            INSERT INTO oauth_token (customer_id, type, token, secret, callback_url, user_type, created_at, revoked)
            VALUES ({FIRST}, 'access', 'revoked00000000000000000000000000', '', '', 3, datetime('now'), 1)",
            tokens.max(USED),
        ),
    );
}
