//! Every way a token can fail to be a user JWT of this store.

/// Why a token is not accepted. The client never hears it: Magento treats such a bearer as absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtRefusal {
    /// It does not look like a JWT; the ordinary case of an opaque token.
    #[error("the token is no JWT")]
    NotJwt,
    /// It is longer than any token that Magento issues.
    #[error("the token is too long")]
    TooLong,
    /// It is a JWE.
    #[error("the token is encrypted")]
    Encrypted,
    /// A part is not canonical base64url, or not JSON of the right shape.
    #[error("the token is malformed")]
    Malformed,
    /// A JSON object, or the two halves of a header, name a member twice.
    #[error("the token names a member twice")]
    DuplicateMember,
    /// A general serialization has no signature or more than one.
    #[error("the token does not have exactly one signature")]
    SignatureCount,
    /// The header names no algorithm.
    #[error("the token names no algorithm")]
    AlgorithmMissing,
    /// The header names another algorithm than the configured one.
    #[error("the token names another algorithm than the configured one")]
    AlgorithmMismatch,
    /// The header has `cty`: the payload is something else than claims.
    #[error("the token has a content type")]
    ContentType,
    /// The header has `b64` and it is not `true` (RFC 7797).
    #[error("the payload is not encoded")]
    UnencodedPayload,
    /// The payload is empty or detached.
    #[error("the payload is empty")]
    EmptyPayload,
    /// No key verifies the signature.
    #[error("the signature does not verify")]
    SignatureInvalid,
    /// The payload is no JSON object.
    #[error("the payload is not a set of claims")]
    NotClaims,
    /// `uid` is missing or not a positive integer that fits the column.
    #[error("the claim uid is not a positive integer")]
    UserId,
    /// `utypid` is missing or stands for neither admin nor customer.
    #[error("the claim utypid is neither admin nor customer")]
    UserType,
    /// `iat` is missing or not a positive whole number of seconds.
    #[error("the claim iat is not a positive integer")]
    IssuedAt,
    /// `exp` is missing or not a positive whole number of seconds.
    #[error("the claim exp is not a positive integer")]
    ExpiresAt,
}

impl JwtRefusal {
    /// The word for logs and metric labels.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotJwt => "not_jwt",
            Self::TooLong => "jwt_too_long",
            Self::Encrypted => "jwt_encrypted",
            Self::Malformed => "jwt_malformed",
            Self::DuplicateMember => "jwt_duplicate_member",
            Self::SignatureCount => "jwt_signature_count",
            Self::AlgorithmMissing => "jwt_algorithm_missing",
            Self::AlgorithmMismatch => "jwt_algorithm_mismatch",
            Self::ContentType => "jwt_content_type",
            Self::UnencodedPayload => "jwt_unencoded_payload",
            Self::EmptyPayload => "jwt_empty_payload",
            Self::SignatureInvalid => "jwt_signature_invalid",
            Self::NotClaims => "jwt_not_claims",
            Self::UserId => "jwt_user_id",
            Self::UserType => "jwt_user_type",
            Self::IssuedAt => "jwt_issued_at",
            Self::ExpiresAt => "jwt_expires_at",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_a_word_of_its_own() {
        use JwtRefusal as R;
        let words = [
            (R::NotJwt, "not_jwt"),
            (R::TooLong, "jwt_too_long"),
            (R::Encrypted, "jwt_encrypted"),
            (R::Malformed, "jwt_malformed"),
            (R::DuplicateMember, "jwt_duplicate_member"),
            (R::SignatureCount, "jwt_signature_count"),
            (R::AlgorithmMissing, "jwt_algorithm_missing"),
            (R::AlgorithmMismatch, "jwt_algorithm_mismatch"),
            (R::ContentType, "jwt_content_type"),
            (R::UnencodedPayload, "jwt_unencoded_payload"),
            (R::EmptyPayload, "jwt_empty_payload"),
            (R::SignatureInvalid, "jwt_signature_invalid"),
            (R::NotClaims, "jwt_not_claims"),
            (R::UserId, "jwt_user_id"),
            (R::UserType, "jwt_user_type"),
            (R::IssuedAt, "jwt_issued_at"),
            (R::ExpiresAt, "jwt_expires_at"),
        ];
        for (refusal, word) in words {
            assert_eq!(refusal.reason(), word);
        }
    }
}
