//! The exchange through Redis: a bucket a key, moved and read by one script, by the clock there.
//!
//! Buckets are spread over a fixed number of tags, the same in every replica, and each tag's go in one script: a cluster
//! keeps keys of one tag together. A key ends soon after its bucket is full.

use std::{collections::HashMap, time::Duration};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, try_join_all},
};

use super::{
    key::RateKey,
    share::{Consumed, ExchangeError, RateExchange},
};
use crate::store::redis::{Link, LinkScript};

/// Over how many tags buckets are spread.
const TAGS: u64 = 16;

/// The most buckets of one call: Redis does nothing else meanwhile.
const MOST_KEYS: usize = 256;

/// For each key a cost and the most that a bucket may be from full, in microseconds. A clock there that was set back would
/// else leave buckets empty for as long as it was ahead.
const MOVE: &str = "\
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local levels = {}
for i, key in ipairs(KEYS) do
  local full = math.max(tonumber(redis.call('GET', key)) or 0, now) + tonumber(ARGV[i])
  full = math.min(full, now + tonumber(ARGV[#KEYS + i]))
  redis.call('SET', key, string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1000)
  levels[i] = full - now
end
return levels";

/// Where replicas meet: a Redis.
#[derive(Debug)]
pub struct RedisRates {
    link: Link,
    script: LinkScript,
}

/// What one call speaks of, and the place of each in the question.
#[derive(Debug, Default)]
struct Batch {
    places: Vec<usize>,
    keys: Vec<String>,
    costs: Vec<String>,
    most: Vec<String>,
}

impl RedisRates {
    /// Speaks through this link.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { link, script: LinkScript::new(MOVE) }
    }

    async fn move_all(&self, consumed: Vec<Consumed>) -> Result<Vec<Duration>, ExchangeError> {
        if consumed.is_empty() {
            return Ok(self.link.run::<()>(redis::cmd("PING")).await.map(|()| Vec::new())?);
        }
        let mut levels = vec![Duration::ZERO; consumed.len()];
        let batches = self.batches(&consumed);
        let answers = try_join_all(batches.iter().map(|batch| self.move_batch(batch))).await?;
        for (batch, answer) in batches.iter().zip(answers) {
            if answer.len() != batch.places.len() {
                return Err(ExchangeError::Count);
            }
            for (place, micros) in batch.places.iter().zip(answer) {
                if let Some(level) = levels.get_mut(*place) {
                    *level = Duration::from_micros(micros);
                }
            }
        }
        Ok(levels)
    }

    async fn move_batch(&self, batch: &Batch) -> Result<Vec<u64>, ExchangeError> {
        let bytes =
            |texts: &'_ [String]| texts.iter().map(String::as_bytes).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let (keys, mut arguments) = (bytes(&batch.keys), bytes(&batch.costs));
        arguments.extend(bytes(&batch.most));
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        Ok(self.link.script(&self.script, &keys, &arguments).await?)
    }

    fn batches(&self, consumed: &[Consumed]) -> Vec<Batch> {
        let mut open: HashMap<u64, Batch> = HashMap::new();
        let mut full = Vec::new();
        for (place, Consumed { bucket, key, cost, most }) in consumed.iter().enumerate() {
            let (tag, value) = key.to_words();
            let batch = open.entry(tag_of(*key)).or_default();
            batch.places.push(place);
            batch.keys.push(
                self.link.tagged(&format!("rate{}", tag_of(*key)), &format!("{bucket}:{tag:x}:{value:x}")),
            );
            batch.costs.push(micros(*cost).to_string());
            batch.most.push(micros(*most).to_string());
            if batch.places.len() == MOST_KEYS {
                full.push(std::mem::take(batch));
            }
        }
        full.extend(open.into_values().filter(|batch| !batch.places.is_empty()));
        full
    }
}

impl RateExchange for RedisRates {
    fn exchange(&self, consumed: Vec<Consumed>) -> BoxFuture<'_, Result<Vec<Duration>, ExchangeError>> {
        self.move_all(consumed).boxed()
    }
}

/// The tag of a key: neighbors, such as the networks of one provider, are spread.
fn tag_of(key: RateKey) -> u64 {
    let (tag, value) = key.to_words();
    // The multiplier is 2^64 divided by the golden ratio.
    let mixed = (value ^ tag.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) % TAGS
}

/// Rounded up: nothing is ever told as less.
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX)
}
