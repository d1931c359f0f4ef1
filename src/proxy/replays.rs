//! Replayed nonces, told to the audit: a few a second, the rest counted.
//!
//! A replay is the mark of a captured request, so each is worth a line; a flood of them is worth a number. Nothing waits
//! here: the audit takes a record into its queue or drops it.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    auth::time::UnixTime,
    metrics::{Metrics, RecordLabel},
    service::audit::{Action, Audit, Outcome, Record},
};

/// Tells the audit of replays.
#[derive(Debug)]
pub struct ReplayWatch {
    audit: Audit,
    most: u32,
    metrics: Arc<Metrics>,
    second: Mutex<Second>,
}

/// The second under way, and what was not told since the last record.
#[derive(Debug, Default)]
struct Second {
    at: i64,
    told: u32,
    untold: u64,
}

/// A signature that came with a used nonce.
#[derive(Debug)]
pub struct Replay<'a> {
    /// `oauth_consumer.entity_id`.
    pub consumer_id: u32,
    /// Who sent it.
    pub client: IpAddr,
    /// The request's id.
    pub request_id: &'a str,
    /// When.
    pub now: UnixTime,
}

impl ReplayWatch {
    /// A watch that tells of `most` replays a second.
    #[must_use]
    pub fn new(audit: Audit, most: u32, metrics: Arc<Metrics>) -> Self {
        Self { audit, most, metrics, second: Mutex::default() }
    }

    /// Tells of a replay, or counts it.
    pub fn saw(&self, replay: &Replay<'_>) {
        let Some(untold) = self.turn(replay.now) else {
            self.metrics.audit_records.get_or_create(&RecordLabel { result: "suppressed" }).inc();
            return;
        };
        self.audit.offer(&Record {
            outcome: Outcome::Refused,
            cause: Some("oauth_nonce_used"),
            consumer_id: Some(replay.consumer_id),
            client: Some(replay.client),
            request_id: Some(replay.request_id.to_owned()),
            detail: (untold > 0).then(|| format!("replays not told before {untold}")),
            ..Record::new(Action::NonceReplayed, "guest")
        });
    }

    /// How many replays were not told since the last record; `None` where this one is not told either.
    fn turn(&self, now: UnixTime) -> Option<u64> {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        if second.at != now.seconds() {
            (second.at, second.told) = (now.seconds(), 0);
        }
        if second.told >= self.most {
            second.untold += 1;
            return None;
        }
        second.told += 1;
        Some(std::mem::take(&mut second.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_records_and_a_number() {
        let watch = ReplayWatch::new(Audit::off(), 2, Arc::default());
        let turn = |second| watch.turn(UnixTime::from_seconds(second));
        assert_eq!([turn(1), turn(1), turn(1), turn(1)], [Some(0), Some(0), None, None]);
        assert_eq!([turn(2), turn(2), turn(2)], [Some(2), Some(0), None]);
        assert_eq!(ReplayWatch::new(Audit::off(), 0, Arc::default()).turn(UnixTime::from_seconds(1)), None);
    }
}
