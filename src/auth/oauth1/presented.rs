//! The checks that need no store: what a signed request presents, in the order in which Magento complains.
//!
//! Version, required parameters, length of the token, signature method, length of the consumer key: so they come
//! (`MAGENTO_AUTH` section 3.2). What follows (timestamp, consumer, token, signature, nonce) needs a clock or a store
//! and belongs to the caller; an empty consumer key passes here and is an unknown consumer there.

use super::params::{Name, ProtocolParameters};
use super::php_number;
use super::problem::OauthProblem;
use super::timestamp::Timestamp;

/// `OauthHelper::LENGTH_TOKEN` and `LENGTH_CONSUMER_KEY`.
const CREDENTIAL_LENGTH: usize = 32;

/// How a request is signed. RSA-SHA1 and PLAINTEXT are not spoken, and names match exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureMethod {
    /// `HMAC-SHA256`, the only one of Magento 2.4.6.
    HmacSha256,
    /// `HMAC-SHA1` (RFC 5849 §3.4.2), for clients of Magento before 2.4.6.
    HmacSha1,
}

impl SignatureMethod {
    /// The method of this name, byte for byte.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        [Self::HmacSha256, Self::HmacSha1].into_iter().find(|method| method.as_str().as_bytes() == name)
    }

    /// The value of `oauth_signature_method`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "HMAC-SHA256",
            Self::HmacSha1 => "HMAC-SHA1",
        }
    }
}

/// The signature methods that a configuration accepts; HMAC-SHA256 alone by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureMethods {
    hmac_sha256: bool,
    hmac_sha1: bool,
}

impl SignatureMethods {
    /// Whether the method is accepted.
    #[must_use]
    pub const fn contains(self, method: SignatureMethod) -> bool {
        match method {
            SignatureMethod::HmacSha256 => self.hmac_sha256,
            SignatureMethod::HmacSha1 => self.hmac_sha1,
        }
    }
}

impl Default for SignatureMethods {
    fn default() -> Self {
        Self { hmac_sha256: true, hmac_sha1: false }
    }
}

impl FromIterator<SignatureMethod> for SignatureMethods {
    fn from_iter<I: IntoIterator<Item = SignatureMethod>>(methods: I) -> Self {
        methods.into_iter().fold(Self { hmac_sha256: false, hmac_sha1: false }, |set, method| match method {
            SignatureMethod::HmacSha256 => Self { hmac_sha256: true, ..set },
            SignatureMethod::HmacSha1 => Self { hmac_sha1: true, ..set },
        })
    }
}

/// What a signed request asks for, which decides what it must carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A call of the API (`Oauth::validateAccessTokenRequest`).
    ApiCall,
    /// Temporary credentials (RFC 5849 §2.1, `/oauth/token/request`): there is no token yet.
    RequestToken,
    /// Token credentials (RFC 5849 §2.3, `/oauth/token/access`): the verifier comes along.
    AccessToken,
}

impl Operation {
    /// The names that must be there, in Magento's order.
    const fn required(self) -> &'static [Name] {
        match self {
            Self::ApiCall => &Name::REQUIRED,
            Self::RequestToken => {
                &[Name::ConsumerKey, Name::Signature, Name::SignatureMethod, Name::Nonce, Name::Timestamp]
            }
            Self::AccessToken => &[
                Name::ConsumerKey,
                Name::Signature,
                Name::SignatureMethod,
                Name::Nonce,
                Name::Timestamp,
                Name::Token,
                Name::Verifier,
            ],
        }
    }
}

/// Everything that a signature needs is there and has its form; only [`check_for`] builds it. Nothing is proven yet.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'p> {
    parameters: &'p ProtocolParameters<'p>,
    consumer_key: &'p [u8],
    token: &'p [u8],
    verifier: &'p [u8],
    nonce: &'p [u8],
    timestamp: &'p [u8],
    signature: &'p [u8],
    method: SignatureMethod,
}

impl<'p> Presented<'p> {
    /// `oauth_consumer_key`: 32 bytes, or none at all.
    #[must_use]
    pub const fn consumer_key(&self) -> &'p [u8] {
        self.consumer_key
    }

    /// `oauth_token`: 32 bytes; none where a request for temporary credentials left it out.
    #[must_use]
    pub const fn token(&self) -> &'p [u8] {
        self.token
    }

    /// `oauth_verifier` as sent, of any length; it matters to a request for token credentials alone.
    #[must_use]
    pub const fn verifier(&self) -> &'p [u8] {
        self.verifier
    }

    /// `oauth_nonce`: any bytes, none included; its identity is byte-exact (Magento's is a case-blind collation).
    #[must_use]
    pub const fn nonce(&self) -> &'p [u8] {
        self.nonce
    }

    /// `oauth_timestamp` as sent.
    #[must_use]
    pub const fn timestamp_text(&self) -> &'p [u8] {
        self.timestamp
    }

    /// `oauth_timestamp` as Magento understands it.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        Timestamp::parse(self.timestamp)
    }

    /// `oauth_signature_method`.
    #[must_use]
    pub const fn method(&self) -> SignatureMethod {
        self.method
    }

    /// `oauth_signature` as sent; whoever has it can repeat this request until its nonce is used.
    #[must_use]
    pub const fn signature(&self) -> &'p [u8] {
        self.signature
    }

    /// Everything that stands in the header.
    #[must_use]
    pub const fn parameters(&self) -> &'p ProtocolParameters<'p> {
        self.parameters
    }
}

/// Checks what can be checked of a call of the API without a store, in Magento's order.
///
/// # Errors
///
/// As [`check_for`].
pub fn check<'p>(
    parameters: &'p ProtocolParameters<'p>,
    accepted: SignatureMethods,
) -> Result<Presented<'p>, OauthProblem> {
    check_for(Operation::ApiCall, parameters, accepted)
}

/// Checks what can be checked without a store, in Magento's order.
///
/// # Errors
///
/// The first problem that Magento would report; [`OauthProblem::SignatureInvalid`] for a header with more parameters
/// than are read.
pub fn check_for<'p>(
    operation: Operation,
    parameters: &'p ProtocolParameters<'p>,
    accepted: SignatureMethods,
) -> Result<Presented<'p>, OauthProblem> {
    if parameters.overflows() {
        return Err(OauthProblem::SignatureInvalid);
    }
    check_version(parameters)?;
    require_all(parameters, operation.required())?;
    let value = |name| parameters.value_of(name).unwrap_or_default();
    // Where the token is optional, one that is sent must still have its length.
    if parameters.value_of(Name::Token).is_some_and(|token| token.len() != CREDENTIAL_LENGTH) {
        return Err(OauthProblem::TokenLength);
    }
    let method = value(Name::SignatureMethod);
    let method = SignatureMethod::from_name(method)
        .filter(|known| accepted.contains(*known))
        .ok_or_else(|| OauthProblem::SignatureMethodRejected(text_of(method)))?;
    let consumer_key = value(Name::ConsumerKey);
    if !consumer_key.is_empty() && consumer_key.len() != CREDENTIAL_LENGTH {
        return Err(OauthProblem::ConsumerKeyLength);
    }
    Ok(Presented {
        parameters,
        consumer_key,
        token: value(Name::Token),
        verifier: value(Name::Verifier),
        nonce: value(Name::Nonce),
        timestamp: value(Name::Timestamp),
        signature: value(Name::Signature),
        method,
    })
}

/// An absent version passes; any other is compared with `1.0` as PHP's `==` does.
fn check_version(parameters: &ProtocolParameters<'_>) -> Result<(), OauthProblem> {
    match parameters.value_of(Name::Version) {
        Some(version) if !php_number::equals_one(version) => {
            Err(OauthProblem::VersionRejected(text_of(version)))
        }
        _ => Ok(()),
    }
}

/// Empty values count as present.
fn require_all(parameters: &ProtocolParameters<'_>, required: &[Name]) -> Result<(), OauthProblem> {
    let is_missing = |name: &&Name| parameters.value_of(**name).is_none();
    let missing: Vec<_> = required.iter().filter(is_missing).map(|name| name.as_str()).collect();
    if missing.is_empty() { Ok(()) } else { Err(OauthProblem::ParametersMissing(missing)) }
}

fn text_of(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "2lc1qdbsdd28ay4q20rbrtjl9qufi83n";
    const TOKEN: &str = "rcnp1r0ttgql8dyfay14d83fjc7k5q78";

    /// A header with the given parameters replaced (`Some`) or left out (`None`).
    fn header(changes: &[(&str, Option<&str>)]) -> String {
        [
            ("oauth_consumer_key", KEY),
            ("oauth_nonce", "n"),
            ("oauth_signature_method", "HMAC-SHA256"),
            ("oauth_timestamp", "1"),
            ("oauth_token", TOKEN),
            ("oauth_version", "1.0"),
            ("oauth_signature", "c2ln"),
        ]
        .into_iter()
        .filter_map(|(name, value)| {
            let changed = changes.iter().find(|(changed, _)| *changed == name);
            changed.map_or(Some(value), |(_, value)| *value).map(|value| format!("{name}=\"{value}\""))
        })
        .collect::<Vec<_>>()
        .join(", ")
    }

    fn problem(changes: &[(&str, Option<&str>)]) -> Option<OauthProblem> {
        problem_of(&header(changes))
    }

    fn problem_of(credentials: &str) -> Option<OauthProblem> {
        check(&ProtocolParameters::parse(credentials), SignatureMethods::default()).err()
    }

    #[test]
    fn a_complete_header_shows_what_it_presents() {
        let header = header(&[("oauth_timestamp", Some("12x")), ("oauth_nonce", Some("%C3%BC"))]);
        let parameters = ProtocolParameters::parse(&header);
        let presented = check(&parameters, SignatureMethods::default()).unwrap();
        assert_eq!(presented.consumer_key(), KEY.as_bytes());
        assert_eq!(presented.token(), TOKEN.as_bytes());
        assert_eq!(presented.nonce(), "ü".as_bytes());
        assert_eq!(presented.timestamp_text(), b"12x");
        assert_eq!(presented.timestamp().time().seconds(), 12);
        assert_eq!(presented.method(), SignatureMethod::HmacSha256);
        assert_eq!(presented.signature(), b"c2ln");
        assert_eq!(presented.verifier(), b"");
        assert_eq!(presented.parameters().entries().count(), 7);
    }

    #[test]
    fn a_version_counts_as_php_compares_it() {
        for version in [None, Some("1.0"), Some("1"), Some("1.00"), Some("01.0"), Some("1e0"), Some("%201.0")]
        {
            assert_eq!(problem(&[("oauth_version", version)]), None, "{version:?}");
        }
        for version in ["1.0a", "", "2.0"] {
            let expected = Some(OauthProblem::VersionRejected(version.to_owned()));
            assert_eq!(problem(&[("oauth_version", Some(version))]), expected, "{version}");
        }
    }

    #[test]
    fn missing_parameters_are_reported_together_in_magentos_order() {
        let missing = |names: &[&'static str]| Some(OauthProblem::ParametersMissing(names.to_vec()));
        assert_eq!(
            problem(&[("oauth_token", None), ("oauth_nonce", None)]),
            missing(&["oauth_nonce", "oauth_token"])
        );
        let all: Vec<_> = Name::REQUIRED.iter().map(|name| name.as_str()).collect();
        assert_eq!(problem_of(""), missing(&all));
        assert_eq!(problem_of(&header(&[]).replace('=', " = ")), missing(&all));
        assert_eq!(problem_of(&header(&[]).replace(',', ";")), missing(&all[1..]));
        for name in all {
            assert_eq!(problem(&[(name, None)]), missing(&[name]));
        }
    }

    #[test]
    fn each_step_of_the_handshake_has_its_own_needs() {
        let problem = |operation, changes: &[(&str, Option<&str>)], more: &str| {
            let header = header(changes) + more;
            let parameters = ProtocolParameters::parse(&header);
            check_for(operation, &parameters, SignatureMethods::default()).err()
        };
        let missing = |names: &[&'static str]| Some(OauthProblem::ParametersMissing(names.to_vec()));
        let (request, access) = (Operation::RequestToken, Operation::AccessToken);
        assert_eq!(problem(request, &[("oauth_token", None)], ""), None);
        assert_eq!(problem(request, &[("oauth_token", Some("short"))], ""), Some(OauthProblem::TokenLength));
        assert_eq!(problem(request, &[("oauth_token", Some(""))], ""), Some(OauthProblem::TokenLength));
        assert_eq!(problem(access, &[], ", oauth_verifier=\"\""), None);
        let verified = header(&[]) + ", oauth_verifier=\"v%2B\"";
        let verified = ProtocolParameters::parse(&verified);
        let presented = check_for(access, &verified, SignatureMethods::default()).unwrap();
        assert_eq!(presented.verifier(), b"v+");
        assert_eq!(problem(access, &[], ""), missing(&["oauth_verifier"]));
        assert_eq!(
            problem(access, &[("oauth_token", None)], ""),
            missing(&["oauth_token", "oauth_verifier"])
        );
    }

    #[test]
    fn each_check_comes_before_the_next() {
        let bad: [(&str, Option<&str>); 5] = [
            ("oauth_version", Some("2.0")),
            ("oauth_nonce", None),
            ("oauth_token", Some("short")),
            ("oauth_signature_method", Some("PLAINTEXT")),
            ("oauth_consumer_key", Some("short")),
        ];
        let expected = [
            Some(OauthProblem::VersionRejected("2.0".to_owned())),
            Some(OauthProblem::ParametersMissing(vec!["oauth_nonce"])),
            Some(OauthProblem::TokenLength),
            Some(OauthProblem::SignatureMethodRejected("PLAINTEXT".to_owned())),
            Some(OauthProblem::ConsumerKeyLength),
            None,
        ];
        for (from, expected) in expected.into_iter().enumerate() {
            assert_eq!(problem(&bad[from..]), expected);
        }
    }

    #[test]
    fn empty_values_pass_except_for_token_and_method() {
        for name in ["oauth_consumer_key", "oauth_nonce", "oauth_timestamp", "oauth_signature"] {
            assert_eq!(problem(&[(name, Some(""))]), None, "{name}");
        }
        assert_eq!(problem(&[("oauth_token", Some(""))]), Some(OauthProblem::TokenLength));
        assert_eq!(
            problem(&[("oauth_signature_method", Some(""))]),
            Some(OauthProblem::SignatureMethodRejected(String::new()))
        );
    }

    #[test]
    fn only_accepted_methods_by_their_exact_name() {
        for name in ["HMAC-SHA1", "HMAC-SHA512", "PLAINTEXT", "RSA-SHA1", "hmac-sha256"] {
            let rejected = Some(OauthProblem::SignatureMethodRejected(name.to_owned()));
            assert_eq!(problem(&[("oauth_signature_method", Some(name))]), rejected);
        }
        let sha1 = header(&[("oauth_signature_method", Some("HMAC-SHA1"))]);
        let accepted = [SignatureMethod::HmacSha1].into_iter().collect();
        assert!(check(&ProtocolParameters::parse(&sha1), accepted).is_ok());
        assert!(check(&ProtocolParameters::parse(&header(&[])), accepted).is_err());
    }

    #[test]
    fn a_flood_of_parameters_is_an_invalid_signature() {
        let flood = (0..65).map(|n| format!("x{n}=1")).collect::<Vec<_>>().join(",");
        assert_eq!(problem_of(&format!("{},{flood}", header(&[]))), Some(OauthProblem::SignatureInvalid));
    }
}
