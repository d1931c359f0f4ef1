//! The vectors V1 to V7 that the PHP classes of Magento 2.4.6 gave for one header and seven URLs.

use super::*;
use crate::auth::oauth1::{Reading, base_string};

const HEADER: &str = r#"OAuth realm="x", oauth_consumer_key="ck", oauth_nonce="n1", oauth_signature_method="HMAC-SHA256", oauth_timestamp="1700000000", oauth_token="tk", oauth_version="1.0", oauth_signature="zzz%3D""#;

const PROTOCOL: &str = "oauth_consumer_key%3Dck%26oauth_nonce%3Dn1%26oauth_signature_method%3DHMAC-SHA256%26\
    oauth_timestamp%3D1700000000%26oauth_token%3Dtk%26oauth_version%3D1.0";

/// Method, scheme, host, path, query; head and tail of the base string around the protocol parameters; signature.
type Vector =
    (&'static str, Scheme, &'static str, &'static str, Option<&'static str>, [&'static str; 2], &'static str);

const VECTORS: [Vector; 7] = [
    (
        "GET",
        Scheme::Https,
        "Shop.Example.com:443",
        "/rest/V1/products",
        Some("searchCriteria[pageSize]=1&b=x+y&c=a%20b&d=%7e&e=1=2&f&g=&g=2&x_oauth_y=1"),
        [
            "GET&https%3A%2F%2Fshop.example.com%2Frest%2FV1%2Fproducts&b%3Dx%252By%26c%3Da%2520b%26d%3D~%26g%3D2%26",
            "%26searchCriteria%255BpageSize%255D%3D1",
        ],
        "Q3ElEV/XQ369xzkU3G3SMp7aBU7kp6I8Y37BTtj1BqY=",
    ),
    (
        "GET",
        Scheme::Http,
        "shop.example.com:8080",
        "/rest/default/V1/products/a%2Fb%20c%7ed/../x",
        Some("searchCriteria%5BfilterGroups%5D%5B10%5D=1&searchCriteria%5BfilterGroups%5D%5B2%5D=2"),
        [
            "GET&http%3A%2F%2Fshop.example.com%3A8080%2Frest%2Fdefault%2FV1%2Fproducts%2Fx&",
            "%26searchCriteria%255BfilterGroups%255D%255B2%255D%3D2%26searchCriteria%255BfilterGroups%255D%255B10%255D%3D1",
        ],
        "pTaii4s//R3BhhPo4s94jl0Y1lbW4DuKq+80LgtYW8w=",
    ),
    (
        "GET",
        Scheme::Https,
        "shop.example.com",
        "/rest/V1/x",
        Some("a=%2B&b=%252B&c=1"),
        ["GET&https%3A%2F%2Fshop.example.com%2Frest%2FV1%2Fx&a%3D%252B%26b%3D%25252B%26c%3D1%26", ""],
        "shwDLi0gHkPFvh0wyoueWcZ2y+WiUD4dt7ZFm2vVtIE=",
    ),
    (
        "GET",
        Scheme::Https,
        "shop.example.com",
        "/rest/V1/x",
        Some("A=1&a=2&A10=1&A2=2&é=1&z=%E9"),
        [
            "GET&https%3A%2F%2Fshop.example.com%2Frest%2FV1%2Fx&%25C3%25A9%3D1%26A%3D1%26A2%3D2%26A10%3D1%26a%3D2%26",
            "%26z%3D%25E9",
        ],
        "iePMBwtjlm/VynQ7P9x1f2Dvz8iV76oJheYt4So2qUs=",
    ),
    (
        "POST",
        Scheme::Https,
        "shop.example.com",
        "/oauth/token/request",
        Some(""),
        ["POST&https%3A%2F%2Fshop.example.com%2Foauth%2Ftoken%2Frequest&", ""],
        "p65sSBSbfwwxzU9+UxBbIVX+It+VxukHID9wzrZNUkw=",
    ),
    (
        "GET",
        Scheme::Https,
        "1.2.3.4",
        "/rest//V1/x/",
        None,
        ["GET&https%3A%2F%2F1.2.3.4%2Frest%2F%2FV1%2Fx%2F&", ""],
        "0O3TEmm1g2QB9cLKPRWtdeyDCrD8ZdViqgo+Cz0hQZs=",
    ),
    (
        "get",
        Scheme::Http,
        "localhost",
        "/rest/V1/products/24-MB01(x)%28y%29%2B%3D%40%3A%2C%3B%21%27%2A",
        None,
        [
            "GET&http%3A%2F%2Flocalhost%2Frest%2FV1%2Fproducts%2F24-MB01%28x%29%2528y%2529%2B%3D%40%3A%2C%3B%2521%2527%252A&",
            "",
        ],
        "HA8ly93yq1K9Jc8e0uATT6HhOG8dtZvnxQ7F28NIrR8=",
    ),
];

#[test]
fn base_strings_and_signatures_are_those_of_the_shipped_classes() {
    let key = SigningKey::new(b"csecret", b"tsecret").unwrap();
    let parameters = ProtocolParameters::parse(credentials(HEADER));
    for (method, scheme, host, path, query, [head, tail], signature) in VECTORS {
        let request = SignedRequest { method, scheme, host, path, query, form: None };
        let base = base_string(Reading::Magento, &parameters, &request);
        assert_eq!(base, format!("{head}{PROTOCOL}{tail}"));
        assert_eq!(key.sign(SignatureMethod::HmacSha256, base.as_bytes()), signature, "{path}");
    }
}
