//! Deciding whether a token is a user JWT of this store.

use std::fmt;

use super::accepted_keys::AcceptedKeys;
use super::algorithm::JwtAlgorithm;
use super::base64url;
use super::claims::Claims;
use super::json::Json;
use super::keyed_mac::KeyedMac;
use super::refusal::JwtRefusal;
use super::serialization::Jws;
use crate::auth::crypt_keys::{CryptKey, CryptKeys};

/// Verifies user JWTs with the accepted crypt keys and one algorithm; signs with the newest key.
#[derive(Clone)]
pub struct JwtVerifier {
    algorithm: JwtAlgorithm,
    accepted: Vec<KeyedMac>,
    newest: KeyedMac,
    newest_place: usize,
}

/// A payload whose signature held. Only [`JwtVerifier::authenticate`] makes one.
struct AuthenticPayload(Vec<u8>);

impl JwtVerifier {
    /// Prepares every crypt key for the configured algorithm.
    #[must_use]
    pub fn new(crypt_keys: &CryptKeys, algorithm: JwtAlgorithm) -> Self {
        Self::accepting(&AcceptedKeys::All, crypt_keys, algorithm)
    }

    /// Prepares the accepted crypt keys for the configured algorithm; the others are never tried.
    #[must_use]
    pub fn accepting(accepted: &AcceptedKeys, crypt_keys: &CryptKeys, algorithm: JwtAlgorithm) -> Self {
        let keyed = |key: &CryptKey| KeyedMac::new(algorithm, key.configured().expose().as_bytes());
        Self {
            algorithm,
            accepted: accepted.of(crypt_keys).map(keyed).collect(),
            newest: keyed(crypt_keys.newest()),
            newest_place: crypt_keys.count(),
        }
    }

    /// Reads the claims of a token that this store signed. Expiry and revocation are still to be asked.
    ///
    /// # Errors
    ///
    /// [`JwtRefusal`] names the first rule that does not hold; whatever does not look like a JWT costs no HMAC.
    pub fn verify(&self, token: &[u8]) -> Result<Claims, JwtRefusal> {
        let AuthenticPayload(payload) = self.open(token)?;
        Claims::parse(&payload)
    }

    /// Signs claims as Magento's issuer does: compact, `kid` the newest key's place from 1, no `typ`.
    ///
    /// What it returns is a credential. It does not ask whether the claims would be accepted.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> String {
        let kid = self.newest_place;
        let header = base64url::encode(format!(r#"{{"kid":"{kid}","alg":"{}"}}"#, self.algorithm.as_str()));
        let payload = base64url::encode(claims.to_payload());
        let signature = base64url::encode(self.newest.tag(signing_input(&header, &payload)));
        format!("{header}.{payload}.{signature}")
    }

    fn open(&self, token: &[u8]) -> Result<AuthenticPayload, JwtRefusal> {
        let jws = Jws::parse(token)?;
        self.check_header(&jws)?;
        self.authenticate(&jws)
    }

    /// The rules for the header. `kid`, `typ`, `crit` and whatever else stands there has no say, as in Magento.
    fn check_header(&self, jws: &Jws<'_>) -> Result<(), JwtRefusal> {
        match jws.header.get("alg") {
            Some(Json::Text(name)) if name == self.algorithm.as_str() => {}
            Some(_) => return Err(JwtRefusal::AlgorithmMismatch),
            None => return Err(JwtRefusal::AlgorithmMissing),
        }
        if jws.header.contains_key("cty") {
            return Err(JwtRefusal::ContentType);
        }
        match jws.header.get("b64") {
            None | Some(Json::Boolean(true)) => Ok(()),
            Some(_) => Err(JwtRefusal::UnencodedPayload),
        }
    }

    /// Tries every accepted key, also after one that fits: the time must not tell which key signed.
    fn authenticate(&self, jws: &Jws<'_>) -> Result<AuthenticPayload, JwtRefusal> {
        if jws.encoded_payload.is_empty() {
            return Err(JwtRefusal::EmptyPayload);
        }
        let message = signing_input(&jws.encoded_header, &jws.encoded_payload);
        let is_authentic =
            self.accepted.iter().fold(false, |found, key| found | key.verifies(message, &jws.signature));
        if !is_authentic {
            return Err(JwtRefusal::SignatureInvalid);
        }
        base64url::decode(&jws.encoded_payload).map(AuthenticPayload)
    }
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// What is signed (RFC 7515 §5.1), in pieces.
fn signing_input<'a>(encoded_header: &'a str, encoded_payload: &'a str) -> [&'a [u8]; 3] {
    [encoded_header.as_bytes(), b".", encoded_payload.as_bytes()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::auth::identity::UserType;
    use crate::auth::jwt::JwtVerifiers;
    use crate::auth::time::UnixTime;

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const CLAIMS: &str = r#"{"uid":1,"utypid":3,"iat":1700000000,"exp":1700003600}"#;
    const HEADER: &str = r#"{"kid":"1","alg":"HS256"}"#;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../tests/vectors/jwt.json")).unwrap()
    }

    fn verifier(keys: &str, algorithm: JwtAlgorithm) -> JwtVerifier {
        JwtVerifier::new(&CryptKeys::parse(keys).unwrap(), algorithm)
    }

    fn hs256() -> JwtVerifier {
        verifier(KEY, JwtAlgorithm::Hs256)
    }

    fn claims(user_id: u32, user_type: UserType, issued_at: i64) -> Claims {
        Claims {
            user_type,
            user_id,
            issued_at: UnixTime::from_seconds(issued_at),
            expires_at: UnixTime::from_seconds(issued_at + 3600),
        }
    }

    fn customer() -> Claims {
        claims(1, UserType::Customer, 1_700_000_000)
    }

    fn signature(header: &str, payload: &str) -> String {
        base64url::encode(hs256().newest.tag(signing_input(header, payload)))
    }

    /// A compact token with a good signature over any header and payload.
    fn compact(header: &str, payload: &str) -> String {
        let (header, payload) = (base64url::encode(header), base64url::encode(payload));
        format!("{header}.{payload}.{}", signature(&header, &payload))
    }

    /// The members of a good signature object, the two halves of the header as given.
    fn signed_members(protected: &str, unprotected: &str) -> String {
        let (protected, payload) = (base64url::encode(protected), base64url::encode(CLAIMS));
        let signature = signature(&protected, &payload);
        format!(r#""protected":"{protected}","header":{unprotected},"signature":"{signature}""#)
    }

    fn flattened(signed_members: &str) -> String {
        format!(r#"{{"payload":"{}",{signed_members}}}"#, base64url::encode(CLAIMS))
    }

    fn general(signatures: &str) -> String {
        format!(r#"{{"payload":"{}","signatures":[{signatures}]}}"#, base64url::encode(CLAIMS))
    }

    #[test]
    fn magentos_signed_tokens_verify_and_its_encrypted_ones_do_not() {
        let vectors = vectors();
        let (mut signed, mut encrypted) = (0, 0);
        for vector in vectors["tokens"].as_array().unwrap() {
            let token = vector["token"].as_str().unwrap().as_bytes();
            let Some(algorithm) = JwtAlgorithm::from_name(vector["alg"].as_str().unwrap()) else {
                assert_eq!(hs256().verify(token), Err(JwtRefusal::Encrypted));
                encrypted += 1;
                continue;
            };
            let verified = verifier(KEY, algorithm).verify(token).unwrap();
            assert_eq!(u64::from(verified.user_id), vector["uid"].as_u64().unwrap());
            assert_eq!(verified.user_type as u64, vector["utypid"].as_u64().unwrap());
            assert_eq!(verifier(KEY, algorithm).sign(&verified).as_bytes(), token);
            signed += 1;
        }
        assert_eq!((signed, encrypted), (10, 36));
    }

    #[test]
    fn every_recorded_token_has_its_answer() {
        let recorded: Value =
            serde_json::from_str(include_str!("../../../tests/vectors/jwt_recorded.json")).unwrap();
        for case in recorded.as_array().unwrap() {
            let now = UnixTime::from_seconds(case["time"].as_i64().unwrap());
            let answer = match hs256().verify(case["token"].as_str().unwrap().as_bytes()) {
                Ok(claims) if claims.is_expired(now) => String::from("expired"),
                Ok(claims) => format!("{} {}", claims.user_type.as_str(), claims.user_id),
                Err(refusal) => String::from(refusal.reason()),
            };
            assert_eq!(answer, case["answer"].as_str().unwrap(), "{}", case["name"]);
        }
    }

    #[test]
    fn published_tokens_are_signed_byte_for_byte() {
        let admin = claims(1, UserType::Admin, 1_700_000_000);
        let first = "eyJraWQiOiIxIiwiYWxnIjoiSFMyNTYifQ.eyJ1aWQiOjEsInV0eXBpZCI6MiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDM2MDB9.medfRQHPbWCoJC7ZmyOP8Yrrj4PJW3hg27cR1OTdsjE";
        let second = "eyJraWQiOiIyIiwiYWxnIjoiSFMyNTYifQ.eyJ1aWQiOjEsInV0eXBpZCI6MiwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDM2MDB9.h19byfKt45BRPemueTY5icNWJdrffAMfjqmBJA6nj8Y";
        let both = verifier(&format!("{KEY}\nfedcba9876543210fedcba9876543210"), JwtAlgorithm::Hs256);
        assert_eq!(hs256().sign(&admin), first);
        assert_eq!(both.sign(&admin), second);
        for token in [first, second] {
            assert_eq!(both.verify(token.as_bytes()), Ok(admin));
        }
    }

    #[test]
    fn rotation_keeps_old_tokens_and_old_keys_refuse_new_ones() {
        let rotation = &vectors()["key_rotation"];
        let keys: Vec<_> =
            rotation["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
        let new = rotation["issued_with_last_key"].as_str().unwrap();
        let both = verifier(&keys.join(" "), JwtAlgorithm::Hs256);
        assert_eq!(both.verify(new.as_bytes()), Ok(customer()));
        assert_eq!(both.sign(&customer()), new);
        assert_eq!(both.verify(hs256().sign(&customer()).as_bytes()), Ok(customer()));
        assert_eq!(
            verifier(keys[0], JwtAlgorithm::Hs256).verify(new.as_bytes()),
            Err(JwtRefusal::SignatureInvalid)
        );
    }

    #[test]
    fn key_written_in_base64_signs_as_written() {
        let written = "base64MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
        let token = verifier(written, JwtAlgorithm::Hs256).sign(&customer());
        assert_eq!(hs256().verify(token.as_bytes()), Err(JwtRefusal::SignatureInvalid));
        let mac = KeyedMac::new(JwtAlgorithm::Hs256, written.as_bytes());
        let (message, signature) = token.rsplit_once('.').unwrap();
        assert!(mac.verifies([message.as_bytes(), b"", b""], &base64url::decode(signature).unwrap()));
    }

    #[test]
    fn header_parameters_without_a_say_are_ignored() {
        for header in [
            HEADER,
            r#"{"alg":"HS256"}"#,
            r#"{"kid":1,"alg":"HS256"}"#,
            r#"{"kid":"../../x","alg":"HS256","jku":"https://x","jwk":{"kty":"oct","k":"AA"}}"#,
            r#"{"typ":"JWT","alg":"HS256","crit":["x"],"x":1}"#,
            r#"{"alg":"HS256","b64":true}"#,
        ] {
            assert_eq!(hs256().verify(compact(header, CLAIMS).as_bytes()), Ok(customer()), "{header}");
        }
    }

    #[test]
    fn padding_of_parts_is_tolerated() {
        let header = r#"{"alg":"HS256" }"#;
        let (padded_header, payload) = (base64url::encode(header) + "==", base64url::encode(CLAIMS));
        let signature = signature(&padded_header, &payload);
        for padding in ["", "="] {
            let token = format!("{padded_header}.{payload}.{signature}{padding}");
            assert_eq!(hs256().verify(token.as_bytes()), Ok(customer()), "{token}");
        }
    }

    #[test]
    fn json_serializations_verify() {
        let payload = base64url::encode(CLAIMS);
        let unprotected_alone = format!(
            r#"{{"payload":"{payload}","header":{HEADER},"signature":"{}"}}"#,
            signature("", &payload)
        );
        for token in [
            flattened(&signed_members(HEADER, "{}")),
            flattened(&signed_members(r#"{"kid":"1"}"#, r#"{"alg":"HS256"}"#)),
            general(&format!("{{{}}}", signed_members(HEADER, r#"{"x":1}"#))),
            unprotected_alone,
        ] {
            assert_eq!(hs256().verify(token.as_bytes()), Ok(customer()), "{token}");
        }
    }

    #[test]
    fn hostile_headers_and_payloads_are_refused_although_signed() {
        let cases = [
            (r#"{"alg":"none"}"#, CLAIMS, JwtRefusal::AlgorithmMismatch),
            (r#"{"alg":"HS512"}"#, CLAIMS, JwtRefusal::AlgorithmMismatch),
            (r#"{"alg":"hs256"}"#, CLAIMS, JwtRefusal::AlgorithmMismatch),
            (r#"{"alg":"RS256"}"#, CLAIMS, JwtRefusal::AlgorithmMismatch),
            (r#"{"alg":["HS256"]}"#, CLAIMS, JwtRefusal::AlgorithmMismatch),
            (r#"{"alg":null}"#, CLAIMS, JwtRefusal::AlgorithmMismatch),
            (r#"{"kid":"1"}"#, CLAIMS, JwtRefusal::AlgorithmMissing),
            ("{}", CLAIMS, JwtRefusal::AlgorithmMissing),
            ("[]", CLAIMS, JwtRefusal::Malformed),
            ("hello", CLAIMS, JwtRefusal::Malformed),
            ("", CLAIMS, JwtRefusal::Malformed),
            (r#"{"alg":"none","alg":"HS256"}"#, CLAIMS, JwtRefusal::DuplicateMember),
            (r#"{"alg":"HS256","cty":"JWT"}"#, CLAIMS, JwtRefusal::ContentType),
            (r#"{"alg":"HS256","cty":null}"#, CLAIMS, JwtRefusal::ContentType),
            (r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#, CLAIMS, JwtRefusal::UnencodedPayload),
            (r#"{"alg":"HS256","b64":1}"#, CLAIMS, JwtRefusal::UnencodedPayload),
            (HEADER, "", JwtRefusal::EmptyPayload),
            (HEADER, "hello", JwtRefusal::NotClaims),
            (HEADER, "[1,2]", JwtRefusal::NotClaims),
            (HEADER, "{}", JwtRefusal::UserType),
            (HEADER, r#"{"uid":1,"uid":2,"utypid":3,"iat":1,"exp":2}"#, JwtRefusal::DuplicateMember),
            (HEADER, r#"{"utypid":3,"iat":1,"exp":2}"#, JwtRefusal::UserId),
            (HEADER, r#"{"uid":"7abc","utypid":3,"iat":1,"exp":2}"#, JwtRefusal::UserId),
            (HEADER, r#"{"uid":1,"utypid":1,"iat":1,"exp":2}"#, JwtRefusal::UserType),
            (HEADER, r#"{"uid":1,"utypid":4,"iat":1,"exp":2}"#, JwtRefusal::UserType),
            (HEADER, r#"{"uid":1,"utypid":3,"iat":1.5,"exp":2}"#, JwtRefusal::IssuedAt),
            (HEADER, r#"{"uid":1,"utypid":3,"iat":1,"exp":2.0}"#, JwtRefusal::ExpiresAt),
            (HEADER, r#"{"uid":1,"utypid":3,"iat":1}"#, JwtRefusal::ExpiresAt),
        ];
        for (header, payload, refusal) in cases {
            assert_eq!(
                hs256().verify(compact(header, payload).as_bytes()),
                Err(refusal),
                "{header} {payload}"
            );
        }
    }

    #[test]
    fn tampered_compact_tokens_are_refused() {
        let good = compact(HEADER, CLAIMS);
        let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
        let admin = base64url::encode(CLAIMS.replace(":3,", ":2,"));
        let hs512 =
            base64url::encode(verifier(KEY, JwtAlgorithm::Hs512).newest.tag(signing_input(header, payload)));
        let cut = &signature[..42];
        let cases = [
            (format!("{header}.{admin}.{signature}"), JwtRefusal::SignatureInvalid),
            (format!("{header}.{payload}.{hs512}"), JwtRefusal::SignatureInvalid),
            (format!("{header}.{payload}."), JwtRefusal::SignatureInvalid),
            (format!("{header}.{payload}.{}", &signature[..40]), JwtRefusal::SignatureInvalid),
            (format!("{header}.{payload}.{cut}"), JwtRefusal::Malformed),
            (format!("{header}.{payload}.{signature}=="), JwtRefusal::Malformed),
            (format!("{header}.{payload}. {signature}"), JwtRefusal::Malformed),
            (format!("{header}..{signature}"), JwtRefusal::EmptyPayload),
            (format!("{header}.{payload}"), JwtRefusal::NotJwt),
            (format!("{good}.x"), JwtRefusal::NotJwt),
            (format!("{good}.x.y"), JwtRefusal::Encrypted),
            (format!("{good}.x.y.z"), JwtRefusal::NotJwt),
            (format!(".{payload}.{signature}"), JwtRefusal::Malformed),
            (String::from(".."), JwtRefusal::Malformed),
            (String::from("...."), JwtRefusal::Encrypted),
            (String::from("a.b.c"), JwtRefusal::Malformed),
            (String::new(), JwtRefusal::NotJwt),
            (String::from("i86q1xzzf2vr9x5x9egnk24hwy9c1gor"), JwtRefusal::NotJwt),
            ("A".repeat(8192), JwtRefusal::NotJwt),
            ("A".repeat(8193), JwtRefusal::TooLong),
        ];
        for (token, refusal) in cases {
            assert_eq!(hs256().verify(token.as_bytes()), Err(refusal), "{token}");
        }
        assert_eq!(hs256().verify(b"a.\xff.c"), Err(JwtRefusal::NotJwt));
    }

    #[test]
    fn hostile_json_serializations_are_refused() {
        let good = signed_members(HEADER, "{}");
        let both_halves = signed_members(HEADER, r#"{"alg":"none"}"#);
        let cases = [
            (flattened(&both_halves), JwtRefusal::DuplicateMember),
            (flattened(&signed_members(HEADER, r#"{"cty":"JWT"}"#)), JwtRefusal::ContentType),
            (flattened(&signed_members(HEADER, r#"{"b64":false}"#)), JwtRefusal::UnencodedPayload),
            (flattened(&signed_members(r#"{"kid":"1"}"#, "{}")), JwtRefusal::AlgorithmMissing),
            (flattened(&signed_members(HEADER, "1")), JwtRefusal::Malformed),
            (flattened(&format!("{good},\"ciphertext\":\"x\"")), JwtRefusal::Encrypted),
            (flattened(&format!("{good},\"payload\":\"x\"")), JwtRefusal::DuplicateMember),
            (flattened(&format!("{good},\"signatures\":[{{{good}}}]")), JwtRefusal::Malformed),
            (flattened("\"x\":1"), JwtRefusal::NotJwt),
            (flattened("\"signature\":1"), JwtRefusal::Malformed),
            (format!("{{{good}}}"), JwtRefusal::EmptyPayload),
            (general(""), JwtRefusal::SignatureCount),
            (general(&format!("{{{good}}},{{{good}}}")), JwtRefusal::SignatureCount),
            (general("1"), JwtRefusal::Malformed),
            (general("{}"), JwtRefusal::AlgorithmMissing),
            (String::from(r#"{"signatures":{}}"#), JwtRefusal::Malformed),
            (String::from("{}"), JwtRefusal::NotJwt),
            (String::from("{"), JwtRefusal::Malformed),
            (String::from("[]"), JwtRefusal::NotJwt),
            (format!("{{\"a\":{}", "[".repeat(8000)), JwtRefusal::Malformed),
        ];
        for (token, refusal) in cases {
            assert_eq!(hs256().verify(token.as_bytes()), Err(refusal), "{token}");
        }
    }

    #[test]
    fn no_changed_bit_and_no_cut_verifies() {
        for algorithm in [JwtAlgorithm::Hs256, JwtAlgorithm::Hs384, JwtAlgorithm::Hs512] {
            let verifier = verifier(KEY, algorithm);
            let good = verifier.sign(&customer()).into_bytes();
            assert_eq!(verifier.verify(&good), Ok(customer()));
            for bit in 0..good.len() * 8 {
                let mut changed = good.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(verifier.verify(&changed).is_err(), "{algorithm:?} bit {bit}");
            }
            for length in 0..good.len() {
                assert!(verifier.verify(&good[..length]).is_err(), "{algorithm:?} length {length}");
            }
        }
    }

    #[test]
    fn keys_that_are_shut_out_sign_nobody_in() {
        let keys = CryptKeys::parse("leaked middle newest").unwrap();
        let tokens =
            ["leaked", "middle", "newest"].map(|key| verifier(key, JwtAlgorithm::Hs256).sign(&customer()));
        for (accepted, expected) in [
            (AcceptedKeys::All, [true, true, true]),
            (AcceptedKeys::Last, [false, false, true]),
            (AcceptedKeys::None, [false, false, false]),
            (AcceptedKeys::At(vec![1]), [true, false, false]),
            (AcceptedKeys::At(vec![3, 2]), [false, true, true]),
            (AcceptedKeys::At(vec![0, 4]), [false, false, false]),
        ] {
            let verifiers = JwtVerifiers::new(&accepted, &keys);
            let verifier = verifiers.of(JwtAlgorithm::Hs256);
            for (token, accepts) in tokens.iter().zip(expected) {
                let verified = verifier.verify(token.as_bytes());
                let expected = if accepts { Ok(customer()) } else { Err(JwtRefusal::SignatureInvalid) };
                assert_eq!(verified, expected, "{accepted:?}");
            }
            let header = verifier.sign(&customer());
            assert!(header.starts_with(&base64url::encode(r#"{"kid":"3","alg":"HS256"}"#)), "{accepted:?}");
        }
    }

    #[test]
    fn one_algorithm_is_pinned_whatever_the_token_names() {
        let verifiers = JwtVerifiers::new(&AcceptedKeys::All, &CryptKeys::parse(KEY).unwrap());
        let all = [JwtAlgorithm::Hs256, JwtAlgorithm::Hs384, JwtAlgorithm::Hs512];
        for pinned in all {
            for named in all {
                let verified = verifiers.of(pinned).verify(verifier(KEY, named).sign(&customer()).as_bytes());
                let expected =
                    if pinned == named { Ok(customer()) } else { Err(JwtRefusal::AlgorithmMismatch) };
                assert_eq!(verified, expected, "{pinned:?} {named:?}");
            }
        }
    }

    fn with_secret(algorithm: JwtAlgorithm, secret: &[u8]) -> JwtVerifier {
        let mac = KeyedMac::from_secret(algorithm, secret);
        JwtVerifier { algorithm, accepted: vec![mac.clone()], newest: mac, newest_place: 1 }
    }

    /// RFC 7515 appendix A.1: a key that is not padded, a header with blanks and a payload that is not ours.
    #[test]
    fn the_standards_own_example_verifies() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let verifier = with_secret(JwtAlgorithm::Hs256, &base64url::decode(key).unwrap());
        let payload = verifier.open(token.as_bytes()).map(|payload| payload.0).unwrap();
        assert!(payload.starts_with(b"{\"iss\":\"joe\""));
        assert_eq!(verifier.verify(token.as_bytes()), Err(JwtRefusal::UserType));
    }

    /// The classes of Wycheproof's `json_web_signature` HMAC cases, made here for each algorithm: parts changed, missing,
    /// added or empty, algorithm `none`, foreign characters and blanks, bits that base64url does not use.
    #[test]
    fn malformed_and_changed_tokens_do_not_verify() {
        for algorithm in [JwtAlgorithm::Hs256, JwtAlgorithm::Hs384, JwtAlgorithm::Hs512] {
            let verifier = with_secret(algorithm, b"a secret of no particular length");
            let seal = |header: &str, payload: &str| {
                let tag = base64url::encode(verifier.newest.tag(signing_input(header, payload)));
                format!("{header}.{payload}.{tag}")
            };
            let header = base64url::encode(format!(r#"{{"alg":"{}","kid":"k"}}"#, algorithm.as_str()));
            let good = seal(&header, "Zm9v");
            let tag = good.rsplit('.').next().unwrap();
            assert!(verifier.open(good.as_bytes()).is_ok_and(|payload| payload.0 == b"foo"));
            let spaced = format!("{{ \"kid\" : \"k\",\n\t\"alg\":\"{}\" }}", algorithm.as_str());
            assert!(
                verifier.open(seal(&base64url::encode(spaced), "Zm9v").as_bytes()).is_ok(),
                "blanks in JSON"
            );
            let other_kid = base64url::encode(format!(r#"{{"alg":"{}","kid":"j"}}"#, algorithm.as_str()));
            let lower =
                base64url::encode(format!(r#"{{"alg":"{}"}}"#, algorithm.as_str().to_ascii_lowercase()));
            let none = base64url::encode(r#"{"alg":"none","kid":"k"}"#);
            let wrong = [
                format!("{header}.Zm9v.X{}", &tag[1..]),
                format!("{header}.Zm9v."),
                format!("{header}.Zm9v"),
                format!("{header}.WG9v.{tag}"),
                format!("{header}..{tag}"),
                format!("{header}.{tag}"),
                format!("{other_kid}.Zm9v.{tag}"),
                format!(".Zm9v.{tag}"),
                format!("Zm9v.{tag}"),
                ".Zm9v.".to_owned(),
                "Zm9v".to_owned(),
                String::new(),
                format!("{good}."),
                format!("{good}.foo"),
                format!("{none}.Zm9v."),
                seal(&none, "Zm9v"),
                seal(&lower, "Zm9v"),
                seal(&base64url::encode(r#"{"kid":"k"}"#), "Zm9v"),
                format!("{header}.Zm9v.   {tag}"),
                format!("{header}.Zm9v.?{tag}"),
                format!("{header}.Zm9v.{tag}?"),
                format!("{header}.Zm9v?.{tag}"),
                seal(&format!("{header}   "), "Zm9v"),
                seal(&format!("{header}####"), "Zm9v"),
                seal(&header, "   Zm9v"),
                seal(&header, "####Zm9v"),
                seal(&header, "?Zm9v"),
                seal(&header, "AB"),
                seal(&header, ""),
            ];
            for token in wrong {
                assert!(verifier.open(token.as_bytes()).is_err(), "{algorithm:?} {token}");
            }
        }
    }

    #[test]
    fn debug_never_shows_a_key() {
        assert_eq!(format!("{:?}", hs256()), "JwtVerifier { algorithm: Hs256, .. }");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(token: Vec<u8>, text in "\\{?[a-zA-Z0-9{}\":,.=_-]{0,200}") {
            prop_assert!(hs256().verify(&token).is_err());
            prop_assert!(hs256().verify(text.as_bytes()).is_err());
        }

        #[test]
        fn any_header_and_payload_are_survived(header: String, payload: String) {
            let _ = hs256().verify(compact(&header, CLAIMS).as_bytes());
            prop_assert!(hs256().verify(compact(HEADER, &payload).as_bytes()).is_err());
        }

        #[test]
        fn changed_json_serialization_never_says_something_else(bit: prop::sample::Index) {
            let mut token = flattened(&signed_members(HEADER, "{}")).into_bytes();
            let bit = bit.index(token.len() * 8);
            token[bit / 8] ^= 1 << (bit % 8);
            let verified = hs256().verify(&token);
            prop_assert!(verified.is_err() || verified == Ok(customer()), "{verified:?}");
        }

        #[test]
        fn what_is_signed_verifies(id in 1..=u32::MAX, admin: bool, issued_at in 1..i64::MAX - 3600) {
            let user_type = if admin { UserType::Admin } else { UserType::Customer };
            let claims = claims(id, user_type, issued_at);
            prop_assert_eq!(hs256().verify(hs256().sign(&claims).as_bytes()), Ok(claims));
        }
    }
}
