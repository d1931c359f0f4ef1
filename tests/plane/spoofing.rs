//! Identity headers from outside: none of them reaches the upstream, in no spelling, on no path.

use crate::{
    callers::{
        ANONYMOUS, FULL, OUTSIDE, PROTECTED, PROTECTED_POST, UNKNOWN, UNMATCHED, chunks, gate, get, post,
        signed,
    },
    support::{
        gate::Gate,
        upstream::Upstream,
        wire::{Client, Message, exchange},
    },
};

/// What every forged header says.
const FORGED: &str = "forged-by-the-client";
const SECRET: &str = "0123456789abcdef-proof";
const PROOF: &str = "upstream.proof";
const PROOF_LINES: &str = "header = \"X-Portcullis-Proof\"\nsecret = \"0123456789abcdef-proof\"";

const NAMES: [&str; 14] = [
    "X-Auth-User-Type",
    "X-Auth-User-Id",
    "X-Auth-Method",
    "X-Auth-Consumer-Id",
    "X-Auth-Integration-Id",
    "X-Auth-Integration-Name",
    "X-Auth-Role-Id",
    "X-Auth-Role-Name",
    "X-Auth-Resource",
    "X-Auth-Acl",
    "X-Auth-Acl-Digest",
    "X-Auth-Credential",
    "X-Auth-Refused",
    "X-Portcullis-Proof",
];

type Spell = fn(&str) -> String;

/// Every way in which a name can be written so that some server reads it as the real one.
const SPELLINGS: [(&str, Spell); 12] = [
    ("exact", str::to_owned),
    ("lower", str::to_ascii_lowercase),
    ("upper", str::to_ascii_uppercase),
    ("underscores", |name| name.replace('-', "_")),
    ("one underscore", |name| name.replacen('-', "_", 1)),
    ("last underscore", |name| name.rsplit_once('-').map(|(start, end)| format!("{start}_{end}")).unwrap()),
    ("dots", |name| name.replace('-', ".")),
    ("squeezed", |name| name.replace('-', "")),
    ("leading", |name| format!("_{name}")),
    ("trailing", |name| format!("{name}_")),
    ("doubled", |name| name.replace('-', "--")),
    ("odd bytes", |name| name.replace('-', "~").to_ascii_uppercase()),
];

/// A caller on a path, and whether it reaches the upstream.
struct Situation {
    name: &'static str,
    target: &'static str,
    headers: Vec<(&'static str, String)>,
    passes_as: Option<&'static str>,
}

fn situations(nonce: &str) -> Vec<Situation> {
    let situation = |name, target, headers: &[(&'static str, &str)], passes_as| Situation {
        name,
        target,
        headers: headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        passes_as,
    };
    let websocket = |authorization| {
        [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Authorization", authorization)]
    };
    let signature = signed(PROTECTED, 1_795_248_000, nonce);
    let bad_signature = signature.replace("oauth_nonce=\"", "oauth_nonce=\"x");
    vec![
        situation("guest, protected", PROTECTED, &[], None),
        situation("guest, anonymous", ANONYMOUS, &[], Some("guest")),
        situation("bad bearer, protected", PROTECTED, &[("Authorization", UNKNOWN)], None),
        situation("bad bearer, anonymous", ANONYMOUS, &[("Authorization", UNKNOWN)], Some("guest")),
        situation("good bearer, protected", PROTECTED, &[("Authorization", FULL)], Some("integration")),
        situation("good bearer, anonymous", ANONYMOUS, &[("Authorization", FULL)], Some("guest")),
        situation("signed", PROTECTED, &[("Authorization", &signature)], Some("integration")),
        situation("badly signed", PROTECTED, &[("Authorization", &bad_signature)], None),
        situation("unmatched path", UNMATCHED, &[("Authorization", FULL)], Some("guest")),
        situation("outside", OUTSIDE, &[("Authorization", FULL)], Some("guest")),
        situation("graphql", "/graphql", &[("Authorization", FULL)], Some("integration")),
        situation("ambiguous path", "/rest/V1/public/../modules", &[("Authorization", FULL)], None),
        situation("websocket", PROTECTED, &websocket(FULL), Some("integration")),
        situation("websocket, bad bearer", PROTECTED, &websocket(UNKNOWN), None),
        situation("websocket, outside", OUTSIDE, &websocket(UNKNOWN), Some("guest")),
    ]
}

fn squeezed(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

/// The upstream read our headers and nobody else's.
fn assert_clean(request: &Message, user_type: &str, context: &str) {
    let head = String::from_utf8_lossy(&request.head);
    assert!(!head.contains(FORGED), "{context}: a forged header passed:\n{head}");
    assert!(request.trailers.is_empty(), "{context}: {:?}", request.trailers);
    assert_eq!(request.all("x-auth-user-type"), [user_type], "{context}");
    assert_eq!(request.all("x-portcullis-proof"), [SECRET], "{context}");
    assert_eq!(request.all("x-auth-user-id").len(), usize::from(user_type != "guest"), "{context}");
    for (name, _) in &request.headers {
        let is_ours = NAMES.iter().any(|ours| name.eq_ignore_ascii_case(ours));
        assert!(is_ours || !squeezed(name).starts_with("xauth"), "{context}: {name} passed");
    }
}

fn strict_gate(upstream: &Upstream) -> Gate {
    gate(upstream).with(PROOF, PROOF_LINES).start()
}

#[test]
fn no_reserved_header_passes_in_any_spelling_in_any_situation() {
    let upstream = Upstream::start();
    let gate = strict_gate(&upstream);
    for (spelling, spell) in SPELLINGS {
        let forged: Vec<String> = NAMES.iter().map(|name| spell(name)).collect();
        for situation in situations(&squeezed(spelling)) {
            let mut headers: Vec<(&str, &str)> =
                situation.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            // Each twice: removing the first must not leave the second.
            headers.extend(forged.iter().chain(&forged).map(|name| (name.as_str(), FORGED)));
            let answer = exchange(gate.proxy, &get(situation.target, &headers));
            let context = format!("{}, {spelling}", situation.name);
            match situation.passes_as {
                Some(user_type) => {
                    assert_eq!(answer.status(), 200, "{context}");
                    assert_clean(&upstream.take_one(), user_type, &context);
                }
                None => {
                    assert!((400..500).contains(&answer.status()), "{context}: {}", answer.status());
                    assert_eq!(upstream.take().len(), 0, "{context}: the upstream saw a refused request");
                }
            }
        }
    }
}

#[test]
fn connection_takes_none_of_our_headers_away() {
    let upstream = Upstream::start();
    let gate = strict_gate(&upstream);
    let nominated = format!("close, {}, Authorization, X-Request-Id, X-Forwarded-For", NAMES.join(", "));
    for (target, user_type) in [(PROTECTED, "integration"), (OUTSIDE, "guest")] {
        let headers = [
            ("Authorization", FULL),
            ("Connection", &nominated),
            ("X-Auth-User-Type", FORGED),
            ("x_auth_user_id", FORGED),
        ];
        assert_eq!(exchange(gate.proxy, &get(target, &headers)).status(), 200);
        let request = upstream.take_one();
        assert_clean(&request, user_type, target);
        assert!(request.header("connection").is_none());
        // The id of the answer and the log would otherwise say nothing to the upstream.
        assert_eq!(request.all("x-request-id").len(), 1);
        assert_eq!(request.all("x-forwarded-for"), ["127.0.0.1"]);
    }
}

#[test]
fn trailers_pass_in_neither_direction() {
    let upstream = Upstream::answering(|_, socket| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Auth-User-Id, X-Note\r\n\r\n";
        let body = chunks(&[b"abc", b"def"], "X-Auth-User-Id: forged-by-the-client\r\nX-Note: 1\r\n");
        std::io::Write::write_all(socket, &[head.as_bytes(), &body].concat()).is_ok()
    });
    let gate = strict_gate(&upstream);
    for (target, headers, user_type) in
        [(PROTECTED_POST, vec![("Authorization", FULL)], "integration"), (OUTSIDE, vec![], "guest")]
    {
        let chunked =
            [("Transfer-Encoding", "chunked"), ("Trailer", "X-Auth-User-Id, X-Note"), ("TE", "trailers")];
        let mut bytes = post(target, &[&headers[..], &chunked].concat(), b"");
        bytes.extend(chunks(&[b"one", b"two"], "X-Auth-User-Id: forged-by-the-client\r\nX-Note: 1\r\n"));
        let answer = exchange(gate.proxy, &bytes);
        assert_eq!((answer.status(), answer.text().as_str()), (200, "abcdef"));
        assert!(answer.trailers.is_empty() && answer.header("trailer").is_none(), "{answer:?}");
        let request = upstream.take_one();
        assert_eq!(request.text(), "onetwo");
        assert!(request.header("trailer").is_none() && request.header("te").is_none());
        assert_clean(&request, user_type, target);
    }
}

#[test]
fn an_answer_carries_no_identity_header_of_the_upstream() {
    let upstream = Upstream::answering(|request, socket| {
        let (_, spell) = SPELLINGS[request.target()[1..].parse::<usize>().unwrap()];
        let mut head = String::from("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Other: stays\r\n");
        for name in NAMES {
            head += &format!("{}: {FORGED}\r\n", spell(name));
        }
        std::io::Write::write_all(socket, format!("{head}\r\nok").as_bytes()).is_ok()
    });
    let gate = strict_gate(&upstream);
    for (number, (spelling, _)) in SPELLINGS.iter().enumerate() {
        let answer = exchange(gate.proxy, &get(&format!("/{number}"), &[]));
        assert_eq!(answer.status(), 200, "{spelling}");
        assert_eq!(answer.header("x-other").as_deref(), Some("stays"));
        assert!(!String::from_utf8_lossy(&answer.head).contains(FORGED), "{spelling}: {answer:?}");
    }
}

#[test]
fn a_prefix_of_ones_own_is_as_safe() {
    let upstream = Upstream::start();
    let gate = gate(&upstream).with("headers", "prefix = \"X-Gate-\"").start();
    for (_, spell) in SPELLINGS {
        let (kind, id) = (spell("X-Gate-User-Type"), spell("X-Gate-User-Id"));
        let forged = [("Authorization", FULL), (&kind, FORGED), (&id, FORGED)];
        assert_eq!(exchange(gate.proxy, &get(PROTECTED, &forged)).status(), 200);
        let request = upstream.take_one();
        assert!(!String::from_utf8_lossy(&request.head).contains(FORGED), "{kind}");
        assert_eq!(request.all("x-gate-user-type"), ["integration"]);
        assert!(request.header("x-auth-user-type").is_none());
    }
    let refused = exchange(gate.proxy, &get(PROTECTED, &[]));
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.header("x-gate-refused").as_deref(), Some("resource_denied"));
    assert_eq!(upstream.take().len(), 0);
}

#[test]
fn a_malformed_header_line_is_refused_or_harmless() {
    let upstream = Upstream::start();
    let gate = strict_gate(&upstream);
    let lines: [&[u8]; 12] = [
        b" X-Auth-User-Id: forged-by-the-client",
        b"\tX-Auth-User-Id: forged-by-the-client",
        b"X-Note: a\r\n X-Auth-User-Id: forged-by-the-client",
        b"X-Auth-User-Id : forged-by-the-client",
        b"X-Auth-User-Id\t: forged-by-the-client",
        b"X-Auth-User-Id\0: forged-by-the-client",
        b"X-Auth-User-Id: \0forged-by-the-client",
        b"X-Note: a\rX-Auth-User-Id: forged-by-the-client",
        b"X-Note: a\nX-Auth-User-Id: forged-by-the-client",
        b"X-Auth-User-Id\xe9: forged-by-the-client",
        b": forged-by-the-client",
        b"X-Auth-User-Id forged-by-the-client",
    ];
    for line in lines {
        for target in [PROTECTED, ANONYMOUS, OUTSIDE] {
            let mut bytes = format!("GET {target} HTTP/1.1\r\nHost: shop.test\r\n").into_bytes();
            bytes.extend(line);
            bytes.extend(b"\r\n\r\n");
            let mut client = Client::connect(gate.proxy);
            client.send(&bytes);
            let status = client.receive().map(|answer| answer.status());
            let context = format!("{:?} on {target}: {status:?}", String::from_utf8_lossy(line));
            for request in upstream.take() {
                assert_eq!(status, Some(200), "{context}");
                assert_clean(&request, "guest", &context);
            }
        }
    }
}
