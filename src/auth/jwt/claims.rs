//! What a user JWT says: which user, from when, until when.

use super::json::{self, Json, Members};
use super::refusal::JwtRefusal;
use crate::auth::identity::UserType;
use crate::auth::time::UnixTime;

/// The claims of a user JWT. They are what the issuer wrote, not proof that the user exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// `utypid`; a verified token has [`UserType::Admin`] or [`UserType::Customer`] and no other.
    pub user_type: UserType,
    /// `uid`; positive in a verified token.
    pub user_id: u32,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`.
    pub expires_at: UnixTime,
}

impl Claims {
    /// Reads the payload of a token whose signature holds.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, JwtRefusal> {
        let members = json::parse_object(payload, JwtRefusal::NotClaims)?;
        Ok(Self {
            user_type: user_type(&members).ok_or(JwtRefusal::UserType)?,
            user_id: user_id(&members).ok_or(JwtRefusal::UserId)?,
            issued_at: time(&members, "iat").ok_or(JwtRefusal::IssuedAt)?,
            expires_at: time(&members, "exp").ok_or(JwtRefusal::ExpiresAt)?,
        })
    }

    /// The payload that Magento would write: these four members in this order (`JwtUserToken\Model\Issuer`).
    pub(super) fn to_payload(self) -> String {
        format!(
            r#"{{"uid":{},"utypid":{},"iat":{},"exp":{}}}"#,
            self.user_id,
            self.user_type as u8,
            self.issued_at.seconds(),
            self.expires_at.seconds()
        )
    }

    /// Whether the token is over; its last second already is (`MAGENTO_AUTH` section 2.5).
    #[must_use]
    pub fn is_expired(&self, now: UnixTime) -> bool {
        self.expires_at <= now
    }

    /// Whether a row of `jwt_auth_revoked` covers the token. A token of the very second of the revocation is dead.
    #[must_use]
    pub fn is_revoked(&self, revoke_before: Option<UnixTime>) -> bool {
        revoke_before.is_some_and(|moment| self.issued_at <= moment)
    }
}

/// Magento honors any number here; only people have user JWTs (DESIGN section 6, D7).
fn user_type(members: &Members) -> Option<UserType> {
    let Some(Json::Integer(number)) = members.get("utypid") else { return None };
    match UserType::from_magento(*number)? {
        person @ (UserType::Admin | UserType::Customer) => Some(person),
        UserType::Integration | UserType::Guest => None,
    }
}

/// Magento casts text, so that `"7abc"` is user 7; here it is nobody (DESIGN section 6, D7).
fn user_id(members: &Members) -> Option<u32> {
    let Some(Json::Integer(number)) = members.get("uid") else { return None };
    u32::try_from(*number).ok().filter(|id| *id > 0)
}

/// Seconds since 1970, as integer or as text of digits alone. Fractions, which are Magento's status 500, have no value.
fn time(members: &Members, name: &str) -> Option<UnixTime> {
    let seconds = match members.get(name)? {
        Json::Integer(seconds) => *seconds,
        Json::Text(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        Json::Text(_) | Json::Boolean(_) | Json::List(_) | Json::Object(_) | Json::Other => return None,
    };
    (seconds > 0).then(|| UnixTime::from_seconds(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims {
            user_type: UserType::Customer,
            user_id: 1,
            issued_at: UnixTime::from_seconds(1_700_000_000),
            expires_at: UnixTime::from_seconds(1_700_003_600),
        }
    }

    #[test]
    fn four_claims_are_read_and_written() {
        let payload = r#"{"uid":1,"utypid":3,"iat":1700000000,"exp":1700003600}"#;
        assert_eq!(Claims::parse(payload.as_bytes()), Ok(claims()));
        assert_eq!(claims().to_payload(), payload);
    }

    #[test]
    fn order_strings_of_digits_and_extra_claims_do_not_matter() {
        for payload in [
            r#"{"exp":"1700003600","iat":"1700000000","utypid":3,"uid":1}"#,
            r#"{"uid":1,"utypid":3,"iat":1700000000,"exp":1700003600,"nbf":9999999999,"iss":"x","aud":["y"]}"#,
        ] {
            assert_eq!(Claims::parse(payload.as_bytes()), Ok(claims()), "{payload}");
        }
    }

    #[test]
    fn every_unusable_claim_has_its_refusal() {
        let unusable = [
            "0", "-1", "1.5", "1.0", "1e3", "\"\"", "\"0\"", "\"7abc\"", "\"-7\"", "\" 7\"", "null", "true",
            "[]", "[1]", "{}",
        ];
        let too_large = ["99999999999999999999", "\"99999999999999999999\""];
        let refusals = [
            ("uid", JwtRefusal::UserId, vec!["4294967296", "\"1\""]),
            ("utypid", JwtRefusal::UserType, vec!["1", "4", "5", "\"3\""]),
            ("iat", JwtRefusal::IssuedAt, vec!["\"1.5\"", "\"+1\""]),
            ("exp", JwtRefusal::ExpiresAt, vec!["\"1.5\"", "\"+1\""]),
        ];
        for (name, refusal, own) in refusals {
            let values =
                unusable.iter().chain(&too_large).chain(&own).map(|value| format!("\"{name}\":{value}"));
            for member in values.chain([String::from("\"x\":1")]) {
                let others = [("uid", "1"), ("utypid", "3"), ("iat", "1700000000"), ("exp", "1700003600")];
                let others = others.iter().filter(|(other, _)| *other != name);
                let payload = others.fold(member, |text, (name, value)| format!("{text},\"{name}\":{value}"));
                assert_eq!(Claims::parse(format!("{{{payload}}}").as_bytes()), Err(refusal), "{payload}");
            }
        }
    }

    #[test]
    fn payload_that_is_no_object_has_no_claims() {
        for payload in ["hello", "[1,2]", "1", "null", "{"] {
            assert_eq!(Claims::parse(payload.as_bytes()), Err(JwtRefusal::NotClaims), "{payload}");
        }
        assert_eq!(Claims::parse(br#"{"uid":1,"uid":2}"#), Err(JwtRefusal::DuplicateMember));
    }

    #[test]
    fn last_second_is_expired() {
        assert!(!claims().is_expired(UnixTime::from_seconds(1_700_003_599)));
        assert!(claims().is_expired(UnixTime::from_seconds(1_700_003_600)));
    }

    #[test]
    fn token_of_the_second_of_revocation_is_dead() {
        let revoked_at = |seconds| claims().is_revoked(Some(UnixTime::from_seconds(seconds)));
        assert!(!claims().is_revoked(None));
        assert!(!revoked_at(1_699_999_999));
        assert!(revoked_at(1_700_000_000));
        assert!(revoked_at(1_700_000_001));
    }
}
