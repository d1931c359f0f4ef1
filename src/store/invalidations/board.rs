//! What stands in Redis: the generation, the list of the latest changes, the replicas that are alive.

use std::time::Duration;

use redis::Cmd;

use super::{
    message::{Message, written},
    position::{Beat, Mark, Position},
    replica::{Register, Replicas},
};
use crate::store::{
    redis::{Link, LinkError, LinkScript, Messages},
    sql::Changed,
};

/// Changes in one publication.
const BATCH: usize = 256;

/// The beginning of every script: the epoch, and the time in milliseconds.
macro_rules! with_epoch {
    ($rest:literal) => {
        concat!(
            r"
local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if not history then return redis.error_reply('ERR no replication id') end
redis.call('HSETNX', KEYS[1], 'seed', ARGV[1])
local epoch = history .. ':' .. redis.call('HGET', KEYS[1], 'seed')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function latest() return redis.call('HGET', KEYS[1], 'generation') or '0' end
",
            $rest
        )
    };
}

/// `KEYS`: state, list. `ARGV`: seed, origin, channel, changes. The list keeps a thousand.
const PUBLISH: &str = with_epoch!(
    r"
for i = 4, #ARGV do
    local generation = redis.call('HINCRBY', KEYS[1], 'generation', 1)
    local line = table.concat({epoch, string.format('%.0f', generation), string.format('%.0f', now), ARGV[2], ARGV[i]}, ' ')
    redis.call('LPUSH', KEYS[2], line)
    redis.call('PUBLISH', ARGV[3], line)
end
redis.call('LTRIM', KEYS[2], 0, 999)
return {epoch, latest()}"
);

/// `KEYS`: state, list, replicas. `ARGV`: seed, id, milliseconds to live, own epoch, own generation, started, version.
const BEAT: &str = with_epoch!(
    r"
local said = table.concat({string.format('%.0f', now + ARGV[3]), ARGV[4], ARGV[5], ARGV[6], ARGV[7]}, ' ')
redis.call('HSET', KEYS[3], ARGV[2], said)
local live = 0
local all = redis.call('HGETALL', KEYS[3])
for i = 1, #all, 2 do
    if tonumber(string.match(all[i + 1], '^%d+')) < now then redis.call('HDEL', KEYS[3], all[i]) else live = live + 1 end
end
local generation, missed = latest(), {}
local behind = tonumber(generation) - tonumber(ARGV[5])
if ARGV[4] == epoch and behind > 0 then missed = redis.call('LRANGE', KEYS[2], 0, math.min(behind, 1000) - 1) end
return {epoch, generation, string.format('%.0f', now), live, missed}"
);

/// `KEYS`: state, replicas. `ARGV`: seed.
const REPLICAS: &str = with_epoch!(
    r"
local live = {}
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
    if tonumber(string.match(all[i + 1], '^%d+')) >= now then
        live[#live + 1] = all[i]
        live[#live + 1] = all[i + 1]
    end
end
return {epoch, latest(), live}"
);

/// The changes and the replicas, as all see them.
#[derive(Debug)]
pub struct Board {
    link: Link,
    state: String,
    list: String,
    replicas: String,
    channel: String,
    /// Proposed where the data begin anew.
    seed: String,
    publish: LinkScript,
    beat: LinkScript,
    look: LinkScript,
}

impl Board {
    /// The board behind a link.
    #[must_use]
    pub fn new(link: Link) -> Self {
        let key = |name| link.tagged("changes", name);
        Self {
            state: key("state"),
            list: key("list"),
            replicas: key("replicas"),
            channel: key("channel"),
            seed: format!("{:016x}", rand::random::<u64>()),
            publish: LinkScript::new(PUBLISH),
            beat: LinkScript::new(BEAT),
            look: LinkScript::new(REPLICAS),
            link,
        }
    }

    /// The link behind it.
    #[must_use]
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// Publishes changes, and answers the mark of the last one.
    ///
    /// # Errors
    /// [`LinkError`]; changes may have been published then, or not.
    pub async fn publish(&self, origin: &str, changes: &[Changed]) -> Result<Mark, LinkError> {
        let mut mark = None;
        // An empty publication asks for the mark alone.
        let batches = changes.chunks(BATCH).chain(changes.is_empty().then_some(&[][..]));
        for batch in batches {
            let lines: Vec<String> = batch.iter().map(|change| written(*change)).collect();
            let mut arguments = vec![self.seed.as_bytes(), origin.as_bytes(), self.channel.as_bytes()];
            arguments.extend(lines.iter().map(String::as_bytes));
            let keys = [self.state.as_bytes(), self.list.as_bytes()];
            let (epoch, generation): (String, u64) =
                self.link.script(&self.publish, &keys, &arguments).await?;
            mark = Some(Mark { epoch, generation });
        }
        mark.ok_or(LinkError::Refused("answer"))
    }

    /// Says that a replica lives and how far it has come, and hears what it missed.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn beat(&self, register: &Register, position: &Position) -> Result<Beat, LinkError> {
        let lifetime = register.lifetime.as_millis().to_string();
        let (epoch, generation) =
            position.mark().map_or(("-", 0), |mark| (mark.epoch.as_str(), mark.generation));
        let (generation, started) = (generation.to_string(), register.started.to_string());
        let keys = [self.state.as_bytes(), self.list.as_bytes(), self.replicas.as_bytes()];
        let words =
            [&*self.seed, &*register.id, &*lifetime, epoch, &*generation, &*started, register.version];
        self.link.script(&self.beat, &keys, &words.map(str::as_bytes)).await
    }

    /// The replicas that are alive.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn replicas(&self) -> Result<Replicas, LinkError> {
        let keys = [self.state.as_bytes(), self.replicas.as_bytes()];
        self.link.script(&self.look, &keys, &[self.seed.as_bytes()]).await
    }

    /// Waits until every live replica has obeyed a change, and answers those that had not when time was up.
    ///
    /// # Errors
    /// [`LinkError`] where Redis could not be asked at the end.
    pub async fn wait(&self, published: &Mark, patience: Duration) -> Result<Vec<String>, LinkError> {
        /// Between two looks.
        const PAUSE: Duration = Duration::from_millis(20);
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let looked = self.replicas().await.map(|replicas| {
                let behind = replicas.behind(published);
                behind.into_iter().map(|replica| replica.id.clone()).collect::<Vec<_>>()
            });
            match looked {
                Ok(behind) if behind.is_empty() => return Ok(behind),
                looked if tokio::time::Instant::now() >= deadline => return looked,
                Ok(_) | Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Takes a replica that ends in order out of those that are alive.
    ///
    /// # Errors
    /// [`LinkError`]; it counts as alive for its lifetime then.
    pub async fn leave(&self, id: &str) -> Result<(), LinkError> {
        self.link.run(Cmd::hdel(&self.replicas, id)).await
    }

    /// Listens to what is published from now on.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn listen(&self) -> Result<Messages, LinkError> {
        self.link.subscribe(&self.channel).await
    }

    /// A message of the channel; `None` for what is none.
    #[must_use]
    pub fn message(message: &redis::Msg) -> Option<Message> {
        Message::read(std::str::from_utf8(message.get_payload_bytes()).ok()?)
    }
}
