//! A desk over a store in memory, with a clock that the test moves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::runtime::Handle;

use super::{
    LoginDesk, Origin, ServiceError, TokenSettings,
    admin_token::AdminTokenService,
    audit::Audit,
    customer_token::CustomerTokenService,
    passwords::{PasswordPool, PasswordSettings},
};
use crate::{
    auth::{
        crypt_keys::CryptKeys,
        encryptor::Encryptor,
        jwt::{AcceptedKeys, JwtVerifiers},
        secret::Secret,
        time::UnixTime,
    },
    clock::Clock,
    config::WrittenSettings,
    metrics::{LookupMetrics, Metrics},
    store::{
        cache::{CacheSettings, FactCache},
        facts::{Facts, Lookup, LookupSettings},
        grant::{CredentialKey, Fact},
        judge::Judge,
        settings::MagentoSettings,
        sql::SqlStore,
    },
};

pub(super) const CRYPT_KEY: &str = "0123456789abcdef0123456789abcdef";
pub(super) const NOW: i64 = 1_795_247_892;
pub(super) const GENERIC: &str = "The account sign-in was incorrect or your account is disabled temporarily. Please wait and try again later.";

/// A shop with a desk to sign in at.
pub(super) struct Shop {
    pub(super) store: SqlStore,
    pub(super) facts: Facts,
    pub(super) desk: LoginDesk,
    now: Arc<AtomicI64>,
}

impl Shop {
    /// Magento's defaults.
    pub(super) async fn open(settings: TokenSettings) -> Self {
        Self::with(settings, &[], &AcceptedKeys::All).await
    }

    /// With these rows of `core_config_data`, and these keys accepted.
    pub(super) async fn with(
        settings: TokenSettings,
        rows: &[(&str, &str)],
        accepted: &AcceptedKeys,
    ) -> Self {
        let store = SqlStore::open("sqlite::memory:").await.unwrap();
        for (path, value) in rows {
            store.set_for_test(path, value).await;
        }
        let magento = Arc::new(MagentoSettings::new(WrittenSettings::default(), true));
        magento.refresh(&store).await.unwrap();
        let keys = CryptKeys::parse(CRYPT_KEY).unwrap();
        let judge = Judge {
            encryptor: Encryptor::new(&keys).unwrap(),
            jwt: JwtVerifiers::new(accepted, &keys),
            jwt_admin: true,
            settings: magento,
            session_lifetime: Duration::from_secs(3600),
            fingerprint_key: Secret::new([7; 32]),
        };
        let minute = Duration::from_secs(60);
        let cache = FactCache::new(CacheSettings {
            entries: 100,
            ttl: minute,
            negative_entries: 100,
            negative_ttl: minute,
            session_ttl: minute,
            max_stale: minute,
        });
        let lookups =
            LookupSettings { timeout: minute, max_concurrent: 100, metrics: LookupMetrics::default() };
        let facts = Facts::new((store.clone(), None), judge, cache, (lookups, Handle::current()));
        let now = Arc::new(AtomicI64::new(NOW));
        let moved = Arc::clone(&now);
        let clock = Clock::given(move || UnixTime::from_seconds(moved.load(Ordering::Relaxed)));
        let key = keys.newest().cipher_key().clone();
        let pool = PasswordPool::new(PasswordSettings::default(), key, Metrics::new().passwords);
        let desk = LoginDesk::new(facts.clone(), pool, Audit::off(), clock, settings);
        Self { store, facts, desk, now }
    }

    /// The same desk with other settings.
    pub(super) fn rebuilt(&self, settings: TokenSettings) -> LoginDesk {
        let LoginDesk { facts, passwords, tokens, .. } = self.desk.clone();
        LoginDesk::new(facts, passwords, tokens.audit, tokens.clock, settings)
    }

    /// Sets the clock, in seconds after the beginning.
    pub(super) fn at(&self, seconds: i64) {
        self.now.store(NOW + seconds, Ordering::Relaxed);
    }

    /// Runs a statement.
    pub(super) async fn sql(&self, statement: &str) {
        self.store.execute_for_test(statement).await;
    }

    /// The rows of a query for one column of text.
    pub(super) async fn rows(&self, statement: &str) -> Vec<String> {
        self.store.read_for_test(statement).await
    }

    /// The throttle's rows: name, kind, count.
    pub(super) async fn failures(&self) -> Vec<String> {
        let select =
            "SELECT user_name || '|' || user_type || '|' || failures_count FROM oauth_token_request_log
            ORDER BY user_name, user_type";
        self.rows(select).await
    }

    /// Signs an admin in.
    pub(super) async fn admin(&self, name: &str, password: &str) -> Result<Secret<String>, ServiceError> {
        let service = AdminTokenService::new(self.desk.clone());
        service.create_admin_access_token(Some(name), Some(&secret(password)), &guest()).await
    }

    /// Signs a customer in, in the website 1.
    pub(super) async fn customer(&self, name: &str, password: &str) -> Result<Secret<String>, ServiceError> {
        self.customer_in(Some(1), name, password).await
    }

    /// Signs a customer in.
    pub(super) async fn customer_in(
        &self,
        website_id: Option<u16>,
        name: &str,
        password: &str,
    ) -> Result<Secret<String>, ServiceError> {
        let service = CustomerTokenService::new(self.desk.clone());
        let (name, password) = (Some(name), Some(&secret(password)));
        service.create_customer_access_token(name, password, website_id, &guest()).await
    }

    /// What the request path makes of a bearer token.
    pub(super) async fn fact(&self, token: &Secret<String>) -> Arc<Fact> {
        let bytes = token.expose().as_bytes();
        let lookup = Lookup::Bearer(Secret::new(bytes.to_vec()));
        self.facts.resolve(CredentialKey::bearer(bytes), lookup).await.unwrap()
    }
}

/// A client on the internet.
pub(super) fn guest() -> Origin {
    Origin { actor: "guest".to_owned(), client: Some([192, 0, 2, 1].into()), request_id: None }
}

/// A password, or anything else in a `Secret`.
pub(super) fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

/// The text of a 401; anything else is a failed test.
pub(super) fn refusal<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> &'static str {
    match result {
        Err(ServiceError::Authentication(message)) => message.text,
        other => panic!("{other:?}"),
    }
}
