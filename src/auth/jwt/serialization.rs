//! Taking a token apart: the three serializations of a JWS (RFC 7515 §7), and nothing else.
//!
//! What an opaque token or garbage looks like is decided by counting dots or by the first byte, before anything is
//! decoded. Magento tries compact, general and flattened in turn; the shapes exclude each other, so the order is moot.

use std::borrow::Cow;

use super::base64url;
use super::json::{self, Json, Members};
use super::refusal::JwtRefusal;

/// Magento's own tokens have 200 bytes; what a header field may hold is about this.
const MAX_LENGTH: usize = 8 * 1024;

/// A JWS whose signature nobody has looked at yet.
#[derive(Debug)]
pub(super) struct Jws<'a> {
    /// The header, protected and unprotected members together.
    pub(super) header: Members,
    /// The protected header as signed: still encoded; empty where there is none.
    pub(super) encoded_header: Cow<'a, str>,
    /// The payload as signed: still encoded.
    pub(super) encoded_payload: Cow<'a, str>,
    /// The signature's bytes.
    pub(super) signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    /// Takes a token apart.
    pub(super) fn parse(token: &'a [u8]) -> Result<Self, JwtRefusal> {
        if token.len() > MAX_LENGTH {
            return Err(JwtRefusal::TooLong);
        }
        if token.first() == Some(&b'{') {
            return Self::parse_json(token);
        }
        Self::parse_compact(token)
    }

    fn parse_compact(token: &'a [u8]) -> Result<Self, JwtRefusal> {
        match token.iter().filter(|&&byte| byte == b'.').count() {
            2 => {}
            4 => return Err(JwtRefusal::Encrypted),
            _ => return Err(JwtRefusal::NotJwt),
        }
        let token = std::str::from_utf8(token).map_err(|_| JwtRefusal::NotJwt)?;
        let mut parts = token.split('.');
        let mut next_part = || parts.next().unwrap_or_default();
        let (header, payload, signature) = (next_part(), next_part(), next_part());
        Ok(Self {
            header: json::parse_object(&base64url::decode(header)?, JwtRefusal::Malformed)?,
            encoded_header: header.into(),
            encoded_payload: payload.into(),
            signature: base64url::decode(signature)?,
        })
    }

    /// Flattened has the signature's members at the top, general in a list; here of exactly one.
    fn parse_json(token: &[u8]) -> Result<Self, JwtRefusal> {
        let mut members = json::parse_object(token, JwtRefusal::Malformed)?;
        if members.contains_key("ciphertext") {
            return Err(JwtRefusal::Encrypted);
        }
        let payload = optional_text(&mut members, "payload")?;
        let signed = match (members.remove("signatures"), members.contains_key("signature")) {
            (Some(Json::List(signatures)), false) => sole_signature(signatures)?,
            (None, true) => members,
            (None, false) => return Err(JwtRefusal::NotJwt),
            (Some(_), _) => return Err(JwtRefusal::Malformed),
        };
        Self::from_members(signed, payload)
    }

    fn from_members(mut signed: Members, payload: String) -> Result<Self, JwtRefusal> {
        let signature = base64url::decode(&optional_text(&mut signed, "signature")?)?;
        let protected = optional_text(&mut signed, "protected")?;
        let unprotected = match signed.remove("header") {
            Some(Json::Object(members)) => members,
            None => Members::new(),
            Some(_) => return Err(JwtRefusal::Malformed),
        };
        Ok(Self {
            header: join_headers(&protected, unprotected)?,
            encoded_header: protected.into(),
            encoded_payload: payload.into(),
            signature,
        })
    }
}

fn sole_signature(signatures: Vec<Json>) -> Result<Members, JwtRefusal> {
    let [signature] = <[Json; 1]>::try_from(signatures).map_err(|_| JwtRefusal::SignatureCount)?;
    match signature {
        Json::Object(members) => Ok(members),
        Json::Boolean(_) | Json::Integer(_) | Json::Text(_) | Json::List(_) | Json::Other => {
            Err(JwtRefusal::Malformed)
        }
    }
}

/// A parameter must not be in both halves (RFC 7515 §7.2.1); Magento would believe the half that nobody signed.
fn join_headers(protected: &str, unprotected: Members) -> Result<Members, JwtRefusal> {
    let mut header = match protected {
        "" => Members::new(),
        encoded => json::parse_object(&base64url::decode(encoded)?, JwtRefusal::Malformed)?,
    };
    for (name, value) in unprotected {
        if header.insert(name, value).is_some() {
            return Err(JwtRefusal::DuplicateMember);
        }
    }
    Ok(header)
}

/// A text member; the empty string where there is none.
fn optional_text(members: &mut Members, name: &str) -> Result<String, JwtRefusal> {
    match members.remove(name) {
        Some(Json::Text(text)) => Ok(text),
        None => Ok(String::new()),
        Some(_) => Err(JwtRefusal::Malformed),
    }
}
