//! From a Magento installation on disk to the files that the gate reads.
//!
//! [`read()`] goes through every enabled module in Magento's order, merges `etc/acl.xml` and `etc/webapi.xml` as Magento's
//! own configuration readers do (`MAGENTO_AUTH` sections 8.1, 8.7, 8.8), reads the integrations that modules declare
//! (section 12), and answers an [`Imported`]: the resource tree, the routes, the integrations, and a [`Problem`] with file and line for whatever could not be read. [`Rules`] are the finished texts, proven
//! to load; [`Rules::write`] puts them in place and never leaves half a file.
//!
//! No PHP is run and no database asked: a setting that is changed there is not seen here. Nothing is printed; whether
//! problems are tolerated is for the caller to decide.

mod acl;
mod changes;
mod error;
mod insecure;
mod integrations;
mod merge;
mod modules;
mod problem;
mod read;
mod rules;
mod shape;
mod webapi;
mod xml;

pub use acl::ResourceNode;
pub use changes::{Changes, Previous};
pub use error::ImportError;
pub use problem::Problem;
pub use read::{Imported, read};
pub use rules::{Destination, Rules};
pub use webapi::{Parameter, Service, WebapiRoute};
