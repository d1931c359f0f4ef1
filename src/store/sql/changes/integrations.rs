//! `integration`.

use super::{Change, View};
use crate::{
    auth::time::UnixTime,
    store::{
        StoreError,
        records::{IntegrationColumns, IntegrationRecord, IntegrationStatus, SetupType},
        sql::{
            columns::Columns,
            statement::query,
            writers::insert::{insert_row, stamp},
        },
    },
};

macro_rules! integration {
    ($condition:literal) => {
        concat!(
            r#"SELECT integration_id AS "integration.integration_id", name AS "integration.name",
            email AS "integration.email", endpoint AS "integration.endpoint",
            identity_link_url AS "integration.identity_link_url", status AS "integration.status",
            consumer_id AS "integration.consumer_id", setup_type AS "integration.setup_type"
            FROM {integration} WHERE "#,
            $condition
        )
    };
}

impl View {
    /// Finds an integration by its id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage, [`StoreError::Corrupt`] where a row makes no sense.
    pub async fn integration(&mut self, id: u32) -> Result<Option<IntegrationRecord>, StoreError> {
        let found = query(integration!("integration_id = ?1")).bind(id);
        let row = found.fetch_optional(self.connection()).await?;
        row.map(|row| record(&Columns(&row))).transpose()
    }

    /// Finds an integration by its name, upper case or lower.
    ///
    /// # Errors
    ///
    /// As [`View::integration`].
    pub async fn integration_by_name(&mut self, name: &str) -> Result<Option<IntegrationRecord>, StoreError> {
        let found = query(integration!("fold(name) = fold(?1)")).bind(name);
        let row = found.fetch_optional(self.connection()).await?;
        row.map(|row| record(&Columns(&row))).transpose()
    }

    /// Finds the integration of a consumer.
    ///
    /// # Errors
    ///
    /// As [`View::integration`].
    pub async fn integration_by_consumer(
        &mut self,
        consumer_id: u32,
    ) -> Result<Option<IntegrationRecord>, StoreError> {
        let found = query(integration!("consumer_id = ?1")).bind(consumer_id);
        let row = found.fetch_optional(self.connection()).await?;
        row.map(|row| record(&Columns(&row))).transpose()
    }

    /// Every integration, by id.
    ///
    /// # Errors
    ///
    /// As [`View::integration`].
    pub async fn integrations(&mut self) -> Result<Vec<IntegrationRecord>, StoreError> {
        let rows = query(integration!("1 = 1 ORDER BY integration_id")).fetch_all(self.connection()).await?;
        rows.iter().map(|row| record(&Columns(row))).collect()
    }
}

impl Change {
    /// Writes an integration that is not active and returns its `integration_id`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] where the name is taken, [`StoreError::Unavailable`] on an outage.
    pub async fn insert_integration(
        &mut self,
        columns: &IntegrationColumns<'_>,
        now: UnixTime,
    ) -> Result<u32, StoreError> {
        let now = stamp(now, "integration.created_at")?;
        let insert = query(
            "INSERT INTO {integration}
                (name, email, endpoint, identity_link_url, setup_type, status, created_at, updated_at)
            VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?6)",
        )
        .bind(columns.name)
        .bind(columns.email)
        .bind(columns.endpoint)
        .bind(columns.identity_link_url)
        .bind(columns.setup_type as i64)
        .bind(now);
        insert_row(self.connection(), insert, "integration.integration_id").await
    }

    /// Gives an integration its consumer.
    ///
    /// # Errors
    ///
    /// As [`Change::insert_integration`].
    pub async fn set_integration_consumer(&mut self, id: u32, consumer_id: u32) -> Result<(), StoreError> {
        let update = query("UPDATE {integration} SET consumer_id = ?2 WHERE integration_id = ?1");
        update.bind(id).bind(consumer_id).execute(self.connection()).await?;
        Ok(())
    }

    /// Changes what a person edits; `false` where there is no such integration.
    ///
    /// # Errors
    ///
    /// As [`Change::insert_integration`].
    pub async fn update_integration(
        &mut self,
        id: u32,
        columns: &IntegrationColumns<'_>,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let now = stamp(now, "integration.updated_at")?;
        let update = query(
            "UPDATE {integration} SET name = ?2, email = ?3, endpoint = ?4, identity_link_url = ?5, setup_type = ?6,
                updated_at = ?7
            WHERE integration_id = ?1",
        )
        .bind(id)
        .bind(columns.name)
        .bind(columns.email)
        .bind(columns.endpoint)
        .bind(columns.identity_link_url)
        .bind(columns.setup_type as i64)
        .bind(now);
        Ok(update.execute(self.connection()).await?.rows_affected() > 0)
    }

    /// Sets the status of a consumer's integration; `false` where it has none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn set_status_by_consumer(
        &mut self,
        consumer_id: u32,
        status: IntegrationStatus,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let now = stamp(now, "integration.updated_at")?;
        let update = query("UPDATE {integration} SET status = ?2, updated_at = ?3 WHERE consumer_id = ?1");
        let update = update.bind(consumer_id).bind(status as i64).bind(now);
        Ok(update.execute(self.connection()).await?.rows_affected() > 0)
    }

    /// Deletes an integration.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn delete_integration(&mut self, id: u32) -> Result<bool, StoreError> {
        let delete = query("DELETE FROM {integration} WHERE integration_id = ?1").bind(id);
        Ok(delete.execute(self.connection()).await?.rows_affected() > 0)
    }
}

fn record(row: &Columns<'_>) -> Result<IntegrationRecord, StoreError> {
    Ok(IntegrationRecord {
        id: row.number("integration.integration_id")?,
        name: row.text("integration.name")?,
        email: row.text("integration.email")?,
        endpoint: row.optional_text("integration.endpoint")?,
        identity_link_url: row.optional_text("integration.identity_link_url")?,
        status: IntegrationStatus::from_magento(row.number("integration.status")?),
        consumer_id: row.optional_number("integration.consumer_id")?,
        // What is not a person's is locked: a number that Magento does not know unlocks nothing.
        setup_type: match row.number::<i64>("integration.setup_type")? {
            0 => SetupType::Manual,
            _ => SetupType::Config,
        },
    })
}
