//! The rules of authentication and authorization, as values in and values out.
//!
//! Nothing here awaits, reads a socket, a database or a clock, or writes a log line: whatever a rule must know (the
//! time, a stored token, a role) is an argument. That keeps every decision testable in a table and usable from any
//! door: the inline proxy, a tower layer, an `auth_request` endpoint.

pub mod acl;
pub mod bearer;
pub mod credential;
pub mod crypt_keys;
pub mod encryptor;
pub mod form_text;
pub mod header_text;
pub mod identity;
pub mod jwt;
pub mod lockout;
pub mod oauth1;
pub mod password;
pub mod quota;
pub mod rejection;
pub mod revocation;
pub mod route;
pub mod secret;
pub mod session;
pub mod time;
