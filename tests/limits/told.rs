//! What clients, operators and the upstream are told.

use std::io::Write as _;

use crate::{
    ALICE, ANONYMOUS, NOW, SELF, class, figure, get, passed, rule, setup, start,
    support::{
        upstream::Upstream,
        wire::{exchange, request},
    },
};

const RULE: &str =
    "name = \"per-customer\"\nby = \"identity\"\nof = [\"customer\"]\nrate = \"30/m\"\nburst = 3";

#[test]
fn answers_tell_what_is_left_and_refusals_when_to_come_back() {
    let upstream = Upstream::start();
    let gate = start(setup(&upstream, &rule(RULE)));
    let told = |answer: &crate::Message| {
        ["ratelimit-policy", "ratelimit", "retry-after", "x-ratelimit-limit"]
            .map(|name| answer.all(name).join(" and "))
    };
    let policy = "\"per-customer\";q=3;w=6";
    for (remaining, reset) in [(2, 2), (1, 4), (0, 6)] {
        let answer = get(&gate, SELF, ALICE, "192.0.2.1");
        assert_eq!(class(&answer), "200");
        let now = format!("\"per-customer\";r={remaining};t={reset}");
        assert_eq!(told(&answer), [policy, &now, "", ""]);
    }
    let refused = get(&gate, SELF, ALICE, "192.0.2.1");
    assert_eq!(class(&refused), "429 rate_limited");
    assert_eq!(told(&refused), [policy, "\"per-customer\";r=0;t=6", "2", ""]);
    assert_eq!(refused.header("content-type").as_deref(), Some("application/json; charset=utf-8"));
    assert_eq!(refused.text(), r#"{"message":"Too many requests. Please wait and try again later."}"#);
    assert_eq!(upstream.take().len(), 3, "a refused request goes nowhere");
    gate.set_time(NOW + 1);
    assert_eq!(get(&gate, SELF, ALICE, "192.0.2.1").header("retry-after").as_deref(), Some("1"));
    gate.set_time(NOW + 2);
    assert_eq!(class(&get(&gate, SELF, ALICE, "192.0.2.1")), "200");
    assert_eq!(told(&get(&gate, ANONYMOUS, "", "192.0.2.1")), ["", "", "", ""], "no rule is for guests");
}

#[test]
fn a_refusal_is_worded_as_all_others_are() {
    let upstream = Upstream::start();
    let limits = rule("name = \"all\"\nby = \"address\"\nrate = \"1/h\"");
    let gate = start(setup(&upstream, &limits));
    assert_eq!(passed(1, || get(&gate, ANONYMOUS, "", "127.0.0.1")), 1);
    let xml = exchange(gate.proxy, &request("GET", ANONYMOUS, &[("Accept", "application/xml")], b""));
    assert_eq!(class(&xml), "429 rate_limited");
    assert_eq!(
        xml.text(),
        "<?xml version=\"1.0\"?>\n<response>\n  <message>Too many requests. Please wait and try again later.</message>\n\
         </response>\n"
    );
}

#[test]
fn of_several_rules_the_nearest_is_told() {
    let upstream = Upstream::start();
    let limits = [
        rule("name = \"wide\"\nby = \"address\"\nrate = \"100/m\""),
        rule("name = \"narrow\"\nby = \"identity\"\nrate = \"5/m\""),
        rule("name = \"quiet\"\nby = \"context\"\nrate = \"1/m\"\nmode = \"report\""),
    ];
    let gate = start(setup(&upstream, &limits.concat()));
    for remaining in [4, 3] {
        let answer = get(&gate, SELF, ALICE, "192.0.2.1");
        assert_eq!(answer.all("ratelimit").len(), 1);
        assert!(answer.header("ratelimit").unwrap().starts_with(&format!("\"narrow\";r={remaining};")));
    }
    assert_eq!(passed(97, || get(&gate, ANONYMOUS, "", "192.0.2.1")), 5, "guests count by address");
    // The rule by address was charged for what was refused later: it is asked before anybody is known.
    assert!(get(&gate, SELF, ALICE, "192.0.2.1").header("ratelimit").unwrap().starts_with("\"wide\";r=0;"));
}

#[test]
fn reported_rules_count_and_refuse_nobody() {
    let upstream = Upstream::start();
    let over = "portcullis_ratelimit_decisions_total{rule=\"trial\",outcome=\"reported\"}";
    for limits in [
        rule("name = \"trial\"\nby = \"address\"\nrate = \"2/h\"\nmode = \"report\""),
        format!("mode = \"report\"\n{}", rule("name = \"trial\"\nby = \"address\"\nrate = \"2/h\"")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("access.log");
        let gate = start(setup(&upstream, &limits).with("log", &format!("access = \"{}\"", log.display())));
        for _ in 0..5 {
            let answer = get(&gate, ANONYMOUS, "", "192.0.2.1");
            assert_eq!(class(&answer), "200");
            assert!(answer.header("ratelimit").is_none(), "nobody need slow down for a trial");
        }
        assert_eq!(figure(&gate, over), 3);
        drop(gate);
        let lines = std::fs::read_to_string(&log).unwrap();
        assert_eq!(lines.matches(r#""limit":"trial","limit_outcome":"reported""#).count(), 3, "{lines}");
    }
}

#[test]
fn a_refusal_is_logged_by_the_name_of_its_rule() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let limits = rule("name = \"strict\"\nby = \"address\"\nrate = \"1/h\"");
    let gate = start(setup(&upstream, &limits).with("log", &format!("access = \"{}\"", log.display())));
    assert_eq!(passed(3, || get(&gate, ANONYMOUS, "", "192.0.2.1")), 1);
    drop(gate);
    let lines = std::fs::read_to_string(&log).unwrap();
    let told = r#""status":429,"decision":"refused","reason":"rate_limited""#;
    assert_eq!(lines.matches(told).count(), 2, "{lines}");
    assert_eq!(lines.matches(r#""limit":"strict","limit_outcome":"refused""#).count(), 2, "{lines}");
}

#[test]
fn what_the_upstream_says_of_its_limits_stays() {
    let upstream = Upstream::answering(|_, socket| {
        let fields =
            "RateLimit: \"api\";r=1;t=5\r\nRateLimit-Policy: \"api\";q=9;w=60\r\nX-RateLimit-Limit: 9\r\n";
        write!(socket, "HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n").is_ok()
    });
    let ours = rule("name = \"ours\"\nby = \"address\"\nrate = \"60/m\"");
    for (headers, expected, limit) in [
        ("draft", vec!["\"api\";r=1;t=5", "\"ours\";r=59;t=1"], "9"),
        ("both", vec!["\"api\";r=1;t=5", "\"ours\";r=59;t=1"], "60"),
        ("off", vec!["\"api\";r=1;t=5"], "9"),
    ] {
        let gate = start(setup(&upstream, &format!("headers = \"{headers}\"\n{ours}")));
        let answer = get(&gate, ANONYMOUS, "", "192.0.2.1");
        assert_eq!(answer.all("ratelimit"), expected, "{headers}");
        assert_eq!(answer.all("x-ratelimit-limit"), [limit], "{headers}");
        assert_eq!(answer.header("x-ratelimit-remaining").is_some(), headers == "both");
    }
    let gate = start(setup(&upstream, ""));
    assert_eq!(get(&gate, ANONYMOUS, "", "192.0.2.1").all("ratelimit"), ["\"api\";r=1;t=5"]);
}
