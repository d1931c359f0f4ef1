//! A first look at a database: whether it answers, and whether a schema of our own is the one that this version knows.

use sqlx::{ConnectOptions as _, Connection as _};

use super::{
    connection::{ACQUIRE_TIMEOUT, Drivers},
    dialect::Flavor,
    failure::naming_file,
    migrate,
};
use crate::store::StoreError;

impl Drivers {
    /// Makes sure that the database answers with the schema that it should have. A Magento's is taken as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage, [`StoreError::Schema`], and what names a file that is none.
    pub(super) async fn prove(&self, flavor: Flavor) -> Result<(), StoreError> {
        self.reach().await?;
        if flavor == Flavor::Magentos {
            return Ok(());
        }
        migrate::verify(self).await.map_err(|error| match self {
            Self::Sqlite(pool) => naming_file(error, pool.connect_options().get_filename().to_owned()),
            Self::MySql(_) | Self::Postgres(_) => error,
        })
    }

    /// Calls a server once, so that what is wrong is told as it is: a pool would only say that nobody answered in time.
    ///
    /// # Errors
    ///
    /// Whatever keeps the server from answering.
    pub(super) async fn reach(&self) -> Result<(), StoreError> {
        let reached = async {
            match self {
                Self::Sqlite(_) => Ok(()),
                Self::MySql(pool) => pool.connect_options().connect().await?.close().await,
                Self::Postgres(pool) => pool.connect_options().connect().await?.close().await,
            }
        };
        let answered = tokio::time::timeout(ACQUIRE_TIMEOUT, reached).await;
        Ok(answered.map_err(|_elapsed| sqlx::Error::PoolTimedOut)??)
    }
}
