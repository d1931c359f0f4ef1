//! Magento's tables in a SQL database, name for name and column for column.
//!
//! [`SqlStore`] opens a standalone SQLite database that [`SqlStore::migrate`] has created, and answers each lookup with
//! one prepared statement. Columns are selected under the name `table.column`, so that whatever a row gets wrong is
//! reported in the words of the schema. Every comparison of tokens and keys is byte-exact (deviation D3).
//!
//! Nothing is cached, judged or logged here.

mod change_feed;
mod changes;
mod columns;
mod failure;
mod held;
mod leases;
mod location;
mod logins;
mod lookup;
mod mapper;
mod migrate;
mod principals;
mod reference;
mod settings;
mod sqlite;
mod sweep;
mod timestamp;
mod users;
mod writers;

pub use crate::store::records::IntegrationStatus;
pub use change_feed::{ChangeMark, Changed, Changes};
pub use changes::{Change, TokenValues, View};
pub use leases::{JobRow, Lease};
pub use migrate::MigrationReport;
pub use principals::{Principal, Principals};
pub use sqlite::SqlStore;
pub use sweep::{Stale, Swept};
pub use writers::{
    NewAccessToken, NewAdmin, NewConsumer, NewCustomer, NewIntegration, NewRole, RoleOwner, TokenOwner,
};
