//! Verifying: the one place where a presented signature is compared with the one that the secrets give.
//!
//! 1. The signature must be canonical base64 in the standard alphabet (Magento compares strings, so any other spelling
//!    of the same bytes is wrong).
//! 2. Each configured reading is tried in order, unless it leaves part of the request unsigned, reads the header in
//!    two ways, or (Magento's) would sign another path than was sent.
//! 3. The computed code is compared in constant time on decoded bytes.
//!
//! Nothing here looks up a secret, judges a timestamp or records a nonce: the caller records the nonce after this.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::block_api::HmacCore;
use hmac::digest::Output;
use hmac::digest::block_api::{Buffer, CoreProxy};
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::base_string::BaseString;
use super::encoding::encode;
use super::params::ProtocolParameters;
use super::presented::{Presented, SignatureMethod};
use super::problem::OauthProblem;
use super::request::{Reading, Readings, SignedRequest};

/// Longer than the longest code (32 bytes), with the slack that the decoder asks for.
const CODE_BUFFER: usize = 48;

/// The secrets of a consumer and its token, keyed into HMAC once: a request costs no key schedule.
///
/// Its state is wiped when dropped, and copies made while signing are too.
#[derive(Clone)]
pub struct SigningKey {
    sha256: HmacCore<Sha256>,
    sha1: HmacCore<Sha1>,
    is_decoy: bool,
}

impl SigningKey {
    /// The key of RFC 5849 §3.4.2, `enc(consumer_secret)&enc(token_secret)`.
    ///
    /// `None` where a secret is empty: that is what an undecryptable one looks like, and the key `&` is known to all.
    #[must_use]
    pub fn new(consumer_secret: &[u8], token_secret: &[u8]) -> Option<Self> {
        let has_both = !consumer_secret.is_empty() && !token_secret.is_empty();
        has_both.then(|| Self::from_secrets(consumer_secret, token_secret))
    }

    /// The key of a consumer that has no token yet (RFC 5849 §3.4.2: the other half is empty); for a request for
    /// temporary credentials and nothing else. `None` where the secret is empty.
    #[must_use]
    pub fn without_token(consumer_secret: &[u8]) -> Option<Self> {
        (!consumer_secret.is_empty()).then(|| Self::from_secrets(consumer_secret, b""))
    }

    /// A key that verifies nothing, at the price of one that does: an unknown consumer takes as long to refuse as a
    /// wrong signature.
    #[must_use]
    pub fn decoy() -> Self {
        Self { is_decoy: true, ..Self::from_secrets(b"no", b"body") }
    }

    /// Without looking whether a secret is empty.
    pub(super) fn from_secrets(consumer_secret: &[u8], token_secret: &[u8]) -> Self {
        // Sized so that it never moves and leaves a copy behind.
        let room = 3 * (consumer_secret.len() + token_secret.len()) + 1;
        let mut key = Zeroizing::new(Vec::with_capacity(room));
        encode(&mut key, consumer_secret);
        key.push(b'&');
        encode(&mut key, token_secret);
        Self::from_key(&key)
    }

    /// Of a key that is joined already.
    pub(super) fn from_key(key: &[u8]) -> Self {
        Self { sha256: keyed(key), sha1: keyed(key), is_decoy: false }
    }

    /// The signature of a base string, in base64.
    pub(super) fn sign(&self, method: SignatureMethod, base_string: &[u8]) -> String {
        match method {
            SignatureMethod::HmacSha256 => STANDARD.encode(code(&self.sha256, base_string)),
            SignatureMethod::HmacSha1 => STANDARD.encode(code(&self.sha1, base_string)),
        }
    }

    fn verifies(&self, method: SignatureMethod, base_string: &[u8], presented: &[u8]) -> Choice {
        let equal = match method {
            SignatureMethod::HmacSha256 => code(&self.sha256, base_string).ct_eq(presented),
            SignatureMethod::HmacSha1 => code(&self.sha1, base_string).ct_eq(presented),
        };
        equal & !Choice::from(u8::from(self.is_decoy))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// The keys that a signature may be made with: the current one and, while a rotation is under way, the one before.
#[derive(Debug, Clone, Copy)]
pub struct VerifyingKeys<'k> {
    current: &'k SigningKey,
    older: Option<&'k SigningKey>,
}

impl<'k> VerifyingKeys<'k> {
    /// Both keys; whether the older one still counts is decided by the caller.
    #[must_use]
    pub const fn new(current: &'k SigningKey, older: Option<&'k SigningKey>) -> Self {
        Self { current, older }
    }

    /// Tries every key, whichever it was: the time of an answer does not tell the old secret from the new one.
    fn verify(&self, method: SignatureMethod, base_string: &[u8], presented: &[u8]) -> bool {
        let by_current = self.current.verifies(method, base_string, presented);
        let by_older = self.older.map(|key| key.verifies(method, base_string, presented));
        by_older.map_or(by_current, |by_older| by_current | by_older).into()
    }
}

impl<'k> From<&'k SigningKey> for VerifyingKeys<'k> {
    fn from(key: &'k SigningKey) -> Self {
        Self::new(key, None)
    }
}

/// Proof that a signature verified; only [`verify`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    reading: Reading,
}

impl Verified {
    /// The reading under which it did.
    #[must_use]
    pub const fn reading(self) -> Reading {
        self.reading
    }
}

/// Verifies the presented signature under the first reading that gives it.
///
/// `magento_path_is_safe` says that [`magento_path`](super::uri::magento_path) has the segments and the route of the
/// path as sent; where it is false, Magento's reading is not tried.
///
/// # Errors
///
/// [`OauthProblem::SignatureInvalid`], whatever the reason.
pub fn verify(
    presented: &Presented<'_>,
    request: &SignedRequest<'_>,
    keys: VerifyingKeys<'_>,
    readings: Readings,
    magento_path_is_safe: bool,
) -> Result<Verified, OauthProblem> {
    let mut buffer = [0; CODE_BUFFER];
    let signature = decode_code(presented.signature(), &mut buffer).ok_or(OauthProblem::SignatureInvalid)?;
    readings
        .iter()
        .filter(|reading| magento_path_is_safe || *reading != Reading::Magento)
        .find(|reading| {
            signed_text(*reading, presented.parameters(), request)
                .is_some_and(|text| keys.verify(presented.method(), text.as_bytes(), signature))
        })
        .map(|reading| Verified { reading })
        .ok_or(OauthProblem::SignatureInvalid)
}

/// The base string, if in this reading it stands for the whole request.
fn signed_text(
    reading: Reading,
    parameters: &ProtocolParameters<'_>,
    request: &SignedRequest<'_>,
) -> Option<BaseString> {
    Some(BaseString::new(reading, parameters, request)).filter(BaseString::covers_request)
}

fn decode_code<'b>(signature: &[u8], buffer: &'b mut [u8; CODE_BUFFER]) -> Option<&'b [u8]> {
    let length = STANDARD.decode_slice(signature, buffer).ok()?;
    buffer.get(..length)
}

fn keyed<D: EagerHash>(key: &[u8]) -> HmacCore<D> {
    HmacCore::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn code<D: EagerHash>(key: &HmacCore<D>, message: &[u8]) -> Output<Hmac<D>> {
    let mut mac = Hmac::<D>::compose(key.clone(), Buffer::<HmacCore<D>>::default());
    mac.update(message);
    mac.finalize().into_bytes()
}
