//! The link itself: bounded in time and number, and never in anybody's way.

use std::time::{Duration, Instant};

use portcullis::{
    auth::secret::Secret,
    metrics::RedisMetrics,
    store::redis::{Link, LinkError, LinkHome, LinkScript, LinkSettings},
};
use redis::Cmd;
use tokio::runtime::Handle;

use crate::support::servers::redis::{RedisServer, free_address};

fn settings(url: String) -> LinkSettings {
    LinkSettings {
        home: LinkHome::Single(Secret::new(url)),
        user: None,
        password: None,
        tls: false,
        ca: None,
        prefix: "test:".to_owned(),
        timeout: Duration::from_millis(100),
        max_in_flight: 3,
    }
}

async fn connected(settings: LinkSettings) -> Link {
    let link = Link::open(settings, RedisMetrics::default(), Handle::current()).unwrap();
    assert!(link.connected_within(Duration::from_secs(10)).await);
    link
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server; run tests/all"]
async fn commands_and_scripts_are_answered() {
    let redis = RedisServer::start();
    let link = connected(settings(redis.url())).await;
    let key = link.key("k");
    assert_eq!(key, "test:k");
    let () = link.run(Cmd::set(&key, b"v")).await.unwrap();
    assert_eq!(link.run::<String>(Cmd::get(&key)).await, Ok("v".to_owned()));
    assert_eq!(link.run::<u64>(Cmd::get(&key)).await, Err(LinkError::Refused("answer")));
    let script = LinkScript::new("return redis.call('APPEND', KEYS[1], ARGV[1])");
    for length in [2, 3] {
        assert_eq!(link.script::<u64>(&script, &[key.as_bytes()], &[b"w"]).await, Ok(length));
    }
    // Forgotten, and known again at the next call, which is carried out once.
    let () = link.run(redis::cmd("SCRIPT").arg("FLUSH").clone()).await.unwrap();
    assert_eq!(link.script::<u64>(&script, &[key.as_bytes()], &[b"w"]).await, Ok(4));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server; run tests/all"]
async fn a_wrong_password_or_nobody_is_down_at_once() {
    let redis = RedisServer::start();
    for url in [redis.url().replace("correct", "wrong"), format!("redis://{}/", free_address())] {
        let link = Link::open(settings(url), RedisMetrics::default(), Handle::current()).unwrap();
        assert!(!link.connected_within(Duration::from_millis(500)).await);
        assert_eq!(link.run::<()>(redis::cmd("PING")).await, Err(LinkError::Down));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server; run tests/all"]
async fn a_server_that_hangs_holds_no_more_than_its_places() {
    let redis = RedisServer::open();
    let link = connected(settings(redis.link_url())).await;
    redis.pause();
    let calls = (0..8).map(|_| {
        let link = link.clone();
        tokio::spawn(async move { link.run::<()>(redis::cmd("PING")).await })
    });
    let calls: Vec<_> = calls.collect();
    let began = Instant::now();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap().unwrap_err());
    }
    assert_eq!(answers.iter().filter(|error| **error == LinkError::Timeout).count(), 3, "{answers:?}");
    assert_eq!(answers.iter().filter(|error| **error == LinkError::Overloaded).count(), 5, "{answers:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
    // Several late answers are a lost connection.
    let down = async {
        while link.is_up() {
            let _ = link.run::<()>(redis::cmd("PING")).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), down).await.expect("the loss is seen");
    redis.resume();
    assert!(link.connected_within(Duration::from_secs(10)).await);
    // Nothing of what was sent before is carried out twice, and the link is of use again.
    assert_eq!(link.run::<String>(redis::cmd("PING")).await, Ok("PONG".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server; run tests/all"]
async fn a_link_does_not_stay_with_a_replica() {
    let (redis, other) = (RedisServer::open(), RedisServer::open());
    let link = connected(settings(redis.link_url())).await;
    let port = other.address().port();
    let _: String = redis.run(&format!("REPLICAOF 127.0.0.1 {port}"));
    assert_eq!(link.run::<()>(Cmd::set("k", "v")).await, Err(LinkError::ReadOnly));
    let down = async {
        while link.is_up() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), down).await.expect("a replica is no home");
    let _: String = redis.run("REPLICAOF NO ONE");
    assert!(link.connected_within(Duration::from_secs(10)).await);
}
