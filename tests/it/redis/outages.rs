//! Redis that is absent, ends or does not answer.

use std::process::{Command, Stdio};

use futures_util::future::join_all;
use signalr_test_support::log_capture::Log;

use super::*;

#[tokio::test]
async fn backplane_connects_when_redis_starts_later() {
    let Some(mut redis) = RedisServer::reserve(&[]) else { return };
    let mut node = Node::impatient(&redis);
    assert!(matches!(node.publish("all", "text").await, Err(BackplaneError::Disconnected(_))));
    assert!(matches!(node.subscribe("all").await, Err(BackplaneError::Disconnected(_))));
    assert!(!node.backplane.is_ready());
    redis.launch();
    node.ready().await;
    node.subscribe("all").await.unwrap();
    node.round_trip("all").await;
    assert_eq!(node.backplane.stats().interruptions, 0);
}

#[tokio::test]
async fn calls_wait_for_redis_to_start() {
    let Some(mut redis) = RedisServer::reserve(&[]) else { return };
    let mut node = Node::of(&redis);
    let (subscribing, publishing) = (node.backplane.subscribe("all"), node.backplane.publish("other", "text".into()));
    redis.launch();
    within(subscribing).await.unwrap();
    within(publishing).await.unwrap();
    node.round_trip("all").await;
}

#[tokio::test]
async fn subscriptions_are_restored_after_a_crash() {
    let Some(mut redis) = RedisServer::start(&[]) else { return };
    let (log, _guard) = Log::of_thread();
    let mut node = Node::impatient(&redis);
    for name in ["kept", "dropped"] {
        node.subscribe(name).await.unwrap();
    }
    redis.kill();
    eventually(|| !node.backplane.is_ready()).await;
    let begin = Instant::now();
    let failed = join_all((0..10).map(|_| node.publish("kept", "lost"))).await;
    assert!(failed.iter().all(|published| matches!(published, Err(BackplaneError::Disconnected(_)))), "{failed:?}");
    assert!(matches!(node.subscribe("late").await, Err(BackplaneError::Disconnected(_))));
    assert!(begin.elapsed() < SHORT * 4, "{:?}", begin.elapsed());
    node.backplane.unsubscribe("dropped");

    redis.launch();
    node.ready().await;
    assert_eq!(redis.run(&["PUBSUB", "CHANNELS"]), "kept");
    node.round_trip("kept").await;
    let stats = node.backplane.stats();
    assert_eq!((stats.interruptions, stats.failed_publishes, stats.subscriptions), (1, 10, 1));
    for (line, times) in [("interrupted", 1), ("subscriptions ready", 2), ("publishing to Redis failed", 1)] {
        assert_eq!(log.text().matches(line).count(), times, "{line}: {}", log.text());
    }
}

#[tokio::test]
async fn stalled_redis_is_noticed() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let mut node = Node::impatient(&redis);
    node.subscribe("all").await.unwrap();
    redis.pause();
    let begin = Instant::now();
    assert_eq!(node.publish("all", "unanswered").await, Err(BackplaneError::Timeout));
    assert!(begin.elapsed() < SHORT * 2, "{:?}", begin.elapsed());
    // The connection that does not answer is replaced, which does not succeed.
    eventually(|| !node.backplane.is_ready()).await;
    assert!(matches!(node.publish("all", "unsent").await, Err(BackplaneError::Disconnected(_))));
    assert_eq!(node.subscribe("other").await, Err(BackplaneError::Timeout));
    redis.resume();
    node.ready().await;
    // It was sent, and nothing of it is repeated.
    assert_eq!(node.next().await.1, "unanswered");
    node.round_trip("all").await;
    eventually(|| redis.run(&["PUBSUB", "NUMSUB", "other"]) == "other\n0").await;
}

#[tokio::test]
async fn dead_connections_are_noticed_without_traffic() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let mut node = Node::impatient(&redis);
    node.subscribe("all").await.unwrap();
    redis.pause();
    eventually(|| node.backplane.stats().interruptions == 1).await;
    redis.resume();
    node.ready().await;
    node.round_trip("all").await;
}

#[tokio::test]
async fn slow_answer_does_not_interrupt() {
    let Some(redis) = RedisServer::start(&["--enable-debug-command", "yes"]) else { return };
    let mut node = Node::of(&redis);
    node.subscribe("all").await.unwrap();
    let port = redis.port().to_string();
    let mut sleeping = Command::new("redis-cli");
    let sleeping = sleeping.args(["-p", &port, "DEBUG", "SLEEP", "0.5"]).stdout(Stdio::null()).spawn();
    node.round_trip("all").await;
    sleeping.unwrap().wait().unwrap();
    let stats = node.backplane.stats();
    assert_eq!((stats.interruptions, stats.failed_publishes), (0, 0));
}

#[tokio::test]
async fn killed_connections_are_replaced() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let mut node = Node::of(&redis);
    node.subscribe("all").await.unwrap();
    for interruptions in 1..=2 {
        assert_eq!(redis.run(&["CLIENT", "KILL", "TYPE", "pubsub"]), "1");
        eventually(|| node.backplane.stats().interruptions == interruptions).await;
        node.ready().await;
        node.round_trip("all").await;
        assert_eq!(redis.run(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]), "1");
        node.round_trip("all").await;
    }
}

#[tokio::test]
async fn publishes_do_not_pile_up_during_an_outage() {
    let Some(mut redis) = RedisServer::start(&[]) else { return };
    let options = || RedisBackplane::new(redis.url()).unwrap().request_timeout(SHORT).max_queued_bytes(1024 * 1024);
    let mut node = Node::start(options());
    node.ready().await;
    let payload = Bytes::from(vec![7; 300 * 1024]);
    // Three at a time fit. Those that began later may get the capacity of those that have expired.
    let few = 3..=12;
    let publish_all = || join_all((0..60).map(|_| node.backplane.publish("all", payload.clone())));
    let count = |published: &[Result<_, _>], error: &BackplaneError| {
        published.iter().filter(|published| published.as_ref() == Err(error)).count()
    };

    redis.pause();
    let published = within(publish_all()).await;
    let timed_out = count(&published, &BackplaneError::Timeout);
    assert!(few.contains(&timed_out), "{published:?}");
    assert_eq!(count(&published, &BackplaneError::QueueFull), 60 - timed_out, "{published:?}");

    redis.kill();
    eventually(|| !node.backplane.is_ready()).await;
    let published = within(publish_all()).await;
    assert!(few.contains(&(60 - count(&published, &BackplaneError::QueueFull))), "{published:?}");
    assert_eq!(node.backplane.stats().failed_publishes, 120);

    redis.launch();
    node.ready().await;
    node.subscribe("all").await.unwrap();
    node.round_trip("all").await;
}
