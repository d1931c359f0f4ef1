//! Why the gate does not start.

use std::{fmt, io, net::SocketAddr, path::PathBuf};

use super::tls::TlsProblems;
use crate::{
    auth::{acl::AclError, crypt_keys::CryptKeysError, encryptor::UnusableKey, route::RouteError},
    config::ConfigErrors,
    proxy::engine::TlsError,
    service::{ServiceError, configured::ConfiguredError},
    store::{StoreError, nonces::NonceError, redis::LinkError, sessions::SessionStoreError, sql::Problem},
};

/// Why a changed configuration is not taken up; what was in force still is.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// What it points to cannot be used.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// It changes what only a start can.
    #[error("{} changed and needs a restart; restart, or take the change back", .0.join(", "))]
    NeedsRestart(Vec<&'static str>),
}

/// Everything that keeps a Magento's database from being worked with.
#[derive(Debug)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            let line_end = if number == 0 { "" } else { "\n" };
            write!(f, "{line_end}store.url: {problem}")?;
        }
        Ok(())
    }
}

/// What is wrong with the world that a configuration points to.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file cannot be read.
    #[error("{what}: cannot read {}: {source}", path.display())]
    Unreadable {
        /// The setting that names it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The resource tree is no tree.
    #[error("acl.tree: {}: {source}", path.display())]
    Tree {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: AclError,
    },
    /// The routes are no routes.
    #[error("acl.routes: {}: {source}", path.display())]
    Routes {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: RouteError,
    },
    /// A listener cannot speak TLS.
    #[error(transparent)]
    Tls(#[from] TlsProblems),
    /// TLS to the upstream cannot be spoken.
    #[error("upstream.tls: {0}")]
    UpstreamTls(#[source] TlsError),
    /// The file of integrations is none.
    #[error("integrations.file: {}: {reason}", path.display())]
    Declarations {
        /// The file.
        path: PathBuf,
        /// Every mistake.
        reason: String,
    },
    /// The declared integrations cannot be had.
    #[error("integrations: {0}")]
    Integrations(#[from] ConfiguredError),
    /// The crypt key cannot be used.
    #[error("magento.crypt_key: {0}")]
    CryptKey(#[from] CryptKeysError),
    /// The newest crypt key cannot encrypt.
    #[error("magento.crypt_key: {0}")]
    UnusableKey(#[from] UnusableKey),
    /// No stored secret opens with the configured keys.
    #[error(
        "magento.crypt_key: none of the {consumers} consumer secrets in the store decrypts with it; \
         give the key of the installation that wrote them"
    )]
    WrongKey {
        /// How many there are.
        consumers: usize,
    },
    /// The database cannot be opened for a reason that does not name it.
    #[error("store.url: {url}: {source}")]
    Open {
        /// The database.
        url: String,
        /// The reason.
        source: StoreError,
    },
    /// The server does not let the configured user in.
    #[error(
        "store.url: {url}: the server does not let this user in ({source}); give the right user and password, and let it in \
         from this host and to this database"
    )]
    NotLetIn {
        /// The database.
        url: String,
        /// What the server said.
        source: sqlx::Error,
    },
    /// The server has no such database.
    #[error("store.url: {url}: {source}; give the name of a database that is there")]
    NoDatabase {
        /// The database.
        url: String,
        /// What the server said.
        source: sqlx::Error,
    },
    /// A Magento's database does not have or grant what is configured.
    #[error("{0}")]
    Attached(Problems),
    /// The store cannot be opened.
    #[error("store.url: {0}")]
    Store(#[from] StoreError),
    /// The store gave no answer at all.
    #[error("store.url: the store does not answer")]
    StoreSilent,
    /// A change needs a store that nobody has seen yet.
    #[error("store.url: the store has not been proven yet, and this change has to be tried on it")]
    StoreUnproven,
    /// The session storage cannot be used.
    #[error("{what}: {source}")]
    Sessions {
        /// The setting that names it.
        what: &'static str,
        /// The reason.
        source: SessionStoreError,
    },
    /// The nonce journal cannot be opened.
    #[error("nonces.journal: {0}")]
    Nonces(#[from] NonceError),
    /// The link to Redis cannot be made from its settings.
    #[error("redis.url: {0}")]
    Redis(#[from] LinkError),
    /// An address cannot be bound.
    #[error("{what}: cannot listen on {address}: {source}")]
    Bind {
        /// The setting that names it.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The access log cannot be opened.
    #[error("log.access: cannot write {}: {source}", path.display())]
    AccessLog {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The audit log cannot be opened.
    #[error("audit.file: cannot write {}: {source}", path.display())]
    Audit {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The collector of traces cannot be spoken to.
    #[error("tracing.ca_file: the authorities cannot be used: {0}")]
    Collector(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A thread or runtime cannot be started.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

impl BuildError {
    /// Whether the store was silent, so that looking again may help.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        match self {
            Self::StoreSilent => true,
            Self::Open { source, .. }
            | Self::Store(source)
            | Self::Integrations(
                ConfiguredError::Store(source)
                | ConfiguredError::Failed { source: ServiceError::Store(source), .. },
            ) => source.is_unavailable(),
            Self::Integrations(ConfiguredError::Unfit { .. } | ConfiguredError::Failed { .. })
            | Self::Unreadable { .. }
            | Self::Tree { .. }
            | Self::Routes { .. }
            | Self::Declarations { .. }
            | Self::CryptKey(_)
            | Self::UnusableKey(_)
            | Self::WrongKey { .. }
            | Self::StoreUnproven
            | Self::NotLetIn { .. }
            | Self::NoDatabase { .. }
            | Self::Attached(_)
            | Self::Sessions { .. }
            | Self::Nonces(_)
            | Self::Redis(_)
            | Self::Tls(_)
            | Self::UpstreamTls(_)
            | Self::Bind { .. }
            | Self::AccessLog { .. }
            | Self::Audit { .. }
            | Self::Collector(_)
            | Self::System(_) => false,
        }
    }
}
