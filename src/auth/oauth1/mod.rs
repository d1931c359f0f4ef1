//! OAuth 1.0a: verifying the signature of a request, as RFC 5849 reads it and as Magento 2.4.6 does.
//!
//! A request goes through these steps; the ones in brackets need a clock or a store and are the caller's:
//!
//! 1. [`ProtocolParameters::parse`] reads the header; without one protocol parameter it may be a guest's.
//! 2. [`check`] looks for what is missing or has no form, in Magento's order, and gives a [`Presented`].
//! 3. [[`TimestampWindow::accepts`] judges the timestamp; consumer and token are looked up.]
//! 4. [`verify`] compares the signature and gives a [`Verified`], which nothing else can make.
//! 5. [The nonce is recorded: after the signature, unlike Magento, so that nobody can burn another's nonces.]
//!
//! Two [`Reading`]s of a request exist, because Magento's base string is not RFC 5849's. Either way a signature counts
//! only if it covers every byte of query and form. JSON bodies are never covered, as in RFC 5849.

mod base_string;
mod encoding;
mod natural_order;
mod pairs;
mod params;
mod php_number;
mod presented;
pub mod problem;
mod request;
mod signature;
mod signer;
mod timestamp;
mod trial;
mod uri;

#[cfg(test)]
mod tests;

pub use base_string::base_string;
pub use encoding::encode;
pub use params::{ProtocolParameters, has_countable_query};
pub use presented::{Operation, Presented, SignatureMethod, SignatureMethods, check, check_for};
pub use problem::OauthProblem;
pub use request::{Reading, Readings, Scheme, SignedRequest};
pub use signature::{SigningKey, Verified, VerifyingKeys, verify};
pub use signer::Signer;
pub use timestamp::{Timestamp, TimestampWindow};
pub use trial::TrialKey;
pub use uri::magento_path;
