//! `[cache]`: how many callers are remembered, and for how long.
//!
//! A revocation made behind our back is seen at the next `poll`; `ttl` bounds what the poll does not cover. On a Magento's own
//! database a poll reads the rows behind every cached caller again, `poll_batch` a statement.

use std::time::Duration;

use super::{raw::RawCache, report::Report};

/// Bounds of what is remembered about callers.
#[derive(Debug, Clone)]
pub struct Cache {
    /// Most callers at a time.
    pub entries: usize,
    /// How long a caller is remembered.
    pub ttl: Duration,
    /// Most refusals at a time.
    pub negative_entries: usize,
    /// How long a refusal is remembered.
    pub negative_ttl: Duration,
    /// How old a proven caller may be while the store cannot answer; zero never serves one.
    pub max_stale: Duration,
    /// Between two looks at what changed in the store.
    pub poll: Duration,
    /// Rows that a statement of a poll reads, on a Magento's own database.
    pub poll_batch: usize,
    /// Statements a second that polls may take there.
    pub poll_queries: usize,
}

impl Cache {
    pub(super) fn parse(raw: RawCache, report: &mut Report) -> Self {
        let RawCache {
            entries,
            ttl,
            negative_entries,
            negative_ttl,
            max_stale,
            poll,
            poll_batch,
            poll_queries,
        } = raw;
        let seconds = Duration::from_secs;
        let shortest = Duration::from_millis(100);
        Self {
            entries: report.take_within("cache.entries", entries, 100_000, 1..=100_000_000),
            ttl: report.take_within("cache.ttl", ttl, seconds(5), shortest..=seconds(3600)),
            negative_entries: report.take_within(
                "cache.negative_entries",
                negative_entries,
                10_000,
                1..=100_000_000,
            ),
            negative_ttl: report.take_within(
                "cache.negative_ttl",
                negative_ttl,
                seconds(2),
                shortest..=seconds(300),
            ),
            max_stale: report.take_within(
                "cache.max_stale",
                max_stale,
                seconds(60),
                seconds(0)..=seconds(3600),
            ),
            poll: report.take_within("cache.poll", poll, seconds(1), shortest..=seconds(60)),
            poll_batch: report.take_within("cache.poll_batch", poll_batch, 500, 1..=5000),
            poll_queries: report.take_within("cache.poll_queries", poll_queries, 50, 1..=10_000),
        }
    }
}
