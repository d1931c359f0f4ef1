//! The examples that RFC 5849 itself prints.

use super::*;
use crate::auth::oauth1::{Reading, base_string};

/// §3.4.1.1; also §3.4.1.3.1, whose list of parameters it signs.
const REQUEST_OF_3_4_1_1: SignedRequest<'static> = SignedRequest {
    method: "POST",
    scheme: Scheme::Http,
    host: "EXAMPLE.COM:80",
    path: "/request",
    query: Some("b5=%3D%253D&a3=a&c%40=&a2=r%20b"),
    form: Some(b"c2&a3=2+q"),
};

const HEADER_OF_3_4_1_1: &str = r#"OAuth realm="Example",
    oauth_consumer_key="9djdj82h48djs9d2",
    oauth_token="kkk9d7dh3k39sjv7",
    oauth_signature_method="HMAC-SHA1",
    oauth_timestamp="137131201",
    oauth_nonce="7d8f3e4a",
    oauth_signature="bYT5CMsGcbgUdFHObYMEfcx6bsw%3D""#;

/// §1.2: the photographs.
const PHOTOS: SignedRequest<'static> = SignedRequest {
    method: "GET",
    scheme: Scheme::Http,
    host: "photos.example.net",
    path: "/photos",
    query: Some("file=vacation.jpg&size=original"),
    form: None,
};

const HEADER_OF_PHOTOS: &str = r#"OAuth realm="Photos",
    oauth_consumer_key="dpf43f3p2l4k3l03",
    oauth_token="nnch734d00sl2jdk",
    oauth_signature_method="HMAC-SHA1",
    oauth_timestamp="137131202",
    oauth_nonce="chapoH",
    oauth_signature="MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D""#;

#[test]
fn section_3_4_1_1_base_string() {
    let parameters = ProtocolParameters::parse(credentials(HEADER_OF_3_4_1_1));
    assert_eq!(
        base_string(Reading::Rfc5849, &parameters, &REQUEST_OF_3_4_1_1),
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D\
         %26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SH\
         A1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
    );
}

#[test]
fn section_3_4_1_3_2_normalized_parameters() {
    use crate::auth::oauth1::encoding::{Plus, decode};
    let parameters = ProtocolParameters::parse(credentials(HEADER_OF_3_4_1_1));
    let base = base_string(Reading::Rfc5849, &parameters, &REQUEST_OF_3_4_1_1);
    let normalized = base.rsplit('&').next().unwrap();
    assert_eq!(
        decode(normalized.as_bytes(), Plus::Literal),
        b"a2=r%20b&a3=2%20q&a3=a&b5=%3D%253D&c%40=&c2=&oauth_consumer_key=9djdj82h48djs9d2&oauth_nonce=7d8f3e4a\
          &oauth_signature_method=HMAC-SHA1&oauth_timestamp=137131201&oauth_token=kkk9d7dh3k39sjv7"
            .as_slice()
    );
}

#[test]
fn section_1_2_photographs_signature() {
    let parameters = ProtocolParameters::parse(credentials(HEADER_OF_PHOTOS));
    let base = base_string(Reading::Rfc5849, &parameters, &PHOTOS);
    let key = SigningKey::new(b"kd94hf93k423kf44", b"pfkkdhi9sl3r4s00").unwrap();
    assert_eq!(key.sign(SignatureMethod::HmacSha1, base.as_bytes()), "MdpQcU8iPSUjWoN/UDMsK2sui9I=");
}

#[test]
fn section_1_2_token_credentials_signature() {
    let header = r#"OAuth realm="Photos", oauth_consumer_key="dpf43f3p2l4k3l03", oauth_token="hh5s93j4hdidpola",
        oauth_signature_method="HMAC-SHA1", oauth_timestamp="137131201", oauth_nonce="walatlh",
        oauth_verifier="hfdp7dh39dks9884""#;
    let request = SignedRequest {
        method: "POST",
        scheme: Scheme::Https,
        host: "photos.example.net",
        path: "/token",
        query: None,
        form: None,
    };
    let base = base_string(Reading::Rfc5849, &ProtocolParameters::parse(credentials(header)), &request);
    let key = SigningKey::new(b"kd94hf93k423kf44", b"hdhd0244k9j7ao03").unwrap();
    assert_eq!(key.sign(SignatureMethod::HmacSha1, base.as_bytes()), "gKgrFCywp7rO0OXSjdot/IHF7IU=");
}
