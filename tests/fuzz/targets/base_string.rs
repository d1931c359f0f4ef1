//! The fast base strings against the slow ones, in both readings.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use portcullis::auth::oauth1::{ProtocolParameters, Reading, Scheme, SignedRequest, base_string};
use portcullis_fuzz as slow;

/// The most parameters that a header is read for.
const MAX_PARAMETERS: usize = 64;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    header: &'a str,
    is_post: bool,
    is_https: bool,
    host: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    form: Option<&'a [u8]>,
}

fuzz_target!(|input: Input<'_>| {
    // Neither reaches a verifier: a Host header is visible ASCII, and hyper hands over no path without a slash.
    if !input.host.bytes().all(|byte| byte.is_ascii_graphic()) || !input.path.starts_with('/') {
        return;
    }
    let request = SignedRequest {
        method: if input.is_post { "POST" } else { "GET" },
        scheme: if input.is_https { Scheme::Https } else { Scheme::Http },
        host: input.host,
        path: input.path,
        query: input.query,
        form: input.form,
    };
    // What is longer is cut, and refused by whoever verifies.
    let pairs = input.header.split(',').filter(|pair| pair.contains('=')).count();
    if pairs > MAX_PARAMETERS {
        return;
    }
    let parameters = ProtocolParameters::parse(input.header);
    let fast = base_string(Reading::Magento, &parameters, &request);
    assert_eq!(fast, slow::magento(input.header, &request));
    // The standard knows no repeated parameters: a verifier refuses them in this reading.
    if pairs == parameters.entries().count() {
        let fast = base_string(Reading::Rfc5849, &parameters, &request);
        assert_eq!(fast, slow::rfc5849(input.header, &request));
    }
});
