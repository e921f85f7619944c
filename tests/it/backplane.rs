//! The memory backplane, and the conformance suite: correct backplanes pass, and faulty ones fail
//! the check of the guarantee that they violate.

use std::collections::HashMap;
use std::future::{pending, ready};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use signalr::backplane::{
    Backplane, BackplaneError, BackplaneFuture, BackplaneReceiver, BackplaneStats, MemoryBackplane, MemoryBus,
};
use signalr::testing::backplane::{self as suite, BackplaneHarness, CheckOutcome};

/// Connects memory backplanes, possibly with a fault.
#[derive(Default)]
struct MemoryHarness {
    bus: MemoryBus,
    fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    DeliversTwice,
    SkipsThePublisher,
    LosesOnePayload,
    SwapsPayloads,
    CutsPayloads,
    CallsTheReceiverTwiceAtOnce,
    CountsOneReceiverMore,
    MixesUmlauts,
    IgnoresUnsubscribe,
    SubscribesWhenPolled,
    SubscribesTwice,
    StaysReady,
    HangsWhileInterrupted,
    ForgetsSubscriptions,
    PublishesWhenClosed,
    IgnoresClose,
}

/// A memory backplane with a fault.
struct FaultyBackplane {
    inner: Arc<MemoryBackplane>,
    fault: Option<Fault>,
    is_publishing: Arc<AtomicBool>,
    /// Number of calls of `subscribe` for each channel.
    subscribed: Arc<Mutex<HashMap<String, usize>>>,
}

impl BackplaneHarness for MemoryHarness {
    type Backplane = FaultyBackplane;

    async fn connect(&self) -> FaultyBackplane {
        FaultyBackplane {
            inner: Arc::new(self.bus.connect()),
            fault: self.fault,
            is_publishing: Arc::default(),
            subscribed: Arc::default(),
        }
    }

    fn call_timeout(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn can_interrupt(&self) -> bool {
        true
    }

    async fn interrupt(&self) {
        self.bus.set_interrupted(true);
    }

    async fn restore(&self) {
        self.bus.set_interrupted(false);
    }
}

impl FaultyBackplane {
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn name(&self, channel: &str) -> String {
        if self.has(Fault::MixesUmlauts) { channel.replace('Ä', "ä") } else { channel.to_owned() }
    }
}

impl Backplane for FaultyBackplane {
    fn attach(&self, receiver: BackplaneReceiver) {
        let (fault, is_publishing) = (self.fault, Arc::clone(&self.is_publishing));
        let (subscribed, received, held) = (Arc::clone(&self.subscribed), AtomicUsize::new(0), Mutex::new(None));
        self.inner.attach(BackplaneReceiver::new(move |channel, payload| match fault {
            Some(Fault::DeliversTwice) => (0..2).for_each(|_| receiver.receive(channel, payload.clone())),
            Some(Fault::SkipsThePublisher) if is_publishing.load(Ordering::Relaxed) => (),
            Some(Fault::LosesOnePayload) if received.fetch_add(1, Ordering::Relaxed) == 70 => (),
            Some(Fault::SwapsPayloads) => {
                let earlier = held.lock().unwrap().take();
                match earlier {
                    Some(earlier) => {
                        [payload, earlier].into_iter().for_each(|payload| receiver.receive(channel, payload))
                    }
                    None => *held.lock().unwrap() = Some(payload),
                }
            }
            Some(Fault::CutsPayloads) => receiver.receive(channel, payload.slice(..payload.len().min(65_535))),
            Some(Fault::CallsTheReceiverTwiceAtOnce) => {
                let barrier = Barrier::new(2);
                let receive = || {
                    barrier.wait();
                    receiver.receive(channel, payload.clone());
                };
                std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(receive))));
            }
            Some(Fault::SubscribesTwice) => {
                let times = subscribed.lock().unwrap()[channel];
                (0..times).for_each(|_| receiver.receive(channel, payload.clone()));
            }
            _ => receiver.receive(channel, payload),
        }));
    }

    fn start(&self) {
        self.inner.start();
    }

    fn publish(&self, channel: &str, payload: Bytes) -> BackplaneFuture<Option<u64>> {
        self.is_publishing.store(true, Ordering::Relaxed);
        let published = self.inner.publish(&self.name(channel), payload).now_or_never().unwrap();
        self.is_publishing.store(false, Ordering::Relaxed);
        match (self.fault, published) {
            (Some(Fault::CountsOneReceiverMore), Ok(receivers)) => ready(Ok(receivers.map(|count| count + 1))).boxed(),
            (Some(Fault::HangsWhileInterrupted), Err(BackplaneError::Disconnected(_))) => pending().boxed(),
            (Some(Fault::PublishesWhenClosed), Err(BackplaneError::Closed)) => ready(Ok(Some(0))).boxed(),
            (_, published) => ready(published).boxed(),
        }
    }

    fn subscribe(&self, channel: &str) -> BackplaneFuture<()> {
        let (inner, channel) = (Arc::clone(&self.inner), self.name(channel));
        *self.subscribed.lock().unwrap().entry(channel.clone()).or_default() += 1;
        if self.has(Fault::SubscribesWhenPolled) {
            return async move { inner.subscribe(&channel).await }.boxed();
        }
        inner.subscribe(&channel)
    }

    fn unsubscribe(&self, channel: &str) {
        if !self.has(Fault::IgnoresUnsubscribe) {
            self.subscribed.lock().unwrap().remove(&self.name(channel));
            self.inner.unsubscribe(&self.name(channel));
        }
    }

    fn is_ready(&self) -> bool {
        let is_ready = self.inner.is_ready();
        if self.has(Fault::ForgetsSubscriptions) && !is_ready {
            self.subscribed.lock().unwrap().keys().for_each(|channel| self.inner.unsubscribe(channel));
        }
        is_ready || self.has(Fault::StaysReady)
    }

    fn stats(&self) -> BackplaneStats {
        self.inner.stats()
    }

    fn close(&self) {
        if !self.has(Fault::IgnoresClose) {
            self.inner.close();
        }
    }
}

/// Checks that the suite finds a fault, and names the guarantee.
macro_rules! faults {
    ($($check:ident: $fault:ident, $guarantee:literal;)*) => {$(
        let harness = MemoryHarness { fault: Some(Fault::$fault), ..MemoryHarness::default() };
        let outcome = AssertUnwindSafe(suite::$check(&harness)).catch_unwind().await;
        let panic = outcome.expect_err(concat!(stringify!($check), " passed: ", stringify!($fault)));
        let message = panic.downcast::<String>().unwrap();
        assert!(message.contains($guarantee), "{:?}: {message}", Fault::$fault);
    )*};
}

#[tokio::test]
async fn memory_backplane_passes_the_suite() {
    let report = suite::check(&MemoryHarness::default()).await;
    assert!(report.skipped().is_empty(), "{report}");
    assert_eq!(report.passed().len(), 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_backplane_passes_the_suite_on_several_threads() {
    let report = suite::check(&MemoryHarness::default()).await;
    assert!(report.skipped().is_empty(), "{report}");
}

#[tokio::test(start_paused = true)]
async fn faulty_backplanes_fail_the_check_of_their_guarantee() {
    faults! {
        payloads_reach_every_subscriber_once: DeliversTwice, "arrives once at each";
        payloads_reach_every_subscriber_once: SkipsThePublisher, "nothing arrived within 5s";
        payloads_of_one_task_arrive_in_order: LosesOnePayload, "arrive in the order";
        payloads_of_one_task_arrive_in_order: SwapsPayloads, "arrive in the order";
        concurrent_tasks_keep_their_orders: LosesOnePayload, "of each task arrive in order";
        payloads_are_passed_one_at_a_time: CallsTheReceiverTwiceAtOnce, "one payload of a channel at a time";
        payloads_are_opaque: CutsPayloads, "arrive unchanged";
        receivers_are_counted: CountsOneReceiverMore, "Some(1) receivers instead of 0";
        channel_names_are_literal: MixesUmlauts, "literal names";
        unsubscribed_channels_are_not_received: IgnoresUnsubscribe, "unsubscribed channel";
        last_subscribe_wins: SubscribesWhenPolled, "polled or not";
        last_unsubscribe_wins: IgnoresUnsubscribe, "polled or not";
        concurrent_subscribes_share_one_subscription: SubscribesTwice, "share a subscription";
        closed_backplanes_reject_calls: PublishesWhenClosed, "publish returned Ok(Some(0))";
        closed_backplanes_receive_nothing: IgnoresClose, "receives nothing";
        readiness_follows_the_connection: StaysReady, "is ready while it is connected";
        calls_fail_in_time_while_interrupted: HangsWhileInterrupted, "publish did not complete within 5s";
        subscriptions_are_restored_after_an_interruption: ForgetsSubscriptions, "are restored";
    }
}

#[tokio::test]
async fn checks_that_do_not_apply_are_reported() {
    struct Permanent(MemoryBus);

    impl BackplaneHarness for Permanent {
        type Backplane = MemoryBackplane;

        async fn connect(&self) -> MemoryBackplane {
            self.0.connect()
        }
    }

    let harness = Permanent(MemoryBus::new());
    let outcome = suite::readiness_follows_the_connection(&harness).await;
    assert_eq!(outcome, CheckOutcome::Skipped("the harness cannot interrupt the service"));
    let report = suite::check(&harness).await;
    assert_eq!(report.skipped().len(), 3);
    let line = "readiness_follows_the_connection: skipped, the harness cannot interrupt the service\n";
    assert!(report.to_string().contains(line), "{report}");
}

#[test]
fn receivers_of_the_memory_backplane_may_call_it() {
    let bus = MemoryBus::new();
    let backplane = Arc::new(bus.connect());
    let (weak, received) = (Arc::downgrade(&backplane), Arc::new(Mutex::new(Vec::new())));
    let log = Arc::clone(&received);
    backplane.attach(BackplaneReceiver::new(move |_, payload| {
        let backplane = weak.upgrade().unwrap();
        log.lock().unwrap().push(payload.clone());
        if payload == "first" {
            backplane.publish("a", "second".into()).now_or_never().unwrap().unwrap();
            backplane.publish("a", "not received".into()).now_or_never().unwrap().unwrap();
            backplane.publish("b", "third".into()).now_or_never().unwrap().unwrap();
        } else if payload == "second" {
            backplane.unsubscribe("a");
        }
        // The calls above have not called the receiver.
        assert_eq!(log.lock().unwrap().last(), Some(&payload));
    }));
    backplane.subscribe("a").now_or_never().unwrap().unwrap();
    backplane.subscribe("b").now_or_never().unwrap().unwrap();
    let published = backplane.publish("a", "first".into()).now_or_never().unwrap();
    assert_eq!(published, Ok(Some(1)));
    assert_eq!(*received.lock().unwrap(), ["first", "second", "third"]);
    assert_eq!(bus.channels(), ["b"]);
}
