//! `portcullis sign`: the Authorization header of a signed request, for curl.

use std::{fs, path::PathBuf};

use clap::Args;
use http::Uri;
use rand::RngExt as _;

use super::{Failure, say};
use crate::{
    auth::oauth1::{Reading, Scheme, SignatureMethod, SignedRequest, Signer, SigningKey},
    clock::Clock,
};

/// What to sign, and as whom.
#[derive(Debug, Args)]
pub(super) struct SignArgs {
    /// The HTTP method
    #[arg(long, short = 'X', default_value = "GET")]
    method: String,
    /// The whole URL, as it will be sent
    url: Uri,
    /// The consumer key
    #[arg(long, env = "PORTCULLIS_CONSUMER_KEY")]
    consumer_key: String,
    /// The consumer secret; a file or the environment keeps it out of the process list
    #[arg(
        long,
        env = "PORTCULLIS_CONSUMER_SECRET",
        hide_env_values = true,
        required_unless_present = "secrets_file"
    )]
    consumer_secret: Option<String>,
    /// The access token
    #[arg(long, env = "PORTCULLIS_TOKEN")]
    token: String,
    /// The access token's secret
    #[arg(
        long,
        env = "PORTCULLIS_TOKEN_SECRET",
        hide_env_values = true,
        required_unless_present = "secrets_file"
    )]
    token_secret: Option<String>,
    /// A file with the consumer secret in its first line and the token secret in its second
    #[arg(long, value_name = "FILE", conflicts_with_all = ["consumer_secret", "token_secret"])]
    secrets_file: Option<PathBuf>,
    /// HMAC-SHA256 or HMAC-SHA1
    #[arg(long, default_value = "HMAC-SHA256")]
    signature_method: String,
    /// A form body, as it will be sent
    #[arg(long, value_name = "BODY")]
    form: Option<String>,
    /// Sign as Magento 2.4.6 reads a request instead of as RFC 5849 does
    #[arg(long)]
    magento: bool,
}

/// Prints `Authorization: OAuth …`.
pub(super) fn sign(args: &SignArgs) -> Result<(), Failure> {
    let method = SignatureMethod::from_name(args.signature_method.as_bytes()).ok_or_else(|| {
        Failure::runtime(format!(
            "signature method {} is not HMAC-SHA256 or HMAC-SHA1",
            args.signature_method
        ))
    })?;
    let (consumer_secret, token_secret) = secrets(args)?;
    let key = SigningKey::new(consumer_secret.as_bytes(), token_secret.as_bytes())
        .ok_or_else(|| Failure::runtime("both secrets are needed, and neither may be empty"))?;
    let signer = Signer {
        consumer_key: &args.consumer_key,
        token: &args.token,
        key: &key,
        method,
        reading: if args.magento { Reading::Magento } else { Reading::Rfc5849 },
    };
    let timestamp = Clock::system().now().seconds().to_string();
    let nonce = hex::encode(rand::rng().random::<[u8; 16]>());
    let header = signer.authorization(&request(args)?, &timestamp, &nonce);
    say(&format!("Authorization: {header}"))
}

fn secrets(args: &SignArgs) -> Result<(String, String), Failure> {
    if let Some(file) = &args.secrets_file {
        let text = fs::read_to_string(file)
            .map_err(|error| Failure::runtime(format!("cannot read {}: {error}", file.display())))?;
        let mut lines = text.lines().map(str::to_owned);
        return Ok((lines.next().unwrap_or_default(), lines.next().unwrap_or_default()));
    }
    Ok((args.consumer_secret.clone().unwrap_or_default(), args.token_secret.clone().unwrap_or_default()))
}

fn request(args: &SignArgs) -> Result<SignedRequest<'_>, Failure> {
    let scheme = match args.url.scheme_str() {
        Some("http") => Scheme::Http,
        Some("https") => Scheme::Https,
        _ => return Err(Failure::runtime("the URL must begin with http:// or https://")),
    };
    let host = args.url.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    Ok(SignedRequest {
        method: &args.method,
        scheme,
        host,
        path: args.url.path(),
        query: args.url.query(),
        form: args.form.as_deref().map(str::as_bytes),
    })
}
