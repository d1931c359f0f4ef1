//! What an operator writes, read into values that cannot be wrong.
//!
//! 1. `gather` reads the file and the variables `PORTCULLIS__SECTION__KEY` and checks every name.
//! 2. `raw` mirrors what was written: each setting optional, each mistake kept beside its value.
//! 3. One file per section turns its part into a validated type and notes mistakes in the `report`.
//! 4. [`Config`] exists only if nothing was noted; otherwise [`ConfigErrors`] lists every mistake at once.
//!
//! The enums here are choices in plain words. What a choice does is the matter of the module that acts on it, and the
//! server hands each module its part. Nothing here opens a socket, a database or the files of the ACL.

mod acl;
mod audit;
mod cache;
mod database;
mod declaration;
mod env_php;
mod finding;
mod forms;
mod gather;
mod handshake;
mod headers;
mod integrations;
mod jobs;
mod jwt;
mod keys;
mod kinds;
mod lenient;
mod limit_rule;
mod limits;
mod listen;
mod listen_edge;
mod listen_tls;
mod load;
mod log;
mod magento;
mod nonces;
mod oauth;
mod origin;
mod php_literal;
mod raw;
mod raw_records;
mod redis;
mod reload;
mod replies;
mod report;
mod scope;
mod secret;
mod sessions;
mod store;
#[cfg(test)]
mod tests;
mod tokens;
mod tracing;
mod upstream;
mod upstream_care;
mod upstream_endpoint;
mod version;

pub use acl::{Acl, AclFiles, AclMode, Anonymous, Unmatched};
pub use audit::{Audit, Webhook};
pub use cache::Cache;
pub use database::{Database, ServerUrl};
pub use declaration::{Declaration, DeclaredResources};
pub use finding::{ConfigErrors, Finding, Source};
pub use forms::Forms;
pub(crate) use gather::read_bounded;
pub use handshake::{Handshake, HandshakeIssuer};
pub use headers::Headers;
pub use integrations::Integrations;
pub use jobs::Jobs;
pub(crate) use keys::edits;
pub use limit_rule::{LimitBy, LimitClass, LimitMode, LimitRule, RouteClass};
pub use limits::{LimitHeaders, LimitStore, Limits, OnOutage};
pub use listen::Listen;
pub use listen_edge::{Edge, ProxyProtocol, TraceContext};
pub use listen_tls::{CertificateFiles, ClientAuth, Tls};
pub use load::{Config, environment};
pub use log::{AccessLog, Log, LogFormat};
pub use magento::{AccountShare, Magento, SettingsHome, WrittenSettings};
pub use nonces::{NonceHome, Nonces};
pub use oauth::{Oauth, Reading, SignatureMethod};
pub use origin::{HostPort, Origin, Scheme};
pub use php_literal::{NotLiteral, PhpLiteral, is_truthy_text};
pub use redis::{Redis, RedisHome};
pub use reload::{Reload, is_live};
pub use replies::Replies;
pub use report::Setting;
pub use scope::{Authenticate, Scope};
pub use sessions::{SessionStorage, Sessions};
pub use store::Store;
pub use tokens::{AddressRate, Issuer, Tokens};
pub use tracing::{Ratio, Tracing};
pub use upstream::{Credentials, Proof, Upstream};
pub use upstream_care::{
    StatusRange, UpstreamBreaker, UpstreamEjection, UpstreamHealth, UpstreamHttp2, UpstreamTls,
};
pub use upstream_endpoint::UpstreamEndpoint;
pub use version::MagentoVersion;
