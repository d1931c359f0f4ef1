//! The hot path of a signed request: read the header, check it, build the base string, verify.
//!
//! Twelve parameters: seven of the protocol, five of a product search; about 700 bytes are signed.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hmac::{Hmac, KeyInit, Mac};
use portcullis::auth::oauth1::{
    ProtocolParameters, Reading, Readings, Scheme, SignatureMethod, SignatureMethods, SignedRequest, Signer,
    SigningKey, base_string, check, verify,
};
use sha2::Sha256;

const QUERY: &str = "searchCriteria%5Bfilter_groups%5D%5B0%5D%5Bfilters%5D%5B0%5D%5Bfield%5D=name\
    &searchCriteria%5Bfilter_groups%5D%5B0%5D%5Bfilters%5D%5B0%5D%5Bvalue%5D=Plain\
    &searchCriteria%5BcurrentPage%5D=1&searchCriteria%5BpageSize%5D=20&fields=items";

const REQUEST: SignedRequest<'_> = SignedRequest {
    method: "GET",
    scheme: Scheme::Https,
    host: "shop.example.com",
    path: "/rest/default/V1/products",
    query: Some(QUERY),
    form: None,
};

fn signed(key: &SigningKey, reading: Reading) -> String {
    let signer = Signer {
        consumer_key: "2lc1qdbsdd28ay4q20rbrtjl9qufi83n",
        token: "rcnp1r0ttgql8dyfay14d83fjc7k5q78",
        key,
        method: SignatureMethod::HmacSha256,
        reading,
    };
    let header = signer.authorization(&REQUEST, "1795248392", "g60jxna96gb5bq2zwc5debnuur533mv8");
    header.strip_prefix("OAuth ").map_or_else(String::new, str::to_owned)
}

fn parse_and_check(bench: &mut Criterion, header: &str) {
    bench.bench_function("parse and check", |bencher| {
        bencher.iter(|| {
            let parameters = ProtocolParameters::parse(black_box(header));
            check(&parameters, SignatureMethods::default()).is_ok()
        });
    });
}

fn base_strings(bench: &mut Criterion, header: &str) {
    let parameters = ProtocolParameters::parse(header);
    for reading in [Reading::Rfc5849, Reading::Magento] {
        bench.bench_function(&format!("base string, {}", reading.as_str()), |bencher| {
            bencher.iter(|| base_string(reading, black_box(&parameters), black_box(&REQUEST)));
        });
    }
}

fn hmac_sha256(bench: &mut Criterion, header: &str) {
    let base = base_string(Reading::Rfc5849, &ProtocolParameters::parse(header), &REQUEST);
    let keyed = Hmac::<Sha256>::new_from_slice(b"secret&secret").expect("HMAC takes keys of any length");
    bench.bench_function(&format!("hmac-sha256 of {} bytes", base.len()), |bencher| {
        bencher.iter(|| keyed.clone().chain_update(black_box(&base)).finalize().into_bytes());
    });
}

fn full_verify(bench: &mut Criterion, key: &SigningKey) {
    for reading in [Reading::Rfc5849, Reading::Magento] {
        let header = signed(key, reading);
        bench.bench_function(&format!("parse, check, verify, {}", reading.as_str()), |bencher| {
            bencher.iter(|| {
                let parameters = ProtocolParameters::parse(black_box(&header));
                check(&parameters, SignatureMethods::default())
                    .and_then(|shown| {
                        verify(&shown, black_box(&REQUEST), key.into(), Readings::only(reading), true)
                    })
                    .is_ok()
            });
        });
    }
}

fn oauth(bench: &mut Criterion) {
    let Some(key) = SigningKey::new(b"rujat3m7nqb7sl263ybba0y7i4wcer0v", b"g88pmtkf7gcreq3c44dn132wmfz1qhqi")
    else {
        return;
    };
    let header = signed(&key, Reading::Rfc5849);
    parse_and_check(bench, &header);
    base_strings(bench, &header);
    hmac_sha256(bench, &header);
    full_verify(bench, &key);
}

criterion_group!(benches, oauth);
criterion_main!(benches);
