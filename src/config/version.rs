//! `magento.version`: the release whose rules hold where releases differ.
//!
//! Three defaults hang on it (`MAGENTO_AUTH` sections 2.7, 3.2 and 3.9): which crypt keys verify user JWTs, which signature
//! methods count, and how base strings are read. What is written wins over what a release would have.

use super::{
    lenient::Words,
    oauth::{Reading, SignatureMethod},
    upstream::Credentials,
};
use crate::auth::jwt::AcceptedKeys;

/// A release line of Magento.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MagentoVersion {
    /// 2.4.4
    V244,
    /// 2.4.5
    V245,
    /// 2.4.6, whose behavior was recorded.
    V246,
    /// 2.4.7
    V247,
    /// 2.4.8
    V248,
}

impl Words for MagentoVersion {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("2.4.4", Self::V244),
        ("2.4.5", Self::V245),
        ("2.4.6", Self::V246),
        ("2.4.7", Self::V247),
        ("2.4.8", Self::V248),
    ];
}

impl MagentoVersion {
    /// The crypt keys that verify user JWTs. Since the key rotation of 2024 Magento keeps the last one alone.
    pub(super) const fn accepted_keys(self) -> AcceptedKeys {
        match self {
            Self::V244 | Self::V245 | Self::V246 => AcceptedKeys::All,
            Self::V247 | Self::V248 => AcceptedKeys::Last,
        }
    }

    /// The signature methods; HMAC-SHA1 ended with 2.4.6 (MAGENTO_FACTS 27).
    pub(super) fn signature_methods(self) -> Vec<SignatureMethod> {
        match self {
            Self::V244 | Self::V245 => vec![SignatureMethod::HmacSha256, SignatureMethod::HmacSha1],
            Self::V246 | Self::V247 | Self::V248 => vec![SignatureMethod::HmacSha256],
        }
    }

    /// The readings of base strings. A Magento that authenticates again would refuse what only the standard's reading
    /// accepts, so that then Magento's stands alone, where we know it.
    pub(super) fn readings(self, credentials: Credentials) -> Vec<Reading> {
        match (self.knows_reading(), credentials) {
            (true, Credentials::Strip) => vec![Reading::Rfc5849, Reading::Magento],
            (true, Credentials::Forward) => vec![Reading::Magento],
            (false, Credentials::Strip | Credentials::Forward) => vec![Reading::Rfc5849],
        }
    }

    /// Whether `Reading::Magento` is how this release signs. 2.4.7 decodes only unreserved characters of the path, and
    /// 2.4.8 has a signer of its own, which was never recorded: a reading that is only believed to be Magento's could sign
    /// less of a request than Magento reads.
    pub(super) const fn knows_reading(self) -> bool {
        match self {
            Self::V244 | Self::V245 | Self::V246 => true,
            Self::V247 | Self::V248 => false,
        }
    }
}
