//! One check, and the servers that take part in it.

use std::collections::HashSet;
use std::fmt::{self, Display};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::harness::BackplaneHarness;
use crate::pubsub::{Backplane, BackplaneError, BackplaneFuture, BackplaneReceiver};

/// A check that runs.
pub(super) struct GuaranteeCheck<'a, H> {
    pub(super) harness: &'a H,
    guarantee: &'static str,
    /// Random, since other checks may use the service at the same time.
    hub: String,
}

/// A server that takes part in a check. Dropping it closes its backplane.
pub(super) struct CheckedServer<B: Backplane> {
    pub(super) backplane: Arc<B>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    guarantee: &'static str,
    call_timeout: Duration,
}

/// A call of the receiver.
struct Arrival {
    channel: Box<str>,
    payload: Bytes,
    /// Another call for this channel had not returned yet.
    is_concurrent: bool,
}

impl<'a, H: BackplaneHarness> GuaranteeCheck<'a, H> {
    /// The guarantee is a sentence, which a failure shows.
    pub(super) fn new(harness: &'a H, guarantee: &'static str) -> Self {
        let mut random = [0; 8];
        getrandom::fill(&mut random).expect("the operating system provides random bytes");
        Self { harness, guarantee, hub: format!("Suite{:016x}", u64::from_ne_bytes(random)) }
    }

    /// Returns the channel of a group, which other checks do not use.
    pub(super) fn channel(&self, group: &str) -> String {
        format!("{}:group:{group}", self.hub)
    }

    /// Connects a server, and waits until it is ready.
    pub(super) async fn server(&self) -> CheckedServer<H::Backplane> {
        let backplane = Arc::new(self.harness.connect().await);
        let (tx, arrivals) = mpsc::unbounded_channel();
        backplane.attach(receiver(tx));
        backplane.start();
        let call_timeout = self.harness.call_timeout();
        let server = CheckedServer { backplane, arrivals, guarantee: self.guarantee, call_timeout };
        server.wait_until("a new backplane is ready", |backplane| backplane.is_ready()).await;
        server
    }

    /// Connects a server that is subscribed to these channels.
    pub(super) async fn subscriber(&self, channels: &[&str]) -> CheckedServer<H::Backplane> {
        let server = self.server().await;
        for channel in channels {
            server.subscribe(channel).await;
        }
        server
    }
}

impl<B: Backplane> CheckedServer<B> {
    /// Awaits a call, which must complete in time.
    pub(super) async fn call<T>(&self, name: &str, future: BackplaneFuture<T>) -> Result<T, BackplaneError> {
        match timeout(self.call_timeout, future).await {
            Ok(result) => result,
            Err(_) => self.fail(format_args!("{name} did not complete within {:?}", self.call_timeout)),
        }
    }

    /// Publishes a payload, which must not fail.
    pub(super) async fn publish(&self, channel: &str, payload: impl Into<Bytes>) -> Option<u64> {
        match self.call("publish", self.backplane.publish(channel, payload.into())).await {
            Ok(receivers) => receivers,
            Err(error) => self.fail(format_args!("publish to {channel:?} failed: {error}")),
        }
    }

    /// Subscribes to a channel, which must not fail.
    pub(super) async fn subscribe(&self, channel: &str) {
        if let Err(error) = self.call("subscribe", self.backplane.subscribe(channel)).await {
            self.fail(format_args!("subscribe to {channel:?} failed: {error}"));
        }
    }

    /// Returns the channel and the payload that arrive next.
    pub(super) async fn receive(&mut self) -> (Box<str>, Bytes) {
        let Ok(Some(arrival)) = timeout(self.call_timeout, self.arrivals.recv()).await else {
            self.fail(format_args!("nothing arrived within {:?}", self.call_timeout));
        };
        if arrival.is_concurrent {
            self.fail(format_args!("the receiver was called twice at once for {:?}", arrival.channel));
        }
        (arrival.channel, arrival.payload)
    }

    /// Waits for the payload that arrives next, which must be this one.
    pub(super) async fn expect(&mut self, channel: &str, payload: impl Into<Bytes>) {
        let (expected, (received_on, received)) = (payload.into(), self.receive().await);
        if *received_on != *channel || received != expected {
            let (received, expected) = (Excerpt(&received), Excerpt(&expected));
            self.fail(format_args!("{received} arrived on {received_on:?} instead of {expected} on {channel:?}"));
        }
    }

    /// Returns whether a probe arrives before two markers, which are published after it. A probe that
    /// passes the first marker on its way does not pass the second, which waits for the first.
    async fn receives_probe(&mut self, publisher: &Self, channel: &str, other: &str) -> bool {
        let mut is_received = false;
        for marker in ["first marker", "second marker"] {
            publisher.publish(other, marker).await;
            loop {
                let (received_on, payload) = self.receive().await;
                if *received_on == *channel && payload == "probe" && !is_received {
                    is_received = true;
                } else if *received_on == *other && payload == marker {
                    break;
                } else {
                    self.fail(format_args!("{} arrived on {received_on:?} unexpectedly", Excerpt(&payload)));
                }
            }
        }
        is_received
    }

    /// Checks that nothing arrived.
    pub(super) fn expect_nothing(&mut self) {
        if let Ok(arrival) = self.arrivals.try_recv() {
            self.fail(format_args!("{} arrived on {:?}", Excerpt(&arrival.payload), arrival.channel));
        }
    }

    /// Waits until the backplane has a state.
    pub(super) async fn wait_until(&self, state: &str, has_state: impl Fn(&B) -> bool) {
        let wait = async {
            while !has_state(&self.backplane) {
                sleep(Duration::from_millis(2)).await;
            }
        };
        if timeout(self.call_timeout, wait).await.is_err() {
            self.fail(format_args!("not within {:?}: {state}", self.call_timeout));
        }
    }

    /// Fails the check.
    pub(super) fn fail(&self, detail: impl Display) -> ! {
        panic!("a backplane guarantee is violated: {}\n  {detail}", self.guarantee)
    }
}

impl<B: Backplane> Drop for CheckedServer<B> {
    fn drop(&mut self) {
        self.backplane.close();
    }
}

/// Checks that these servers have received all payloads of the channel that were published so far,
/// and none of them twice.
///
/// The second marker is published when all servers have received the first: by then, a second copy
/// of a payload has arrived as well.
pub(super) async fn expect_no_more<B: Backplane>(
    publisher: &CheckedServer<B>,
    channel: &str,
    subscribers: &mut [&mut CheckedServer<B>],
) {
    for marker in ["first marker", "second marker"] {
        publisher.publish(channel, marker).await;
        for subscriber in &mut *subscribers {
            subscriber.expect(channel, marker).await;
        }
    }
}

/// Waits until payloads of the channel arrive at the subscriber, or do not arrive, which takes a
/// moment after `subscribe` without a wait and after `unsubscribe`. It is subscribed to `other`.
pub(super) async fn wait_until_received<B: Backplane>(
    is_received: bool,
    publisher: &CheckedServer<B>,
    channel: &str,
    subscriber: &mut CheckedServer<B>,
    other: &str,
) {
    let begin = Instant::now();
    loop {
        publisher.publish(channel, "probe").await;
        if subscriber.receives_probe(publisher, channel, other).await == is_received {
            return;
        }
        if begin.elapsed() > subscriber.call_timeout {
            let state = if is_received { "not received" } else { "still received" };
            subscriber.fail(format_args!("the channel is {state} after {:?}", subscriber.call_timeout));
        }
        sleep(Duration::from_millis(2)).await;
    }
}

fn receiver(arrivals: mpsc::UnboundedSender<Arrival>) -> BackplaneReceiver {
    let busy = Mutex::new(HashSet::<Box<str>>::new());
    BackplaneReceiver::new(move |channel, payload| {
        let is_concurrent = !busy.lock().unwrap_or_else(PoisonError::into_inner).insert(channel.into());
        // Lets a concurrent call of the receiver begin.
        std::thread::yield_now();
        busy.lock().unwrap_or_else(PoisonError::into_inner).remove(channel);
        // Fails when the check has ended.
        let _ = arrivals.send(Arrival { channel: channel.into(), payload, is_concurrent });
    })
}

/// Prints the beginning of a payload.
struct Excerpt<'a>(&'a Bytes);

impl Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        write!(f, "a payload of {} bytes, {:?}", bytes.len(), bytes.slice(..bytes.len().min(40)))
    }
}
