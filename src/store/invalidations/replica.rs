//! The replicas that are alive, as each of them says.

use std::time::Duration;

use redis::{FromRedisValue, ParsingError, Value};

use super::position::Mark;

/// What a replica says of itself.
#[derive(Debug, Clone)]
pub struct Register {
    /// Its name: one a process.
    pub id: String,
    /// How long it counts as alive after a heartbeat. Longer than its look into the database: when it counts as gone, it has
    /// seen by itself what it missed here.
    pub lifetime: Duration,
    /// When it started, in seconds since 1970.
    pub started: i64,
    /// The version it runs.
    pub version: &'static str,
}

/// A replica that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveReplica {
    /// Its name.
    pub id: String,
    /// The last change that it obeyed; `None` before it has come to one.
    pub applied: Option<Mark>,
    /// When it started, in seconds since 1970.
    pub started: i64,
    /// The version it runs.
    pub version: String,
}

/// Every replica that is alive, and where the changes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replicas {
    /// The latest change.
    pub latest: Mark,
    /// The replicas.
    pub live: Vec<LiveReplica>,
}

impl Replicas {
    /// The replicas that have not obeyed a change yet. One that has gone over to a later epoch forgot everybody on the way.
    #[must_use]
    pub fn behind(&self, published: &Mark) -> Vec<&LiveReplica> {
        let has_obeyed = |applied: &Mark| {
            if applied.epoch == published.epoch {
                applied.generation >= published.generation
            } else {
                applied.epoch == self.latest.epoch
            }
        };
        self.live.iter().filter(|replica| !replica.applied.as_ref().is_some_and(has_obeyed)).collect()
    }
}

impl FromRedisValue for Replicas {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (epoch, generation, live): (String, u64, Vec<String>) = FromRedisValue::from_redis_value(value)?;
        let live = live.chunks_exact(2).filter_map(|pair| match pair {
            [id, said] => live_replica(id, said),
            _ => None,
        });
        Ok(Self { latest: Mark { epoch, generation }, live: live.collect() })
    }
}

/// What a replica is written as, after the end of its life: `epoch generation started version`, `-` for no epoch.
fn live_replica(id: &str, said: &str) -> Option<LiveReplica> {
    let mut words = said.split(' ').skip(1);
    let epoch = words.next()?;
    let generation = words.next()?.parse().ok()?;
    let applied = (epoch != "-").then(|| Mark { epoch: epoch.to_owned(), generation });
    let started = words.next()?.parse().ok()?;
    Some(LiveReplica { id: id.to_owned(), applied, started, version: words.next()?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicas(latest: &str, live: &[(&str, u64)]) -> Replicas {
        let live = live.iter().map(|(epoch, generation)| {
            let said = format!("1795248005000 {epoch} {generation} 1795248000 0.1.0");
            live_replica(&format!("{epoch}{generation}"), &said).unwrap()
        });
        Replicas { latest: Mark { epoch: latest.to_owned(), generation: 50 }, live: live.collect() }
    }

    #[test]
    fn who_has_not_obeyed_is_behind() {
        let published = Mark { epoch: "e".to_owned(), generation: 7 };
        let behind = |latest, live: &[(&str, u64)]| {
            let replicas = replicas(latest, live);
            replicas.behind(&published).into_iter().map(|replica| replica.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(behind("e", &[("e", 7), ("e", 8), ("e", 6), ("-", 0)]), ["e6", "-0"]);
        // Redis became another one while somebody waited.
        assert_eq!(behind("f", &[("f", 1), ("e", 6), ("d", 99)]), ["e6", "d99"]);
    }
}
