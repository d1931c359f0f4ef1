//! Keys that a client may have signed with by mistake: for explaining why a signature does not verify.
//!
//! Unlike [`SigningKey`] such a key may be made of anything, an empty secret included. It only computes: nothing it says is a
//! [`Verified`](super::Verified), so no request is ever let in by it. What it computes is derived from secrets and is for
//! the operator's eyes alone.

use std::fmt;

use super::presented::SignatureMethod;
use super::signature::SigningKey;
use crate::auth::secret::Secret;

/// A key to try.
pub struct TrialKey(SigningKey);

impl TrialKey {
    /// Two texts joined as RFC 5849 §3.4.2 joins the secrets, empty ones too.
    #[must_use]
    pub fn joined(first: &[u8], second: &[u8]) -> Self {
        Self(SigningKey::from_secrets(first, second))
    }

    /// A key that is taken as it stands.
    #[must_use]
    pub fn verbatim(key: &[u8]) -> Self {
        Self(SigningKey::from_key(key))
    }

    /// The signature that this key gives a base string, in base64.
    #[must_use]
    pub fn signature(&self, method: SignatureMethod, base_string: &str) -> Secret<String> {
        Secret::new(self.0.sign(method, base_string.as_bytes()))
    }
}

impl fmt::Debug for TrialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrialKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_secret_still_signs_and_the_joint_shows() {
        let sign = |key: TrialKey| key.signature(SignatureMethod::HmacSha256, "x").expose().clone();
        assert_eq!(sign(TrialKey::joined(b"a", b"")), sign(TrialKey::verbatim(b"a&")));
        assert_eq!(sign(TrialKey::joined(b"a+", b"b")), sign(TrialKey::verbatim(b"a%2B&b")));
        assert_ne!(sign(TrialKey::joined(b"a", b"")), sign(TrialKey::verbatim(b"a")));
        assert_eq!(format!("{:?}", TrialKey::verbatim(b"hunter2")), "TrialKey");
    }
}
