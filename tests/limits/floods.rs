//! Floods: of invented tokens, and of owners.

use crate::{FULL, PROTECTED, class, figure, get, passed, rule, setup, start, support::upstream::Upstream};

fn lookups(gate: &crate::Gate) -> u64 {
    figure(gate, "portcullis_store_lookups_total")
}

/// An invented bearer value.
fn invented(number: usize) -> String {
    format!("Bearer {number:032}")
}

#[test]
fn a_flood_of_invented_tokens_asks_the_store_no_more_than_the_rule_allows() {
    let upstream = Upstream::start();
    for (limits, same_address_is_served) in [
        (rule("name = \"address\"\nby = \"address\"\nrate = \"20/m\""), false),
        (rule("name = \"misses\"\nby = \"address\"\nclass = \"lookup\"\nrate = \"20/m\""), true),
    ] {
        let gate = start(setup(&upstream, &limits));
        assert_eq!(class(&get(&gate, PROTECTED, FULL, "192.0.2.1")), "200", "now cached");
        let before = lookups(&gate);
        let answers: Vec<_> =
            (0..200).map(|number| class(&get(&gate, PROTECTED, &invented(number), "192.0.2.1"))).collect();
        let asked = lookups(&gate) - before;
        assert_eq!(asked, 19, "one of twenty was used up before");
        assert_eq!(answers.iter().filter(|answer| *answer == "401 resource_denied").count(), 19);
        assert_eq!(answers.iter().filter(|answer| *answer == "429 rate_limited").count(), 181);
        assert_eq!(passed(5, || get(&gate, PROTECTED, FULL, "192.0.2.9")), 5, "a cached caller elsewhere");
        let here = passed(5, || get(&gate, PROTECTED, FULL, "192.0.2.1"));
        assert_eq!(
            here,
            if same_address_is_served { 5 } else { 0 },
            "a cached caller behind the same address"
        );
        assert_eq!(lookups(&gate) - before, asked, "cached callers ask nobody");
    }
}

/// A request that is decided again, with the facts that it lacked, was once charged for each time.
#[test]
fn a_request_that_has_to_ask_the_store_counts_once() {
    let upstream = Upstream::start();
    let gate = start(setup(&upstream, &rule("name = \"address\"\nby = \"address\"\nrate = \"2/h\"")));
    let first = get(&gate, PROTECTED, FULL, "192.0.2.1");
    assert_eq!((class(&first).as_str(), lookups(&gate)), ("200", 1));
    assert_eq!(first.header("ratelimit").as_deref(), Some("\"address\";r=1;t=1800"));
    assert_eq!(passed(3, || get(&gate, PROTECTED, FULL, "192.0.2.1")), 1);
}

#[test]
fn a_full_table_limits_newcomers_together() {
    let upstream = Upstream::start();
    let limits = format!("max_keys = 64\n{}", rule("name = \"address\"\nby = \"address\"\nrate = \"1/h\""));
    let gate = start(setup(&upstream, &limits));
    let address = |number: usize| format!("198.51.{}.{}", number / 250, number % 250);
    let answers: Vec<_> =
        (0..400).map(|number| class(&get(&gate, crate::ANONYMOUS, "", &address(number)))).collect();
    let admitted = answers.iter().filter(|answer| *answer == "200").count();
    // Eight sets of eight places, and a bucket that the newcomers of each set share.
    assert_eq!(admitted, 8 * 8 + 8, "four hundred addresses fill every set");
    assert_eq!(figure(&gate, "portcullis_ratelimit_overflow_total"), 400 - 64);
    let again = (0..400).map(|number| class(&get(&gate, crate::ANONYMOUS, "", &address(number))));
    assert!(again.into_iter().all(|answer| answer == "429 rate_limited"));
}
