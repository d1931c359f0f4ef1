//! Which route a request reaches, and in which store.
//!
//! A path is judged once, as received: [`CanonicalPath`] refuses what two readers could understand differently,
//! [`Door`] says which of Magento's entrances it is for, [`StoreScope`] takes the store code away, and [`RouteTable`]
//! finds the route by Magento's own rules. The bytes that go upstream are never rewritten; where the path as sent and
//! the path as some upstream might decode it lead to different routes, the request is refused.
//!
//! For an API that is not Magento's the table is matched on the whole path, without door and store.

mod choice;
mod door;
mod open_reads;
mod path;
mod pattern;
mod percent;
#[cfg(test)]
mod plain_walk;
mod resolve;
mod scope;
mod table;
mod trie;

pub use door::{Door, HandshakeStep, RestPath};
pub use open_reads::is_open_read;
pub use path::{CanonicalPath, Segments};
pub use pattern::RoutePattern;
pub use resolve::RestMatch;
pub use scope::{AccountShare, StoreScope, StoreView};
pub use table::{Route, RouteError, RouteTable};
