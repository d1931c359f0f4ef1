//! `replies`: how a refusal is worded to the client.

use super::lenient::Words;

/// How a refusal is worded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replies {
    /// As Magento words it, so that existing clients notice nothing.
    Magento,
    /// As problem details (RFC 9457).
    Problem,
}

impl Words for Replies {
    const WORDS: &'static [(&'static str, Self)] = &[("magento", Self::Magento), ("problem", Self::Problem)];
}
