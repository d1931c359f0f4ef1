//! The names of those who can hold a role: admins and integrations.
//!
//! For people who ask who may do something; no request needs it.

use std::collections::HashMap;

use super::{columns::Columns, statement::query, store::SqlStore};
use crate::{auth::identity::UserType, store::StoreError};

/// An admin or an integration, as people know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// `admin_user.username` or `integration.name`.
    pub name: String,
    /// Whether its credentials count.
    pub is_active: bool,
}

/// All admins and integrations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Principals(HashMap<(UserType, u32), Principal>);

// The number is Magento's for the kind of user. A signed and an unsigned column would not be of one type in MySQL.
const PRINCIPALS: &str = r#"
    SELECT 2 AS "principal.user_type", user_id AS "principal.id", COALESCE(username, '') AS "principal.name",
        CASE WHEN is_active = 1 THEN 1 ELSE 0 END AS "principal.is_active"
    FROM {admin_user}
    UNION ALL
    SELECT 1, integration_id, name, CASE WHEN status = 1 THEN 1 ELSE 0 END FROM {integration}"#;

impl Principals {
    /// The account of this kind and id.
    #[must_use]
    pub fn find(&self, user_type: UserType, id: u32) -> Option<&Principal> {
        self.0.get(&(user_type, id))
    }
}

impl SqlStore {
    /// Reads the names of all admins and integrations.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage, [`StoreError::Corrupt`] where a row makes no sense.
    pub async fn principals(&self) -> Result<Principals, StoreError> {
        let rows = query(PRINCIPALS).fetch_all(&self.pool).await?;
        let principal = |row: Columns<'_>| {
            let is_admin = row.number::<i64>("principal.user_type")? == 2;
            let user_type = if is_admin { UserType::Admin } else { UserType::Integration };
            let is_active = row.number::<i64>("principal.is_active")? == 1;
            let name = row.text("principal.name")?;
            Ok(((user_type, row.number("principal.id")?), Principal { name, is_active }))
        };
        rows.iter().map(|row| principal(Columns(row))).collect::<Result<_, _>>().map(Principals)
    }
}
