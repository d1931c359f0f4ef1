//! Requests signed by the library's own signer, for tests of what is behind the signature.

use portcullis::auth::oauth1::{Reading, Scheme, SignatureMethod, SignedRequest, Signer, SigningKey};

/// The consumer of the recordings' integration that may do everything.
pub(crate) const CONSUMER_KEY: &str = "2lc1qdbsdd28ay4q20rbrtjl9qufi83n";
/// Its secret.
pub(crate) const CONSUMER_SECRET: &str = "rujat3m7nqb7sl263ybba0y7i4wcer0v";
/// Its token.
pub(crate) const TOKEN: &str = "rcnp1r0ttgql8dyfay14d83fjc7k5q78";
/// Its token's secret.
pub(crate) const TOKEN_SECRET: &str = "g88pmtkf7gcreq3c44dn132wmfz1qhqi";

/// What an integration signs with.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) token: String,
    pub(crate) token_secret: String,
}

impl Credentials {
    /// Those of the recordings' integration that may do everything.
    pub(crate) fn full() -> Self {
        Self {
            key: CONSUMER_KEY.to_owned(),
            secret: CONSUMER_SECRET.to_owned(),
            token: TOKEN.to_owned(),
            token_secret: TOKEN_SECRET.to_owned(),
        }
    }

    /// The `Authorization` value for a GET of `path` on `shop.test`.
    pub(crate) fn authorization(&self, path: &str, timestamp: i64, nonce: &str) -> String {
        self.signed((Scheme::Http, path), timestamp, nonce)
    }

    /// The same over https.
    pub(crate) fn secure_authorization(&self, path: &str, timestamp: i64, nonce: &str) -> String {
        self.signed((Scheme::Https, path), timestamp, nonce)
    }

    fn signed(&self, (scheme, path): (Scheme, &str), timestamp: i64, nonce: &str) -> String {
        let Self { key, secret, token, token_secret } = self;
        let signing_key = SigningKey::new(secret.as_bytes(), token_secret.as_bytes()).unwrap();
        let signer = Signer {
            consumer_key: key,
            token,
            key: &signing_key,
            method: SignatureMethod::HmacSha256,
            reading: Reading::Rfc5849,
        };
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let request = SignedRequest { method: "GET", scheme, host: "shop.test", path, query, form: None };
        signer.authorization(&request, &timestamp.to_string(), nonce)
    }
}
