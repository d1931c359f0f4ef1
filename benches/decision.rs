//! What a decision costs: `Pipeline::decide` for each kind of caller, and each step of it alone.
//!
//! The gate is built as `portcullis serve` builds it, with Magento's own routes and an in-memory store; nothing is served.
//! `inject` has no figure of its own, because what it takes can only come from the stages before it; `forward` applies what
//! it made.

use std::{hint::black_box, net::Ipv4Addr, path::Path, sync::Arc};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderValue, header::AUTHORIZATION, request::Parts};
use portcullis::{
    auth::{
        acl::AclTree,
        route::{CanonicalPath, Door, RestMatch, RouteTable},
        time::UnixTime,
    },
    clock::Clock,
    config::Config,
    proxy::{
        engine::Shared,
        forward::{Credentials, ForwardRules},
        nonce_use::NonceUse,
        outcome::Outcome,
        peer::{Peer, TrustedProxies},
        pipeline::{Known, Pipeline, Step},
        reserved::Reserved,
    },
    server::App,
    store::grant::CredentialKey,
};
use support::{
    callers::{self, Integration},
    requests::{Caller, signature},
};
use tokio::runtime::Runtime;

mod support;

/// Between two syncs of the nonce journal, which a running gate does by time.
const SYNC_AFTER: u64 = 10_000;

/// A gate that only decides.
struct Gate {
    _app: App,
    shared: Arc<Shared>,
    runtime: Runtime,
    peer: Peer,
    now: UnixTime,
}

impl Gate {
    fn build(folder: &Path, journal: &str) -> Self {
        Self::limited(folder, journal, "")
    }

    /// A gate with rate limits.
    fn limited(folder: &Path, journal: &str, limits: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime starts");
        for (name, text) in [("acl.json", callers::TREE), ("webapi_routes.json", callers::ROUTES)] {
            std::fs::write(folder.join(name), text).expect("the folder can be written");
        }
        let config = Config::from_toml(&format!("{}{limits}", configuration(journal)), folder);
        let config = config.expect("the configuration is valid");
        let now = Clock::system().now();
        let (app, shared) = runtime.block_on(async {
            let app = App::build(config, Clock::system()).await.expect("the gate is built");
            callers::seed(app.store(), now).await;
            let shared = app.shared();
            let settings = shared.facts.settings().current().clone();
            let refreshed = shared.pipeline.reference.refresh(app.store(), &settings).await;
            refreshed.expect("the tables are read");
            (app, shared)
        });
        let peer = Peer::new(Ipv4Addr::LOCALHOST.into(), &TrustedProxies::default(), false);
        Self { _app: app, shared, runtime, peer, now }
    }

    fn pipeline(&self) -> &Pipeline {
        &self.shared.pipeline
    }

    fn decide(&self, head: &Parts) -> Step {
        self.pipeline().decide(head, &self.peer, self.now, Known::default())
    }

    /// Fills the cache with the caller's fact, and proves that the decision is the one that is to be measured.
    fn warm(&self, caller: Caller) {
        let mut step = self.decide(&caller.head(self.now).parts());
        if let Step::NeedFacts(key, lookup) = step {
            let found = self.runtime.block_on(self.pipeline().facts.resolve(key, lookup));
            found.expect("the store answers");
            step = self.decide(&caller.head(self.now).parts());
        }
        let Step::Done(verdict) = step else {
            unreachable!("{} is cached", caller.name());
        };
        assert_eq!(verdict.outcome.is_err(), caller == Caller::Refused, "{}", caller.name());
    }
}

fn configuration(journal: &str) -> String {
    let crypt_key = callers::CRYPT_KEY;
    format!(
        r#"
        [listen]
        proxy = "127.0.0.1:0"
        admin = "127.0.0.1:0"
        workers = 1
        [upstream]
        url = "http://127.0.0.1:1"
        [store]
        url = "sqlite::memory:"
        [magento]
        crypt_key = "{crypt_key}"
        [nonces]
        journal = "{journal}"
        [cache]
        ttl = "1h"
        [acl]
        tree = "acl.json"
        routes = "webapi_routes.json"
        [log]
        access = "off"
        "#
    )
}

fn decisions(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let gate = Gate::build(folder.path(), "");
    let mut group = criterion.benchmark_group("decide");
    for caller in [Caller::Guest, Caller::Refused, Caller::Bearer, Caller::Jwt] {
        gate.warm(caller);
        let head = caller.head(gate.now).parts();
        group.bench_function(caller.name(), |bencher| bencher.iter(|| gate.decide(black_box(&head))));
    }
    group.finish();
}

/// Every request has a nonce of its own; signing it is not measured.
fn signed_decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    for (name, journal) in [("oauth, no journal", ""), ("oauth", "nonces")] {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let gate = Gate::build(folder.path(), journal);
        gate.warm(Caller::Oauth);
        let template = Caller::Oauth.head(gate.now).parts();
        let mut integration = Integration::new();
        let mut signed: u64 = 0;
        let mut fresh = || {
            signed += 1;
            if signed.is_multiple_of(SYNC_AFTER) {
                let NonceUse::Record(nonces) = &gate.pipeline().nonces else {
                    unreachable!("a gate records nonces")
                };
                nonces.sync(gate.now).expect("the journal syncs");
            }
            let mut head = template.clone();
            let value = HeaderValue::try_from(signature(&mut integration, gate.now));
            head.headers.insert(AUTHORIZATION, value.expect("a signature is a header value"));
            head
        };
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(&mut fresh, |head| gate.decide(head), BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// A cached caller under no rule, under one by its identity, and under three that never refuse it.
fn limits(criterion: &mut Criterion) {
    let rule = |name: &str, by: &str| {
        format!("[[limits.rule]]\nname = \"{name}\"\nby = \"{by}\"\nrate = \"1000000/s\"\nburst = 1000000\n")
    };
    let one = rule("identity", "identity");
    let three = [rule("address", "address"), rule("context", "context"), one.clone()].concat();
    let mut group = criterion.benchmark_group("limit");
    for (name, limits) in [("no rules", ""), ("one rule", one.as_str()), ("three rules", three.as_str())] {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let gate = Gate::limited(folder.path(), "", limits);
        gate.warm(Caller::Bearer);
        let head = Caller::Bearer.head(gate.now).parts();
        group.bench_function(name, |bencher| bencher.iter(|| gate.decide(black_box(&head))));
    }
    group.finish();
}

fn steps(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let gate = Gate::build(folder.path(), "");
    gate.warm(Caller::Bearer);
    let head = Caller::Bearer.head(gate.now).parts();
    let mut group = criterion.benchmark_group("step");

    let tree = AclTree::from_json(callers::TREE).expect("the shipped tree is valid");
    let table = RouteTable::from_json(callers::ROUTES, &tree).expect("the shipped routes are valid");
    let reference = gate.pipeline().reference.current();
    let scope = &reference.as_ref().expect("the tables were read").scope;
    group.bench_function("path and route", |bencher| {
        bencher.iter(|| {
            let path = CanonicalPath::parse(black_box(head.uri.path())).ok()?;
            match path.door().ok()? {
                Door::Rest(rest) => RestMatch::find(scope, &table, "GET", rest).ok(),
                Door::Graphql | Door::Soap | Door::OauthToken(_) | Door::Elsewhere => None,
            }
        });
    });

    let reserved = Reserved::new("X-Auth-", None);
    group.bench_function("reserved header scan", |bencher| {
        bencher.iter(|| reserved.among(black_box(&head.headers)));
    });

    let token = callers::CUSTOMER_TOKEN.as_bytes();
    group.bench_function("credential key", |bencher| {
        bencher.iter(|| CredentialKey::bearer(black_box(token)));
    });

    let key = CredentialKey::bearer(token);
    group.bench_function("cache get", |bencher| {
        bencher.iter(|| gate.pipeline().facts.cached(black_box(&key)));
    });

    let (verifier, jwt) = (callers::jwt_verifier(), callers::customer_jwt(gate.now));
    group.bench_function("first-seen JWT", |bencher| {
        bencher.iter(|| verifier.verify(black_box(jwt.as_bytes())));
    });
    group.finish();
}

/// Applying a decision's headers to the request, which the engine does after it.
fn forward(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let gate = Gate::build(folder.path(), "");
    let reserved = Reserved::new("X-Auth-", None);
    let rules = ForwardRules { credentials: Credentials::Strip, proof: None, reserved, session_cookie: None };
    let mut group = criterion.benchmark_group("forward");
    for caller in [Caller::Bearer, Caller::Oauth] {
        gate.warm(caller);
        let head = || {
            let head = caller.head(gate.now).parts();
            let Step::Done(verdict) = gate.decide(&head) else {
                unreachable!("{} is cached", caller.name());
            };
            let Ok(Outcome::Forward(forward)) = verdict.outcome else {
                unreachable!("{} is forwarded", caller.name());
            };
            (head, forward.edits)
        };
        group.bench_function(caller.name(), |bencher| {
            let apply = |(head, edits)| rules.request(head, edits, &gate.peer);
            bencher.iter_batched(head, apply, BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group!(benches, decisions, signed_decisions, limits, steps, forward);
criterion_main!(benches);
