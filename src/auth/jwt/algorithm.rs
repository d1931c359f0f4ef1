//! The signature algorithms that Magento may be configured to use.

/// An HMAC algorithm of RFC 7518 §3.2; the only kind that `webapi/jwtauth/jwt_alg` may name here (DESIGN section 6, D6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256, Magento's default.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

impl JwtAlgorithm {
    /// The algorithm of that exact name; `None` for any other, among them Magento's broken encryption modes.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Hs256, Self::Hs384, Self::Hs512].into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// The name in the JOSE header and in Magento's setting.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_names_of_signatures_are_known() {
        for name in ["HS256", "HS384", "HS512"] {
            assert_eq!(JwtAlgorithm::from_name(name).map(JwtAlgorithm::as_str), Some(name));
        }
        for name in ["", "hs256", "none", "RS256", "A128KW", "A256GCMKW", "HS256 "] {
            assert_eq!(JwtAlgorithm::from_name(name), None, "{name}");
        }
    }
}
