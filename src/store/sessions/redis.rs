//! Sessions in Redis, as Magento's handler (`Cm_RedisSession`) keeps them: a hash `sess_<id>`, its text in the field
//! `data`.
//!
//! One `HGET` a session: the handler's lock in the same hash is neither asked for nor taken. One connection carries all
//! lookups; it is made when first needed and again when it broke, and a lookup meanwhile is an outage, bounded in time.

use std::{sync::OnceLock, time::Duration};

use redis::{
    Client, Cmd, ConnectionAddr, IntoConnectionInfo as _, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use super::{SessionStoreError, Stored, inflate::inflate};
use crate::auth::session::SessionId;

/// Magento's handler uses the hash's name and its own field names; only this one is read.
const FIELD: &str = "data";

/// Redis with Magento's session hashes.
pub(super) struct RedisHashes {
    client: Client,
    config: ConnectionManagerConfig,
    connection: OnceLock<ConnectionManager>,
}

impl std::fmt::Debug for RedisHashes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedisHashes")
    }
}

impl RedisHashes {
    /// Takes a URL `redis://[user]:[password]@host:port/db`; nothing is connected yet.
    pub(super) fn new(url: &str, timeout: Duration) -> Result<Self, SessionStoreError> {
        let server = url.into_connection_info().map_err(|_| SessionStoreError::Url)?;
        if !matches!(server.addr(), ConnectionAddr::Tcp(_, _)) {
            return Err(SessionStoreError::Url);
        }
        let client = Client::open(server).map_err(|_| SessionStoreError::Url)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout))
            .set_number_of_retries(1);
        Ok(Self { client, config, connection: OnceLock::new() })
    }

    /// What is stored under an id.
    pub(super) async fn read(&self, id: &SessionId) -> Result<Stored, SessionStoreError> {
        let mut connection = self.connection()?;
        let command = Cmd::hget(format!("sess_{}", id.as_str()), FIELD);
        let data: Option<Vec<u8>> =
            command.query_async(&mut connection).await.map_err(|error| failed(&error))?;
        Ok(data.map(inflate))
    }

    /// The one connection; it needs a runtime, which the first lookup has.
    fn connection(&self) -> Result<ConnectionManager, SessionStoreError> {
        if let Some(connection) = self.connection.get() {
            return Ok(connection.clone());
        }
        let made = ConnectionManager::new_lazy_with_config(self.client.clone(), self.config.clone());
        let made = made.map_err(|error| failed(&error))?;
        Ok(self.connection.get_or_init(|| made).clone())
    }
}

/// The class of a failure; the text of Redis could repeat the key, which is the session's id.
fn failed(error: &RedisError) -> SessionStoreError {
    SessionStoreError::Redis(if error.is_timeout() {
        "no answer in time"
    } else if error.is_connection_refusal() {
        "connection refused"
    } else if error.is_io_error() {
        "the connection broke"
    } else {
        "an error or an answer of another kind"
    })
}
