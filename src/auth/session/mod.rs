//! PHP sessions as proof of identity: from a `Cookie` header to what the session says about its owner.
//!
//! [`session_cookie`] finds the one id that a request names, [`SessionId`] proves that it can be part of a file name or a
//! Redis key, [`SessionContent`] reads what PHP stored under it (`session.serialize_handler = php`, `MAGENTO_AUTH`
//! section 10.4). Nothing of a serialized object is ever built: its class name is skipped and its properties are read
//! like an array. Where sessions are kept, and whether the user they name still exists, is decided elsewhere.

mod content;
mod cookie;
mod id;
mod value;

pub use content::{AdminLogin, MAX_SESSION_BYTES, SessionContent, UnreadableSession};
pub use cookie::{BadSessionCookie, session_cookie};
pub use id::SessionId;
