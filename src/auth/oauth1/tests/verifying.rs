//! What verifies and what does not: both sides of every rule.

use super::*;
use crate::auth::oauth1::{Reading, Signer, TrialKey, VerifyingKeys};

/// The header of a request signed with [`key`].
fn signed(request: &SignedRequest<'_>, reading: Reading) -> String {
    signed_with(request, reading, SignatureMethod::HmacSha256)
}

fn signed_with(request: &SignedRequest<'_>, reading: Reading, method: SignatureMethod) -> String {
    let signer = Signer { consumer_key: CONSUMER_KEY, token: TOKEN, key: &key(), method, reading };
    signer.authorization(request, "1795248392", "nonce")
}

fn verified(header: &str, request: &SignedRequest<'_>, readings: Readings) -> Option<Reading> {
    verify_header(header, request, &key(), readings).ok().map(Verified::reading)
}

/// Under which readings a correctly signed request verifies: RFC 5849, Magento.
fn readings_of(request: &SignedRequest<'_>) -> (bool, bool) {
    let one =
        |reading| verified(&signed(request, reading), request, Readings::only(reading)) == Some(reading);
    (one(Reading::Rfc5849), one(Reading::Magento))
}

#[test]
fn a_signed_request_verifies_under_both_readings_and_methods() {
    for reading in [Reading::Rfc5849, Reading::Magento] {
        for method in [SignatureMethod::HmacSha256, SignatureMethod::HmacSha1] {
            let header = signed_with(&REQUEST, reading, method);
            assert_eq!(verified(&header, &REQUEST, Readings::only(reading)), Some(reading));
        }
    }
}

#[test]
fn a_query_with_unsigned_parts_verifies_under_rfc_5849_alone() {
    for (query, by_magento) in [
        ("a=1&b=2", true),
        ("a=1&&b=2&", true),
        ("=v", true),
        ("a=", true),
        ("a1=1&a10=1&a2=1", true),
        ("1=a&01=b&001=c", true),
        ("a", false),
        ("a=1=2", false),
        ("a=1&a=2", false),
        ("a=1&%61=2", false),
        ("1=a&01=b&1=c", false),
        ("oauth_nonce=x", false),
        ("xoauth_y=1", false),
        ("%6Fauth_nonce=other", false),
        ("oauth_signature=x", false),
        ("OAUTH_NONCE=x", true),
        ("oauth_=x", true),
    ] {
        let request = SignedRequest { query: Some(query), ..REQUEST };
        assert_eq!(readings_of(&request), (true, by_magento), "{query}");
    }
}

#[test]
fn a_form_that_php_would_change_verifies_under_rfc_5849_alone() {
    for (form, by_magento) in [
        ("a=1&b=2+3", true),
        ("a.b=1", true),
        ("a b=1", true),
        ("+a=1", true),
        ("a[]=1", false),
        ("a[0]=1", false),
        ("a%5B0%5D=1", false),
        ("a=1&a=2", false),
        ("a.b=1&a_b=2", false),
        ("+a=1&a=2", false),
        ("a", false),
        ("a=1=2", false),
        ("=1", false),
        ("+=1", false),
        ("a%00b=1", false),
        ("oauth_nonce=x", false),
        ("oauth.x=1", false),
        ("x.oauth_y=1", false),
        ("q=1", false),
    ] {
        let request = SignedRequest { form: Some(form.as_bytes()), query: Some("q=2"), ..REQUEST };
        assert_eq!(readings_of(&request), (true, by_magento), "{form}");
    }
}

#[test]
fn more_form_parameters_than_php_reads_leave_magentos_reading() {
    let form = |count: usize| (0..count).map(|n| format!("x{n}=1")).collect::<Vec<_>>().join("&");
    for (count, by_magento) in [(1000, true), (1001, false)] {
        let form = form(count);
        let request = SignedRequest { form: Some(form.as_bytes()), ..REQUEST };
        assert_eq!(readings_of(&request), (true, by_magento), "{count}");
    }
}

#[test]
fn adding_or_changing_any_part_breaks_the_signature() {
    let request = SignedRequest { query: Some("a=1&b=2"), form: Some(b"c=3"), ..REQUEST };
    let changed = [
        SignedRequest { method: "POST", ..request },
        SignedRequest { scheme: Scheme::Http, ..request },
        SignedRequest { host: "shop.example.com:444", ..request },
        SignedRequest { path: "/rest/V1/product", ..request },
        SignedRequest { query: None, ..request },
        SignedRequest { query: Some("a=1&b=3"), ..request },
        SignedRequest { query: Some("a=1&b=2&x"), ..request },
        SignedRequest { query: Some("a=1&b=2&x=1=2"), ..request },
        SignedRequest { query: Some("a=1&b=2&oauth_x=1"), ..request },
        SignedRequest { query: Some("a=0&a=1&b=2"), ..request },
        SignedRequest { form: None, ..request },
        SignedRequest { form: Some(b"c=3&c=4"), ..request },
        SignedRequest { form: Some(b"c=3&oauth_x=4"), ..request },
    ];
    for reading in [Reading::Rfc5849, Reading::Magento] {
        let header = signed(&request, reading);
        assert!(verified(&header, &request, Readings::default()).is_some());
        for changed in &changed {
            assert_eq!(verified(&header, changed, Readings::default()), None, "{changed:?}");
        }
    }
}

#[test]
fn a_repeated_protocol_parameter_leaves_rfc_5849() {
    let header = signed(&REQUEST, Reading::Rfc5849);
    let repeated = header.replacen("OAuth ", "OAuth oauth_nonce=\"first\", ", 1);
    assert_eq!(verified(&repeated, &REQUEST, Readings::only(Reading::Rfc5849)), None);
    assert_eq!(verified(&repeated, &REQUEST, Readings::default()), Some(Reading::Magento));
    let disguised = header.replacen("OAuth ", "OAuth %6Fauth_nonce=\"first\", ", 1);
    assert_eq!(verified(&disguised, &REQUEST, Readings::only(Reading::Rfc5849)), None);
}

#[test]
fn the_realm_is_signed_by_nobody_and_other_names_by_rfc_5849() {
    let header = signed(&REQUEST, Reading::Rfc5849);
    let with_realm = header.replacen("OAuth ", "OAuth Realm=\"shop, Inc\", ", 1);
    assert_eq!(verified(&with_realm, &REQUEST, Readings::default()), Some(Reading::Rfc5849));
    let with_extra = header.replacen("OAuth ", "OAuth foo=\"bar\", ", 1);
    assert_eq!(verified(&with_extra, &REQUEST, Readings::only(Reading::Rfc5849)), None);
    assert_eq!(verified(&with_extra, &REQUEST, Readings::default()), Some(Reading::Magento));
}

#[test]
fn an_encoded_slash_is_a_slash_to_magento_and_only_where_that_is_safe() {
    let sent = SignedRequest { path: "/rest/V1/products/a%2Fb", ..REQUEST };
    let meant = SignedRequest { path: "/rest/V1/products/a/b", ..REQUEST };
    let header = signed(&meant, Reading::Magento);
    assert_eq!(verified(&header, &sent, Readings::default()), Some(Reading::Magento));
    let parameters = ProtocolParameters::parse(credentials(&header));
    let presented = check(&parameters, SignatureMethods::default()).unwrap();
    let unsafe_path = verify(&presented, &sent, (&key()).into(), Readings::default(), false);
    assert_eq!(unsafe_path, Err(OauthProblem::SignatureInvalid));
}

#[test]
fn only_the_canonical_base64_of_the_code_verifies() {
    let header = signed(&REQUEST, Reading::Rfc5849);
    let (before, encoded) = header.rsplit_once("oauth_signature=\"").unwrap();
    let signature = encoded.trim_end_matches('"').replace("%2F", "/").replace("%2B", "+").replace("%3D", "=");
    let with = |signature: &str| {
        let header =
            format!("{before}oauth_signature=\"{}\"", signature.replace('+', "%2B").replace(' ', "%20"));
        verified(&header, &REQUEST, Readings::default()).is_some()
    };
    assert!(with(&signature));
    let last = signature.chars().rev().nth(1).unwrap();
    let sibling = char::from(u8::try_from(last).unwrap() + 1);
    for wrong in [
        String::new(),
        "***".to_owned(),
        "-_".to_owned(),
        signature.trim_end_matches('=').to_owned(),
        format!("{signature}="),
        format!("{signature} "),
        format!(" {signature}"),
        signature.replace(last, &sibling.to_string()),
        format!("{}{sibling}=", &signature[..signature.len() - 2]),
        signature.to_lowercase(),
        "A".repeat(44),
        "A".repeat(64),
        "A".repeat(4096),
    ] {
        assert!(!with(&wrong), "{wrong}");
    }
}

#[test]
fn url_safe_base64_is_refused() {
    let nonce_with_both = (0..1000).map(|n: u32| n.to_string()).find_map(|nonce| {
        let signer = Signer {
            consumer_key: CONSUMER_KEY,
            token: TOKEN,
            key: &key(),
            method: SignatureMethod::HmacSha256,
            reading: Reading::Rfc5849,
        };
        let header = signer.authorization(&REQUEST, "1", &nonce);
        (header.contains("%2F") && header.contains("%2B")).then_some(header)
    });
    let header = nonce_with_both.unwrap();
    assert!(verified(&header, &REQUEST, Readings::default()).is_some());
    let url_safe = header.replace("%2F", "_").replace("%2B", "-");
    assert_eq!(verified(&url_safe, &REQUEST, Readings::default()), None);
}

#[test]
fn a_code_of_another_method_is_refused() {
    let header = signed_with(&REQUEST, Reading::Rfc5849, SignatureMethod::HmacSha1);
    let claimed = header.replace("HMAC-SHA1", "HMAC-SHA256");
    assert_eq!(verified(&claimed, &REQUEST, Readings::default()), None);
}

#[test]
fn empty_secrets_make_no_key() {
    assert!(SigningKey::new(b"", b"").is_none());
    assert!(SigningKey::new(b"a", b"").is_none());
    assert!(SigningKey::new(b"", b"b").is_none());
    assert!(SigningKey::new(b"a", b"b").is_some());
}

#[test]
fn a_decoy_refuses_even_what_it_signed_itself() {
    let decoy = SigningKey::decoy();
    let signer = Signer {
        consumer_key: CONSUMER_KEY,
        token: TOKEN,
        key: &decoy,
        method: SignatureMethod::HmacSha256,
        reading: Reading::Rfc5849,
    };
    let header = signer.authorization(&REQUEST, "1", "n");
    let refused = verify_header(&header, &REQUEST, &decoy, Readings::default());
    assert_eq!(refused, Err(OauthProblem::SignatureInvalid));
}

#[test]
fn a_key_says_only_its_name_and_stays_small() {
    assert_eq!(format!("{:?}", key()), "SigningKey");
    // Thousands of them are cached; with whole HMAC states it would be twice that.
    assert!(size_of::<SigningKey>() <= 152, "{}", size_of::<SigningKey>());
}

#[test]
fn secrets_are_encoded_before_they_are_joined() {
    let one = SigningKey::new(b"a&b", b"c").unwrap();
    let other = SigningKey::new(b"a", b"b&c").unwrap();
    let method = SignatureMethod::HmacSha256;
    assert_ne!(one.sign(method, b"x"), other.sign(method, b"x"));
}

#[test]
fn while_a_secret_is_rotated_either_key_verifies() {
    let [old, new, other] =
        [&b"old"[..], b"new", b"other"].map(|secret| SigningKey::new(b"consumer secret", secret).unwrap());
    let accepts = |signing: &SigningKey, keys: VerifyingKeys<'_>| {
        let signer = Signer {
            consumer_key: CONSUMER_KEY,
            token: TOKEN,
            key: signing,
            method: SignatureMethod::HmacSha256,
            reading: Reading::Rfc5849,
        };
        let header = signer.authorization(&REQUEST, "1", "n");
        let parameters = ProtocolParameters::parse(credentials(&header));
        let presented = check(&parameters, SignatureMethods::default()).unwrap();
        verify(&presented, &REQUEST, keys, Readings::default(), true).is_ok()
    };
    for (signing, rotating, rotated) in [(&new, true, true), (&old, true, false), (&other, false, false)] {
        assert_eq!(accepts(signing, VerifyingKeys::new(&new, Some(&old))), rotating);
        assert_eq!(accepts(signing, VerifyingKeys::new(&new, None)), rotated);
    }
}

/// RFC 5849 section 3.4.2: the other half of the key is empty, and the separator stays.
#[test]
fn a_consumer_without_a_token_signs_with_its_secret_alone() {
    let key = SigningKey::without_token(b"consumer secret").unwrap();
    let signer = Signer {
        consumer_key: CONSUMER_KEY,
        token: TOKEN,
        key: &key,
        method: SignatureMethod::HmacSha256,
        reading: Reading::Rfc5849,
    };
    let header = signer.authorization(&REQUEST, "1", "n");
    let base = reference::rfc5849(credentials(&header), &REQUEST);
    let expected = TrialKey::verbatim(b"consumer%20secret&").signature(SignatureMethod::HmacSha256, &base);
    assert!(header.contains(&reference::encode(expected.expose().as_bytes())));
    assert!(verify_header(&header, &REQUEST, &key, Readings::default()).is_ok());
    assert!(verify_header(&header, &REQUEST, &super::key(), Readings::default()).is_err());
    assert!(SigningKey::without_token(b"").is_none(), "the key of nobody is known to all");
}
