//! `RedisBackplane` with real Redis servers. The tests end early where Redis is not installed.

mod access;
mod conformance;
mod delivery;
mod outages;
mod servers;
mod topologies;

use std::time::Duration;

use bytes::Bytes;
use signalr::backplane::{Backplane, BackplaneError, BackplaneReceiver, RedisBackplane};
use signalr_test_support::{RedisServer, within};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// A backplane that is started, and what it has received.
struct Node {
    backplane: RedisBackplane,
    received: mpsc::UnboundedReceiver<(String, Bytes)>,
}

impl Node {
    fn start(backplane: RedisBackplane) -> Self {
        let (tx, received) = mpsc::unbounded_channel();
        backplane.attach(BackplaneReceiver::new(move |channel, payload| {
            let _ = tx.send((channel.to_owned(), payload));
        }));
        backplane.start();
        Self { backplane, received }
    }

    /// With the default options.
    fn of(redis: &RedisServer) -> Self {
        Self::start(RedisBackplane::new(redis.url()).unwrap())
    }

    /// With a time limit that the test waits for.
    fn impatient(redis: &RedisServer) -> Self {
        Self::start(RedisBackplane::new(redis.url()).unwrap().request_timeout(SHORT))
    }

    async fn ready(&self) {
        eventually(|| self.backplane.is_ready()).await;
    }

    async fn subscribe(&self, channel: &str) -> Result<(), BackplaneError> {
        within(self.backplane.subscribe(channel)).await
    }

    async fn publish(&self, channel: &str, payload: &'static str) -> Result<Option<u64>, BackplaneError> {
        within(self.backplane.publish(channel, Bytes::from_static(payload.as_bytes()))).await
    }

    async fn next(&mut self) -> (String, Bytes) {
        within(self.received.recv()).await.unwrap()
    }

    /// Publishes to a channel until this arrives, as after an interruption.
    async fn round_trip(&mut self, channel: &str) {
        let begin = Instant::now();
        while self.publish(channel, "round trip").await.ok().flatten() != Some(1) {
            assert!(begin.elapsed() < PATIENCE, "no publish is received");
            sleep(POLL).await;
        }
        assert_eq!(self.next().await, (channel.to_owned(), Bytes::from_static(b"round trip")));
    }
}

/// Polls a condition until it holds.
#[track_caller]
fn eventually(condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let begin = Instant::now();
        while !condition() {
            assert!(begin.elapsed() < PATIENCE, "not in time: {caller}");
            sleep(POLL).await;
        }
    }
}

const SHORT: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(10);
/// Much longer than any of the waits takes, a failover by Sentinel included.
const PATIENCE: Duration = Duration::from_secs(40);
