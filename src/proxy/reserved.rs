//! The header names that only the gate may set, and every spelling of them.
//!
//! Servers behind a proxy read names loosely: CGI turns `-` into `_`, some fold case, some drop what they do not know. A
//! name is reserved when it reads like the prefix after every odd byte became `-`, or like one of our names after
//! every odd byte was dropped. Such headers are removed from every request, on every path, before anything is set,
//! and from every answer.

use http::{HeaderMap, HeaderName};

/// The header names of one prefix.
#[derive(Debug, Clone)]
pub struct HeaderNames {
    /// `guest`, `customer`, `admin`, `integration`.
    pub user_type: HeaderName,
    /// The caller's id.
    pub user_id: HeaderName,
    /// How the caller proved itself.
    pub method: HeaderName,
    /// The consumer of an integration.
    pub consumer_id: HeaderName,
    /// The integration's id.
    pub integration_id: HeaderName,
    /// The integration's name.
    pub integration_name: HeaderName,
    /// The role's id.
    pub role_id: HeaderName,
    /// The role's name.
    pub role_name: HeaderName,
    /// The resource that the matched route needs.
    pub resource: HeaderName,
    /// What the caller may do.
    pub acl: HeaderName,
    /// The digest of a list that is too long for a header.
    pub acl_digest: HeaderName,
    /// The fingerprint of the credential.
    pub credential: HeaderName,
    /// On refusals: their class.
    pub refused: HeaderName,
}

/// The suffixes, in the order of the fields.
const SUFFIXES: [&str; 13] = [
    "user-type",
    "user-id",
    "method",
    "consumer-id",
    "integration-id",
    "integration-name",
    "role-id",
    "role-name",
    "resource",
    "acl",
    "acl-digest",
    "credential",
    "refused",
];

/// A prefix that cannot start a header name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot start a header name")]
pub struct BadPrefix(String);

impl HeaderNames {
    /// The names that begin with `prefix`, such as `X-Auth-`. They are made for the life of the process: a static name is
    /// copied without touching a counter that all workers share (`benches/README.md`).
    ///
    /// # Errors
    /// When the prefix holds bytes that a header name may not hold.
    pub fn with_prefix(prefix: &str) -> Result<Self, BadPrefix> {
        let name = |suffix: &str| {
            let text = format!("{prefix}{suffix}").to_ascii_lowercase();
            HeaderName::from_bytes(text.as_bytes())
                .map(|_valid| HeaderName::from_static(text.leak()))
                .map_err(|_| BadPrefix(prefix.to_owned()))
        };
        let [
            user_type,
            user_id,
            method,
            consumer_id,
            integration_id,
            integration_name,
            role_id,
            role_name,
            resource,
            acl,
            acl_digest,
            credential,
            refused,
        ] = SUFFIXES;
        Ok(Self {
            user_type: name(user_type)?,
            user_id: name(user_id)?,
            method: name(method)?,
            consumer_id: name(consumer_id)?,
            integration_id: name(integration_id)?,
            integration_name: name(integration_name)?,
            role_id: name(role_id)?,
            role_name: name(role_name)?,
            resource: name(resource)?,
            acl: name(acl)?,
            acl_digest: name(acl_digest)?,
            credential: name(credential)?,
            refused: name(refused)?,
        })
    }
}

/// Every name that begins with `prefix` and has a meaning, in lower case.
#[must_use]
pub fn every_name(prefix: &str) -> Vec<String> {
    SUFFIXES.iter().map(|suffix| format!("{prefix}{suffix}").to_ascii_lowercase()).collect()
}

/// How many letters and digits are compared first.
const BEGINNING: usize = 3;

/// Tells reserved names from others.
#[derive(Debug, Clone)]
pub struct Reserved {
    /// The prefix, folded: lower case, odd bytes as `-`.
    prefix: Vec<u8>,
    /// The names, squeezed: lower case, odd bytes dropped.
    squeezed: Vec<Vec<u8>>,
    /// The first letters and digits that reserved names share: comparing with them rules out nearly all headers, those
    /// with `x-` included.
    beginnings: Vec<Vec<u8>>,
}

impl Reserved {
    /// Reserves everything that begins with `prefix`, and the single name `proof` if there is one.
    #[must_use]
    pub fn new(prefix: &str, proof: Option<&HeaderName>) -> Self {
        let names = SUFFIXES.iter().map(|suffix| format!("{prefix}{suffix}"));
        let proof = proof.map(|name| name.as_str().to_owned());
        // Of the prefix alone: whatever follows it is reserved.
        let beginnings =
            [Some(prefix), proof.as_deref()].into_iter().flatten().map(|name| letters(name).take(BEGINNING));
        Self {
            prefix: prefix.bytes().map(folded).collect(),
            beginnings: beginnings.map(Iterator::collect).collect(),
            squeezed: names.chain(proof.clone()).map(|name| letters(&name).collect()).collect(),
        }
    }

    /// Whether `name` reads like one of ours.
    #[must_use]
    pub fn covers(&self, name: &HeaderName) -> bool {
        let name = name.as_str();
        self.begins_like_one(name) && (self.begins_with_prefix(name) || self.is_squeezed_name(name))
    }

    /// The reserved names among `headers`; empty for an honest request.
    #[must_use]
    pub fn among(&self, headers: &HeaderMap) -> Vec<HeaderName> {
        headers.keys().filter(|name| self.covers(name)).cloned().collect()
    }

    fn begins_like_one(&self, name: &str) -> bool {
        self.beginnings
            .iter()
            .any(|beginning| letters(name).take(beginning.len()).eq(beginning.iter().copied()))
    }

    fn begins_with_prefix(&self, name: &str) -> bool {
        name.len() >= self.prefix.len()
            && name.bytes().zip(&self.prefix).all(|(byte, expected)| folded(byte) == *expected)
    }

    fn is_squeezed_name(&self, name: &str) -> bool {
        self.squeezed.iter().any(|reserved| letters(name).eq(reserved.iter().copied()))
    }
}

/// What is left of a name where odd bytes are dropped.
fn letters(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().filter_map(letter_or_digit)
}

fn letter_or_digit(byte: u8) -> Option<u8> {
    byte.is_ascii_alphanumeric().then(|| byte.to_ascii_lowercase())
}

fn folded(byte: u8) -> u8 {
    letter_or_digit(byte).unwrap_or(b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_reserved_and_innocent_names_are_not() {
        let proof = HeaderName::from_static("x-gate-proof");
        let reserved = Reserved::new("X-Auth-", Some(&proof));
        for name in [
            "x-auth-user-id",
            "X-AUTH-USER-ID",
            "x_auth_user_id",
            "x-auth_user-id",
            "x.auth.user.id",
            "xauthuserid",
            "x-authuser-id",
            "_x-auth-user-id",
            "x-auth-user-id_",
            "x--auth-user-id",
            "x-auth-anything-at-all",
            "x_auth_",
            "x-gate-proof",
            "x_gate_proof",
        ] {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            assert!(reserved.covers(&name), "{name}");
        }
        for name in ["authorization", "x-authorization", "x-auth", "x-forwarded-for", "accept", "x-author-id"]
        {
            let name = HeaderName::from_static(name);
            assert!(!reserved.covers(&name), "{name}");
        }
    }

    #[test]
    fn names_follow_the_prefix() {
        let names = HeaderNames::with_prefix("X-Gate-").unwrap();
        assert_eq!(names.user_type, "x-gate-user-type");
        assert_eq!(names.acl_digest, "x-gate-acl-digest");
        assert!(HeaderNames::with_prefix("X Gate").is_err());
    }

    proptest::proptest! {
        /// Whatever the prefix, looking at the beginning first lets nothing through.
        #[test]
        fn the_first_look_decides_nothing_alone(
            prefix in proptest::sample::select(vec!["X-Auth-", "XY-", "A--", "---"]),
            name in "[XxYyAa_.-]{1,5}[a-z._-]{0,9}",
        ) {
            let reserved = Reserved::new(prefix, Some(&HeaderName::from_static("p-1")));
            let header = HeaderName::from_bytes(name.as_bytes()).unwrap();
            let text = header.as_str();
            let reads_like_ours = reserved.begins_with_prefix(text) || reserved.is_squeezed_name(text);
            proptest::prop_assert_eq!(reserved.covers(&header), reads_like_ours);
        }
    }
}
