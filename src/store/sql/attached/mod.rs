//! A Magento's own database, looked at before anything relies on it.
//!
//! [`needs`] lists what each feature reads and writes there, column by column: it is what `deploy/mysql/grants.sql` grants.
//! [`examine`] asks the server whether all of it is there and allowed, and writes nothing.

mod examine;
mod needs;
mod problem;
#[cfg(test)]
mod testing;

pub use needs::{Feature, NEEDS, Need, Right};
pub use problem::{Examined, Problem};
