//! What RFC 9113 and RFC 7541 forbid, frame by frame: the stream or the connection ends, the upstream hears nothing of it, and
//! the next client is served.

use std::time::Duration;

use crate::{
    certificates::{OUTSIDE, PROTECTED, gate},
    frames::{
        ACK, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM,
        FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY, HEADERS, Outcome, PADDED, PING, PREFACE, PRIORITY,
        PROTOCOL_ERROR, PUSH_PROMISE, RST_STREAM, Raw, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, WITH_PRIORITY,
        block, frame, get, pseudo, setting,
    },
    support::{gate::Gate, upstream::Upstream},
};

/// The codec says `PROTOCOL_ERROR` also where the standard has a word of its own.
const CODING: &[u32] = &[COMPRESSION_ERROR, PROTOCOL_ERROR];
const SIZE: &[u32] = &[FRAME_SIZE_ERROR, PROTOCOL_ERROR];

fn h2c(upstream: &Upstream) -> Gate {
    gate(upstream).with("listen", "h2c = true\nheader_timeout = \"2s\"").start()
}

/// A request with these fields behind the usual ones.
fn with(fields: &[(&str, &str)]) -> Vec<u8> {
    let fields = [&pseudo("GET", OUTSIDE)[..], fields].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&fields))
}

/// A request of exactly these fields.
fn only(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields))
}

/// A POST whose body is still to come.
fn post(fields: &[(&str, &str)]) -> Vec<u8> {
    let fields = [&pseudo("POST", OUTSIDE)[..], fields].concat();
    frame(HEADERS, END_HEADERS, 1, &block(&fields))
}

/// A request whose block is these bytes.
fn coded(bytes: &[u8]) -> Vec<u8> {
    let block = [&block(&pseudo("GET", OUTSIDE))[..], bytes].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)
}

/// Sends each; the outcome must be an error of these codes, of the stream or of the connection, or a bare close; the
/// upstream sees no whole request.
fn are_refused(cases: Vec<(&str, Vec<u8>, &[u32])>) {
    let upstream = Upstream::start();
    let gate = h2c(&upstream);
    let mut wrong = Vec::new();
    for (what, bytes, codes) in cases {
        let mut raw = Raw::open(gate.proxy);
        raw.send(&bytes);
        let outcome = raw.outcome();
        let is_refused = match outcome {
            Outcome::GoAway(code) | Outcome::Reset(code) => codes.contains(&code),
            Outcome::Answered(status) => status == 400 && codes.is_empty(),
            Outcome::Closed | Outcome::Silent => false,
        };
        if !is_refused {
            wrong.push(format!("{what}: {outcome:?}"));
        }
        if !upstream.take().is_empty() {
            wrong.push(format!("{what}: passed"));
        }
        let mut next = Raw::open(gate.proxy);
        next.send(&get(1, OUTSIDE));
        assert_eq!(next.outcome(), Outcome::Answered(200), "after {what}");
        assert_eq!(upstream.take_one().target(), OUTSIDE);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_connection_begins_with_the_preface_and_settings() {
    let upstream = Upstream::start();
    let gate = h2c(&upstream);
    for (what, bytes) in [
        ("no settings", [PREFACE, &get(1, OUTSIDE)].concat()),
        ("settings on a stream", [PREFACE, &frame(SETTINGS, 0, 1, &[])].concat()),
        ("a torn preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\r\r\r".to_vec()),
        ("another version", b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("half a preface", PREFACE[..20].to_vec()),
        ("an acknowledgement first", [PREFACE, &frame(PING, 0, 0, &[0; 8])].concat()),
    ] {
        let mut raw = Raw::connect(gate.proxy);
        raw.send(&bytes);
        raw.finish();
        // What is no HTTP/2 is answered as HTTP/1.1, in words that are no frames.
        let outcome = raw.outcome();
        assert!(!matches!(outcome, Outcome::Answered(_)), "{what}: {outcome:?}");
        assert_ne!(outcome, Outcome::Silent, "{what}");
        assert!(upstream.take().is_empty(), "{what}");
    }
    let mut silent = Raw::connect(gate.proxy);
    silent.send(PREFACE);
    assert_ne!(silent.outcome(), Outcome::Silent, "settings that never come are not waited for");
}

#[test]
fn frames_have_their_size() {
    are_refused(vec![
        ("a frame too large", frame(DATA, 0, 1, &vec![0; 16 * 1024 + 1]), SIZE),
        ("settings of five bytes", frame(SETTINGS, 0, 0, &[0; 5]), SIZE),
        ("an acknowledgement with settings", frame(SETTINGS, ACK, 0, &setting(3, 1)), SIZE),
        ("a ping of seven bytes", frame(PING, 0, 0, &[0; 7]), SIZE),
        ("a reset of three bytes", [post(&[]), frame(RST_STREAM, 0, 1, &[0; 3])].concat(), SIZE),
        ("a window update of three bytes", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), SIZE),
        ("a priority of four bytes", [post(&[]), frame(PRIORITY, 0, 1, &[0; 4])].concat(), SIZE),
        (
            "padding longer than the frame",
            [post(&[]), frame(DATA, PADDED | END_STREAM, 1, &[9, 1, 2])].concat(),
            &[PROTOCOL_ERROR],
        ),
        ("a goaway of seven bytes", frame(GOAWAY, 0, 0, &[0; 7]), SIZE),
    ]);
}

#[test]
fn settings_have_their_values() {
    are_refused(vec![
        ("push neither on nor off", frame(SETTINGS, 0, 0, &setting(2, 2)), &[PROTOCOL_ERROR]),
        (
            "a window too large",
            frame(SETTINGS, 0, 0, &setting(4, 1 << 31)),
            &[FLOW_CONTROL_ERROR, PROTOCOL_ERROR],
        ),
        ("frames too small", frame(SETTINGS, 0, 0, &setting(5, 16_383)), &[PROTOCOL_ERROR]),
        ("frames too large", frame(SETTINGS, 0, 0, &setting(5, 1 << 24)), &[PROTOCOL_ERROR]),
        ("settings on a stream", frame(SETTINGS, 0, 1, &[]), &[PROTOCOL_ERROR]),
    ]);
}

#[test]
fn header_blocks_are_coded_as_they_must_be() {
    are_refused(vec![
        ("index zero", coded(&[0x80]), CODING),
        ("an index beyond the tables", coded(&[0xff, 0x20]), CODING),
        ("an endless number", coded(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), CODING),
        ("a table larger than agreed", frame(HEADERS, 5, 1, &[0x3f, 0xe2, 0x1f]), CODING),
        ("a new size in the middle", coded(&[0x20]), CODING),
        ("a text that ends early", coded(&[0, 5, b'x']), CODING),
        ("padding that is no padding", coded(&[0, 1, b'x', 0x81, 0b0001_1000]), CODING),
        ("padding longer than a byte", coded(&[0, 1, b'x', 0x82, 0xff, 0xff]), CODING),
        ("the end of text inside it", coded(&[0, 1, b'x', 0x84, 0xff, 0xff, 0xff, 0xff]), CODING),
    ]);
}

#[test]
fn streams_go_from_one_state_to_the_next() {
    let idle_data = frame(DATA, END_STREAM, 1, b"x");
    let done = get(1, "/media/a/../b");
    are_refused(vec![
        ("data before a head", idle_data, &[PROTOCOL_ERROR]),
        ("a reset of an idle stream", frame(RST_STREAM, 0, 1, &[0; 4]), &[PROTOCOL_ERROR]),
        ("room on an idle stream", frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]), &[PROTOCOL_ERROR]),
        ("an even number", get(2, OUTSIDE), &[PROTOCOL_ERROR]),
        ("number zero", get(0, OUTSIDE), &[PROTOCOL_ERROR]),
        ("data on the connection", frame(DATA, 0, 0, b"x"), &[PROTOCOL_ERROR]),
        ("a reset of the connection", frame(RST_STREAM, 0, 0, &[0; 4]), &[PROTOCOL_ERROR]),
        ("a ping on a stream", frame(PING, 0, 1, &[0; 8]), &[PROTOCOL_ERROR]),
        ("a goaway on a stream", frame(GOAWAY, 0, 1, &[0; 8]), &[PROTOCOL_ERROR]),
        ("a promise by a client", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]), &[PROTOCOL_ERROR]),
        (
            "a second head that does not end the stream",
            [post(&[]), frame(HEADERS, END_HEADERS, 1, &block(&[("x-second", "1")]))].concat(),
            &[PROTOCOL_ERROR],
        ),
        (
            "no answer before the number falls",
            [get(5, "/a/../b"), get(3, OUTSIDE)].concat(),
            &[PROTOCOL_ERROR],
        ),
        (
            "data behind the end",
            [done, frame(DATA, 0, 1, b"more")].concat(),
            &[STREAM_CLOSED, PROTOCOL_ERROR],
        ),
    ]);
}

#[test]
fn trailers_go_no_further_whatever_they_say() {
    let upstream = Upstream::start();
    let gate = h2c(&upstream);
    // The codec forgets pseudo-fields there; nobody may read them as another target.
    for fields in
        [&[(":path", "/evil"), (":method", "DELETE")][..], &[("x-auth-user-id", "1"), ("x-late", "1")]]
    {
        let mut raw = Raw::open(gate.proxy);
        raw.send(&[post(&[]), frame(DATA, 0, 1, b"body")].concat());
        raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields)));
        assert_eq!(raw.outcome(), Outcome::Answered(200));
        let seen = upstream.take_one();
        assert_eq!((seen.method(), seen.target(), seen.text().as_str()), ("POST", OUTSIDE, "body"));
        assert!(seen.trailers.is_empty() && seen.header("x-auth-user-id").is_none());
        assert!(seen.header("x-late").is_none() && seen.header("trailer").is_none());
    }
}

#[test]
fn windows_grow_by_something_and_not_beyond_their_bound() {
    are_refused(vec![
        ("by nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), &[PROTOCOL_ERROR]),
        (
            "by nothing on a stream",
            [post(&[]), frame(WINDOW_UPDATE, 0, 1, &[0; 4])].concat(),
            &[PROTOCOL_ERROR],
        ),
        ("too far", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), &[FLOW_CONTROL_ERROR]),
        (
            "too far on a stream",
            [post(&[]), frame(WINDOW_UPDATE, 0, 1, &[0x7f, 0xff, 0xff, 0xff])].concat(),
            &[FLOW_CONTROL_ERROR],
        ),
        (
            "too far by settings",
            [
                post(&[]),
                frame(WINDOW_UPDATE, 0, 1, &[0x7f, 0xfe, 0, 0]),
                frame(SETTINGS, 0, 0, &setting(4, 0x7fff_ffff)),
            ]
            .concat(),
            &[FLOW_CONTROL_ERROR],
        ),
    ]);
}

#[test]
fn a_stream_does_not_depend_on_itself() {
    let head = [&[0, 0, 0, 1, 16][..], &block(&pseudo("GET", OUTSIDE))].concat();
    are_refused(vec![
        (
            "by its head",
            frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, &head),
            &[PROTOCOL_ERROR],
        ),
        ("by a frame", frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 16]), &[PROTOCOL_ERROR]),
        ("on the connection", frame(PRIORITY, 0, 0, &[0, 0, 0, 1, 16]), &[PROTOCOL_ERROR]),
    ]);
}

#[test]
fn a_head_in_pieces_is_not_interrupted() {
    let block = block(&pseudo("GET", OUTSIDE));
    let (first, rest) = block.split_at(10);
    let begin = frame(HEADERS, END_STREAM, 1, first);
    let end = |stream| frame(CONTINUATION, END_HEADERS, stream, rest);
    are_refused(vec![
        ("by a ping", [begin.clone(), frame(PING, 0, 0, &[0; 8]), end(1)].concat(), &[PROTOCOL_ERROR]),
        ("by another stream", [begin.clone(), get(3, OUTSIDE), end(1)].concat(), &[PROTOCOL_ERROR]),
        ("by another number", [begin.clone(), end(3)].concat(), &[PROTOCOL_ERROR]),
        ("by data", [begin, frame(DATA, 0, 1, b"x"), end(1)].concat(), &[PROTOCOL_ERROR]),
        ("before it began", end(1), &[PROTOCOL_ERROR]),
    ]);
    let upstream = Upstream::start();
    let gate = h2c(&upstream);
    let mut raw = Raw::open(gate.proxy);
    raw.send(&[frame(HEADERS, END_STREAM, 1, first), end(1)].concat());
    assert_eq!(raw.outcome(), Outcome::Answered(200), "in pieces it is a request");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn fields_are_what_one_http_1_1_head_can_say() {
    let without = |name: &str| {
        only(&pseudo("GET", OUTSIDE).into_iter().filter(|(is, _)| *is != name).collect::<Vec<_>>())
    };
    let scheme = |scheme: &'static str| {
        only(&[(":method", "GET"), (":scheme", scheme), (":authority", "shop.test"), (":path", OUTSIDE)])
    };
    let path = |path: &'static str| only(&pseudo("GET", path));
    let malformed: &[u32] = &[PROTOCOL_ERROR];
    let refused: &[u32] = &[];
    are_refused(vec![
        ("upper case", with(&[("X-Upper", "1")]), malformed),
        ("no method", without(":method"), malformed),
        ("no path", without(":path"), malformed),
        ("an empty path", path(""), malformed),
        ("two methods", with(&[(":method", "GET")]), malformed),
        (
            "two paths",
            only(&[&pseudo("GET", OUTSIDE)[..], &[(":path", "/rest/V1/modules")]].concat()),
            malformed,
        ),
        ("two authorities", with(&[(":authority", "evil.test")]), malformed),
        (
            "an unknown pseudo-field",
            only(&[&[(":evil", "1")][..], &pseudo("GET", OUTSIDE)].concat()),
            malformed,
        ),
        (
            "a pseudo-field behind a field",
            only(&[&[("x-first", "1")][..], &pseudo("GET", OUTSIDE)].concat()),
            malformed,
        ),
        ("a status", only(&[&pseudo("GET", OUTSIDE)[..], &[(":status", "200")]].concat()), malformed),
        ("connection", with(&[("connection", "close")]), malformed),
        ("connection that names ours", with(&[("connection", "x-auth-user-type")]), malformed),
        ("transfer-encoding", with(&[("transfer-encoding", "chunked")]), malformed),
        ("upgrade", with(&[("upgrade", "websocket")]), malformed),
        ("keep-alive", with(&[("keep-alive", "1")]), malformed),
        ("proxy-connection", with(&[("proxy-connection", "keep-alive")]), malformed),
        ("te that is more than trailers", with(&[("te", "gzip")]), malformed),
        ("a line break in a value", with(&[("x-evil", "a\r\nx-auth-user-id: 1")]), malformed),
        ("a nul in a value", with(&[("x-evil", "a\0b")]), malformed),
        ("a line break in a name", with(&[("x-evil\r\nx-auth-user-id", "1")]), malformed),
        ("a colon in a name", with(&[("x-evil:", "1")]), malformed),
        ("a blank in a name", with(&[("x evil", "1")]), malformed),
        ("an empty name", with(&[("", "1")]), malformed),
        (
            "extended connect",
            {
                let fields = [
                    (":method", "CONNECT"),
                    (":protocol", "websocket"),
                    (":scheme", "http"),
                    (":authority", "shop.test"),
                    (":path", OUTSIDE),
                ];
                only(&fields)
            },
            malformed,
        ),
        ("two hosts that differ", with(&[("host", "evil.test")]), refused),
        ("no host at all", without(":authority"), refused),
        ("the same host twice over", with(&[("host", "shop.test"), ("host", "shop.test")]), refused),
        (
            "userinfo in the authority",
            {
                only(&[
                    (":method", "GET"),
                    (":scheme", "http"),
                    (":authority", "me@shop.test"),
                    (":path", OUTSIDE),
                ])
            },
            refused,
        ),
        ("another scheme", scheme("ftp"), refused),
        ("a path without its slash", path("media"), malformed),
        ("a star", only(&pseudo("OPTIONS", "*")), refused),
        ("dots in the path", path("/media/../rest/V1/modules"), refused),
        ("a backslash in the path", path("/media\\..\\rest"), refused),
        ("a method in lower case", only(&pseudo("post", OUTSIDE)), refused),
        ("trace", only(&pseudo("TRACE", OUTSIDE)), refused),
        ("connect", only(&[(":method", "CONNECT"), (":authority", "shop.test")]), refused),
        ("a blank before a credential", with(&[("authorization", " Bearer x")]), refused),
        ("a tab behind a value", with(&[("x-evil", "1\t")]), refused),
        ("two credentials", with(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]), refused),
        ("two lengths", with(&[("content-length", "0"), ("content-length", "5")]), &[PROTOCOL_ERROR]),
    ]);
}

/// `:path` holds no fragment (RFC 9113 section 8.3.1). The library cuts one off before anybody could refuse it, so what is
/// left is the one meaning: for route, permission and upstream.
#[test]
fn a_fragment_is_no_part_of_what_is_judged_or_passed_on() {
    let upstream = Upstream::start();
    let gate = h2c(&upstream);
    for (path, expected) in [
        (format!("{OUTSIDE}#{PROTECTED}"), Ok(OUTSIDE.to_owned())),
        (format!("{OUTSIDE}?a=1#?b=2"), Ok(format!("{OUTSIDE}?a=1"))),
        (format!("{OUTSIDE}#/../x#y"), Ok(OUTSIDE.to_owned())),
        (format!("#{PROTECTED}"), Err(400)),
        (format!("?a=1#{PROTECTED}"), Err(400)),
        ("?a=1".to_owned(), Err(400)),
        (format!("{PROTECTED}#{OUTSIDE}"), Err(401)),
        (format!("{PROTECTED}?a#b"), Err(401)),
        (format!("{OUTSIDE}%23a"), Ok(format!("{OUTSIDE}%23a"))),
    ] {
        let mut raw = Raw::open(gate.proxy);
        raw.send(&get(1, &path));
        let status = expected.as_ref().map_or_else(|status| *status, |_| 200);
        assert_eq!(raw.outcome(), Outcome::Answered(status), "{path}");
        let seen: Vec<_> = upstream.take().iter().map(|seen| seen.target().to_owned()).collect();
        assert_eq!(seen, expected.into_iter().collect::<Vec<_>>(), "{path}");
    }
}

#[test]
fn a_body_is_as_long_as_it_says() {
    let five = || post(&[("content-length", "5")]);
    are_refused(vec![
        ("shorter", [five(), frame(DATA, END_STREAM, 1, b"four")].concat(), &[PROTOCOL_ERROR]),
        ("longer", [five(), frame(DATA, END_STREAM, 1, b"longer")].concat(), &[PROTOCOL_ERROR]),
        ("none", with(&[("content-length", "5")]), &[PROTOCOL_ERROR]),
        (
            "no number",
            [post(&[("content-length", "+5")]), frame(DATA, END_STREAM, 1, b"fives")].concat(),
            &[PROTOCOL_ERROR],
        ),
    ]);
}

#[test]
fn a_list_of_fields_has_its_bound() {
    let upstream = Upstream::start();
    let gate = h2c(&upstream);
    // Plain; and by the bomb: one long field that is named again and again by its index.
    let long = "x".repeat(4000);
    let plain: Vec<(String, &str)> = (0..9).map(|number| (format!("x-{number}"), long.as_str())).collect();
    let plain: Vec<(&str, &str)> = plain.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let block_of = |fields: &[(&str, &str)]| block(&[&pseudo("GET", OUTSIDE)[..], fields].concat());
    let whole = block_of(&plain);
    let (first, rest) = whole.split_at(16_000);
    let (second, third) = rest.split_at(16_000);
    let pieces = [
        frame(HEADERS, END_STREAM, 1, first),
        frame(CONTINUATION, 0, 1, second),
        frame(CONTINUATION, END_HEADERS, 1, third),
    ]
    .concat();
    let indexed = [&[0x40, 6][..], b"x-bomb", &[127, 0xa1, 0x1e], long.as_bytes()].concat();
    let bomb = [&block(&pseudo("GET", OUTSIDE))[..], &indexed, &[0xbe; 8000]].concat();
    let bomb = frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb);
    for (what, bytes) in [("plain", pieces), ("bomb", bomb)] {
        let mut raw = Raw::open(gate.proxy);
        raw.send(&bytes);
        let outcome = raw.outcome();
        let is_refused = matches!(
            outcome,
            Outcome::Answered(431)
                | Outcome::GoAway(ENHANCE_YOUR_CALM | COMPRESSION_ERROR | PROTOCOL_ERROR)
                | Outcome::Reset(_)
        );
        assert!(is_refused, "{what}: {outcome:?}");
        assert!(upstream.take().is_empty(), "{what}");
    }
    let many: Vec<(String, &str)> = (0..101).map(|number| (format!("x-{number}"), "1")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let mut raw = Raw::open(gate.proxy);
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block_of(&many)));
    assert_eq!(raw.outcome(), Outcome::Answered(400), "as many fields as HTTP/1.1 may have");
    assert!(upstream.take().is_empty());
}

#[test]
fn what_nobody_knows_is_passed_over() {
    let upstream = Upstream::start();
    let gate = h2c(&upstream);
    let mut raw = Raw::open(gate.proxy);
    raw.send(&frame(0x77, 0xff, 0, b"what is it"));
    raw.send(&frame(0x78, 0xff, 9, b"what is it"));
    raw.send(&frame(SETTINGS, 0, 0, &setting(0x77, 7)));
    raw.send(&frame(PING, ACK, 0, b"unasked."));
    raw.send(&frame(PRIORITY, 0, 3, &[0, 0, 0, 1, 16]));
    raw.send(&get(1, OUTSIDE));
    assert_eq!(raw.outcome(), Outcome::Answered(200));
    assert_eq!(upstream.take_one().target(), OUTSIDE);
}

#[test]
fn more_streams_than_allowed_are_refused_one_by_one() {
    let upstream = Upstream::answering(|_, _| {
        std::thread::sleep(Duration::from_millis(600));
        false
    });
    let gate = gate(&upstream).with("listen", "h2c = true\nmax_streams = 3").start();
    let mut raw = Raw::open(gate.proxy);
    for number in 0..4 {
        raw.send(&get(number * 2 + 1, OUTSIDE));
    }
    // REFUSED_STREAM tells the client that nothing of it was looked at.
    assert!(matches!(raw.outcome(), Outcome::Reset(7 | PROTOCOL_ERROR)));
    assert!(upstream.take().len() <= 3);
}
