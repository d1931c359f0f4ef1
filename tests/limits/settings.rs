//! `[limits]`: what is refused, what `check` shows, and what a reload leaves as it is.

use std::path::Path;

use portcullis::config::Config;

use crate::{
    ALICE, ANONYMOUS, SELF, get, passed, rule, setup, start,
    support::{process, upstream::Upstream},
};

fn config(limits: &str) -> Result<Config, String> {
    let text = format!(
        "[upstream]\nurl = 'http://127.0.0.1:1'\n[store]\nurl = 'sqlite::memory:'\n[acl]\nmode = 'off'\n\
         [magento]\ncrypt_key = 'k'\n[limits]\n{limits}"
    );
    Config::from_toml(&text, Path::new("")).map_err(|errors| errors.to_string())
}

#[test]
fn mistakes_are_told_in_words() {
    for (limits, told) in [
        (rule("by = \"address\"\nrate = \"1/s\""), "rule \"(without a name)\": its name is missing"),
        (
            rule("name = \"A b\"\nby = \"address\"\nrate = \"1/s\""),
            "its name is not 1 to 64 of the characters",
        ),
        (rule("name = \"a\"\nby = \"ip\"\nrate = \"1/s\""), "its by: \"ip\" is not known here"),
        (rule("name = \"a\"\nby = \"address\""), "its rate is missing"),
        (rule("name = \"a\"\nby = \"address\"\nrate = \"1/w\""), "\"1/w\" is not a rate"),
        (rule("name = \"a\"\nby = \"address\"\nrate = \"1/s\"\nburst = 0"), "its burst: is not between"),
        (rule("name = \"a\"\nby = \"address\"\nrate = \"1/d\"\nburst = 2"), "longer than a day"),
        (rule("name = \"a\"\nby = \"address\"\nrate = \"1/s\"\nof = [\"robot\"]"), "its of: \"robot\""),
        (rule("name = \"a\"\nby = \"address\"\nrate = \"1/s\"\nbrust = 2"), "did you mean burst?"),
        (rule("name = \"a\"\nby = \"address\"\nrate = \"1/s\"\nclass = \"x\""), "no class is named \"x\""),
        (rule("name = \"a\"\nby = \"role\"\nrate = \"1/s\"\nclass = \"lookup\""), "before anybody is known"),
        (rule("name = \"a\"\nby = \"role\"\nrate = \"1/s\"").repeat(2), "two rules are named \"a\""),
        (
            rule("name = \"a\"\nby = \"role\"\nrate = \"1/s\"").replace("rule", "class"),
            "its routes is missing",
        ),
        ("[[limits.class]]\nname = \"read\"\nroutes = [\"/a\"]\n".to_owned(), "which is always there"),
        ("[[limits.class]]\nname = \"a\"\nroutes = [\"a\"]\n".to_owned(), "is no pattern"),
        ("ipv6_prefix = 128".to_owned(), "choose between 20 and 64"),
        ("store = \"redis\"".to_owned(), "write redis.url"),
    ] {
        let error = config(&limits).map(drop).unwrap_err();
        assert!(error.contains(told), "{limits}: {error}");
    }
}

#[test]
fn check_shows_the_rules_in_force() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let limits = [
        rule(
            "name = \"a\"\nby = \"identity\"\nof = [\"customer\", \"guest\"]\nclass = \"x\"\nrate = \"10/s\"\nburst = 20",
        ),
        rule("name = \"b\"\nby = \"consumer\"\nrate = \"600/m\"\nmode = \"report\""),
        "[[limits.class]]\nname = \"x\"\nroutes = [\"POST /V1/carts/**\"]\n".to_owned(),
    ];
    let path = setup(&upstream, &limits.concat()).prepare(folder.path());
    let ended = process::run(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for shown in [
        "a: by identity of customer+guest class x 10/s burst 20 enforce, b: by consumer 600/m burst 600 report",
        "x: POST /V1/carts/**",
        "rule \"b\": callers without a consumer count by identity",
    ] {
        assert!(ended.stdout.contains(shown), "{}", ended.stdout);
    }
}

#[test]
fn a_reload_gives_nobody_a_fresh_bucket_where_the_rule_is_as_it_was() {
    let upstream = Upstream::start();
    let each = |rate: &str| {
        rule(&format!("name = \"each\"\nby = \"identity\"\nof = [\"customer\"]\nrate = \"{rate}\""))
    };
    let address = |rate: &str| rule(&format!("name = \"address\"\nby = \"address\"\nrate = \"{rate}\""));
    let gate = start(setup(&upstream, &each("2/h")));
    assert_eq!(passed(3, || get(&gate, SELF, ALICE, "192.0.2.1")), 2);
    gate.reload(&setup(&upstream, &(address("9/h") + &each("2/h")))).unwrap();
    assert_eq!(passed(3, || get(&gate, SELF, ALICE, "192.0.2.1")), 0, "the rule is as it was");
    assert_eq!(
        passed(9, || get(&gate, ANONYMOUS, "", "192.0.2.1")),
        6,
        "the new rule counts from its first request"
    );
    gate.reload(&setup(&upstream, &format!("mode = \"report\"\n{}", each("2/h")))).unwrap();
    assert_eq!(passed(3, || get(&gate, SELF, ALICE, "192.0.2.1")), 3, "reported only");
    gate.reload(&setup(&upstream, &each("2/h"))).unwrap();
    assert_eq!(passed(3, || get(&gate, SELF, ALICE, "192.0.2.1")), 0, "and back");
    gate.reload(&setup(&upstream, &each("3/h"))).unwrap();
    assert_eq!(passed(5, || get(&gate, SELF, ALICE, "192.0.2.1")), 3, "another rate");
    gate.reload(&setup(&upstream, "")).unwrap();
    assert_eq!(passed(5, || get(&gate, SELF, ALICE, "192.0.2.1")), 5);
    let refused = gate.reload(&setup(&upstream, "sync = \"1s\"")).unwrap_err();
    assert!(refused.to_string().contains("limits.sync"), "{refused}");
}
