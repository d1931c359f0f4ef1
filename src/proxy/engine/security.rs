//! What a TLS connection proves, for the log: the version, and the certificate that the client showed.
//!
//! It is no identity of a caller: who calls is said by the request's credential alone.

use std::sync::Arc;

use rustls::{ProtocolVersion, pki_types::CertificateDer};
use sha2::{Digest as _, Sha256};

/// What is written down of a TLS connection; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Security {
    /// `TLSv1.2` or `TLSv1.3`.
    pub(super) version: &'static str,
    /// SHA-256 of the client's certificate, hexadecimal.
    pub(super) certificate: Option<Arc<str>>,
}

impl Security {
    /// What a finished handshake proved; a chain begins with the client's own certificate.
    pub(super) fn of(version: Option<&'static str>, chain: Option<&[CertificateDer<'_>]>) -> Self {
        let own = chain.and_then(<[_]>::first);
        let certificate = own.map(|own| hex::encode(Sha256::digest(own.as_ref())).into());
        Self { version: version.unwrap_or("TLS"), certificate }
    }
}

/// The name of a version; others are not spoken.
pub(super) fn protocol_name(version: ProtocolVersion) -> &'static str {
    if version == ProtocolVersion::TLSv1_2 { "TLSv1.2" } else { "TLSv1.3" }
}
