//! Magento's tables in a SQL database, name for name and column for column.
//!
//! [`SqlStore`] opens a SQLite, MySQL, MariaDB or PostgreSQL database that [`SqlStore::migrate`] has created, or the MySQL
//! database of a Magento, and answers each lookup with one prepared statement. A statement is written once; `dialect` puts
//! it into a database's own words. Columns are selected under the name `table.column`, so that whatever a row gets wrong is
//! reported in the words of the schema. Every comparison of tokens and keys is byte-exact (deviation D3).
//!
//! Nothing is cached, judged or logged here.

mod address;
mod attached;
mod change_feed;
mod changes;
mod columns;
mod connection;
mod dialect;
mod failure;
mod held;
mod leases;
mod logins;
mod lookup;
mod mapper;
mod migrate;
mod mysql;
mod postgres;
mod principals;
mod proving;
mod recheck;
mod reference;
mod settings;
mod sqlite;
mod statement;
mod store;
mod sweep;
#[cfg(test)]
mod testing;
mod timestamp;
mod users;
mod writers;

pub use crate::store::records::IntegrationStatus;
pub use address::Address;
pub use attached::{Examined, Feature, NEEDS, Need, Problem, Right};
pub use change_feed::{ChangeMark, Changed, Changes};
pub use changes::{Change, TokenValues, View};
pub use leases::{JobRow, Lease};
pub use migrate::MigrationReport;
pub use principals::{Principal, Principals};
pub use recheck::TablesMark;
pub use store::SqlStore;
pub use sweep::{Stale, Swept};
pub use writers::{
    NewAccessToken, NewAdmin, NewConsumer, NewCustomer, NewIntegration, NewRole, RoleOwner, TokenOwner,
};
