//! What a token says of itself, for explaining it: nothing here is verified, and the signature is left out.

use super::base64url;
use super::refusal::JwtRefusal;
use super::serialization::Jws;

/// Header and claims of a token as JSON text, unverified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtContents {
    /// The protected header.
    pub header: String,
    /// The payload.
    pub claims: String,
}

impl JwtContents {
    /// Takes a token apart as the verifier does.
    ///
    /// # Errors
    /// [`JwtRefusal`], where the verifier would not get further either.
    pub fn read(token: &[u8]) -> Result<Self, JwtRefusal> {
        let jws = Jws::parse(token)?;
        let text = |encoded: &str| {
            base64url::decode(encoded).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok(Self { header: text(&jws.encoded_header)?, claims: text(&jws.encoded_payload)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_claims_come_without_the_signature() {
        let token = b"eyJhbGciOiJIUzI1NiJ9.eyJ1aWQiOjF9.c2ln";
        let read = JwtContents::read(token).unwrap();
        assert_eq!(read.header, r#"{"alg":"HS256"}"#);
        assert_eq!(read.claims, r#"{"uid":1}"#);
        assert!(!format!("{read:?}").contains("sig"));
        assert_eq!(JwtContents::read(b"opaque"), Err(JwtRefusal::NotJwt));
    }
}
