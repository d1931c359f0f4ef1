//! How much was asked for by whom: the buckets of the rate limits, in this process and between replicas.
//!
//! [`Owners`] keeps the buckets of one rule in tables of fixed size ([`RateTable`]), [`RateKey`] names who has them. A request is decided by the table alone,
//! at once. Where replicas share their limits, [`Shares`] tells what was taken here to a [`RateExchange`] every moment, and
//! makes the buckets as empty as all replicas left them. Which rules there are, and who is refused, is decided elsewhere.

mod key;
mod owners;
mod redis;
mod share;
mod table;

pub use key::{RateKey, Widths};
pub use owners::{Keys, Owners, Room};
pub use redis::RedisRates;
pub use share::{Consumed, ExchangeError, MOST_OWNERS, RateExchange, Reach, SharedTable, Shares};
pub use table::{Answer, MOST_DEBT, RateTable, Taken};
