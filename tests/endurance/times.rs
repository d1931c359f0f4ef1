//! How often and how long, in words.

use std::time::Duration;

/// A count that the environment may set.
pub(crate) fn count(name: &str, otherwise: usize) -> usize {
    std::env::vars().find(|(known, _)| known == name).map_or(otherwise, |(_, given)| given.parse().unwrap())
}

/// The distribution of some times.
pub(crate) fn distribution(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let Some(longest) = times.last() else { return "nothing was measured".to_owned() };
    let share = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    format!(
        "p50 {:.1?}, p90 {:.1?}, p99 {:.1?}, p99.9 {:.1?}, longest {longest:.1?}",
        share(0.5),
        share(0.9),
        share(0.99),
        share(0.999),
    )
}
