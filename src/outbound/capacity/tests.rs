use std::pin::Pin;
use std::task::Waker;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::super::tests::{Count, Sink, frame, outbound};
use super::*;

/// Sender and its waker.
struct Sender {
    future: Pin<Box<dyn Future<Output = ()>>>,
    wakes: Arc<Count>,
    /// Number of wake-ups before the last poll.
    seen: usize,
}

impl Sender {
    fn new(future: impl Future<Output = ()> + 'static) -> Self {
        Self { future: Box::pin(future), wakes: Arc::default(), seen: 0 }
    }

    /// Returns a sender that waits to push this message.
    fn pushing(outbound: &Arc<Outbound>, payload: Vec<u8>) -> Self {
        let outbound = Arc::clone(outbound);
        let mut sender = Self::new(async move { outbound.push(&frame(&payload)).await });
        assert!(!sender.poll());
        sender
    }

    /// Polls the sender and returns whether it is done.
    fn poll(&mut self) -> bool {
        self.seen = self.wakes.get();
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
    }

    fn is_woken(&self) -> bool {
        self.wakes.get() > self.seen
    }
}

/// Returns a full queue of 100 bytes, whose sink accepts no bytes.
fn full() -> (Arc<Outbound>, Sink) {
    let sink = Sink::with_capacity(0);
    let outbound = outbound(100, &sink);
    outbound.enqueue(&[0; 100]);
    (outbound, sink)
}

/// Writes queued bytes up to the capacity of the sink.
fn write(outbound: &Outbound) {
    let _ = outbound.poll_drained(&mut Context::from_waker(Waker::noop()));
}

fn woken(senders: &[Sender]) -> Vec<usize> {
    (0..senders.len()).filter(|at| senders[*at].is_woken()).collect()
}

#[test]
fn freed_capacity_wakes_only_senders_that_fit() {
    let (outbound, sink) = full();
    let mut senders: Vec<_> = (0..1000).map(|_| Sender::pushing(&outbound, vec![1; 38])).collect();
    sink.add_capacity(1000);
    write(&outbound);
    for first in 0..3 {
        assert_eq!(woken(&senders), [first]);
        assert!(senders[first].poll());
    }
    // 120 bytes are queued.
    assert!(woken(&senders).is_empty());
    let polls = senders.iter().map(|sender| sender.seen).sum::<usize>();
    assert_eq!(polls, 3);
}

#[test]
fn woken_sender_that_is_dropped_wakes_the_next() {
    let (outbound, sink) = full();
    let mut senders: Vec<_> = (0..3).map(|_| Sender::pushing(&outbound, vec![1; 38])).collect();
    sink.add_capacity(102);
    write(&outbound);
    assert_eq!(woken(&senders), [0]);
    senders.remove(0);
    assert_eq!(woken(&senders), [0]);
    // A full queue wakes no further sender.
    outbound.enqueue(&[0; 100]);
    senders.remove(0);
    assert!(woken(&senders).is_empty());
    sink.add_capacity(1000);
    write(&outbound);
    assert!(senders[0].is_woken() && senders[0].poll());
}

#[tokio::test(start_paused = true)]
async fn acknowledgement_clock_runs_while_senders_wait() {
    let outbound = outbound(1000, &Sink::with_capacity(1000));
    outbound.enable_replay(10, |_| frame(b"sequence"));
    outbound.enqueue(&[0; 20]);
    let waited = || outbound.unacknowledged_for(Instant::now()).as_secs();
    let second = || tokio::time::advance(Duration::from_secs(1));
    let mut senders = vec![Sender::pushing(&outbound, vec![1; 20])];
    second().await;
    senders.extend((0..2).map(|_| Sender::pushing(&outbound, vec![1; 20])));
    assert_eq!(waited(), 1);
    // The clock restarts for the next sender when one sender gets capacity.
    outbound.acknowledge(1);
    assert!(senders.remove(0).poll());
    second().await;
    assert_eq!(waited(), 1);
    senders.push(Sender::pushing(&outbound, vec![1; 20]));
    second().await;
    assert_eq!(waited(), 2);
    senders.drain(..2);
    assert_eq!(waited(), 1);
    // A call of the client also waits.
    outbound.mark_call_waiting();
    senders.clear();
    assert_eq!(waited(), 1);
    outbound.acknowledge(2);
    second().await;
    assert_eq!(waited(), 0);
}

#[test]
fn dropped_senders_release_their_slots_and_wakers() {
    let (outbound, sink) = full();
    let mut senders: Vec<_> = (0..100).map(|_| Sender::pushing(&outbound, vec![1])).collect();
    let wakes: Vec<_> = senders.iter().map(|sender| Arc::clone(&sender.wakes)).collect();
    for at in [50, 0, 97] {
        senders.remove(at);
    }
    assert_eq!(wakes.iter().filter(|wakes| Arc::strong_count(wakes) == 1).count(), 3);
    sink.add_capacity(1000);
    write(&outbound);
    assert_eq!(woken(&senders), [0]);
    senders.clear();
    assert!(wakes.iter().all(|wakes| Arc::strong_count(wakes) == 1));
    assert!(outbound.lock().waiters.is_none());
}

#[test]
fn woken_sender_without_capacity_keeps_its_place() {
    let (outbound, sink) = full();
    let mut senders: Vec<_> = (0..3).map(|_| Sender::pushing(&outbound, vec![1; 38])).collect();
    for _ in 0..2 {
        sink.add_capacity(102);
        write(&outbound);
        assert_eq!(woken(&senders), [0]);
        outbound.enqueue(&[0; 100]);
        assert!(!senders[0].poll());
        assert!(woken(&senders).is_empty());
    }
}

#[test]
fn later_senders_do_not_overtake_waiting_ones() {
    let (outbound, sink) = full();
    let mut first = Sender::pushing(&outbound, b"first".to_vec());
    sink.add_capacity(40);
    write(&outbound);
    assert!(!first.is_woken() && !outbound.is_full(), "62 bytes are queued");
    assert!(!outbound.try_push(&frame(b"second")));
    let mut second = Sender::pushing(&outbound, b"second".to_vec());
    sink.add_capacity(1000);
    write(&outbound);
    assert!(first.poll() && second.poll());
    write(&outbound);
    assert!(sink.written().ends_with(b"\x81\x05first\x81\x06second"));
}

/// The future is not polled after it is woken, as by a `select!` in a loop.
#[test]
fn unpolled_woken_sender_does_not_block_later_senders() {
    let (outbound, sink) = full();
    let mut senders: Vec<_> = (0..3).map(|_| Sender::pushing(&outbound, vec![1; 8])).collect();
    sink.add_capacity(1000);
    write(&outbound);
    assert_eq!(woken(&senders), [0]);
    senders.push(Sender::pushing(&outbound, vec![1; 8]));
    for at in [1, 2, 3] {
        assert!(senders[at].is_woken() && senders[at].poll());
    }
}

#[test]
fn waiting_for_capacity_without_a_message_uses_none() {
    let (outbound, sink) = full();
    let mut senders: Vec<_> = (0..3)
        .map(|_| {
            let outbound = Arc::clone(&outbound);
            Sender::new(async move { outbound.capacity().await })
        })
        .collect();
    assert!(!senders.iter_mut().any(Sender::poll));
    sink.add_capacity(1000);
    write(&outbound);
    for sender in &mut senders {
        assert!(sender.is_woken() && sender.poll());
    }
    assert!(outbound.lock().waiters.is_none());
}

#[test]
fn senders_are_woken_by_every_end_of_the_queue() {
    let ends: [fn(&Arc<Outbound>); 6] = [
        |outbound| outbound.stop_accepting(),
        |outbound| outbound.abort_transport(),
        |outbound| outbound.drop_queued(),
        |outbound| outbound.close(),
        |outbound| outbound.enqueue_close_message(b"Close"),
        |outbound| outbound.finish(&EncodedMessage::control(vec![0x88, 0])),
    ];
    for end in ends {
        let (outbound, _sink) = full();
        let mut senders: Vec<_> = (0..3).map(|_| Sender::pushing(&outbound, vec![1])).collect();
        end(&outbound);
        assert_eq!(woken(&senders).len(), 3);
        // A queue that drops its messages stays open and has capacity.
        assert!(senders.iter_mut().all(Sender::poll));
        assert!(outbound.lock().waiters.is_none());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    WriteInTurn(usize),
    Capacity,
    Own(usize),
    /// The sink accepts more bytes, and the owner writes.
    Take(usize),
    Acknowledge,
    Lose,
    Attach,
    /// Polls the sender at this index, woken or not.
    Poll(usize),
    Drop(usize),
    /// Polls the sender that was woken first.
    Run,
    End,
}

fn step() -> impl Strategy<Value = Step> {
    let size = || 1..80_usize;
    prop_oneof![
        8 => size().prop_map(Step::Push),
        3 => size().prop_map(Step::WriteInTurn),
        2 => Just(Step::Capacity),
        2 => size().prop_map(Step::Own),
        8 => (1..150_usize).prop_map(Step::Take),
        4 => Just(Step::Acknowledge),
        1 => Just(Step::Lose),
        1 => Just(Step::Attach),
        3 => (0..20_usize).prop_map(Step::Poll),
        3 => (0..20_usize).prop_map(Step::Drop),
        8 => Just(Step::Run),
    ]
}

/// Senders of one queue, in order of arrival.
struct Model {
    outbound: Arc<Outbound>,
    sink: Sink,
    senders: Vec<(usize, Sender)>,
    /// Woken senders, in the order of their wake-ups.
    ready: Vec<usize>,
    arrived: usize,
    done: Vec<usize>,
}

impl Model {
    fn new(limit: usize, kept: Option<usize>) -> Self {
        let sink = Sink::with_capacity(0);
        let outbound = outbound(limit, &sink);
        if let Some(limit) = kept {
            outbound.enable_replay(limit, |_| frame(b"sequence"));
        }
        Self { outbound, sink, senders: Vec::new(), ready: Vec::new(), arrived: 0, done: Vec::new() }
    }

    fn apply(&mut self, step: &Step) {
        let outbound = Arc::clone(&self.outbound);
        match *step {
            Step::Push(size) => self.add_sender(async move { outbound.push(&frame(&vec![1; size])).await }),
            Step::WriteInTurn(size) => self.add_sender(async move { outbound.enqueue_in_turn(&vec![2; size]).await }),
            Step::Capacity => self.add_sender(async move { outbound.capacity().await }),
            Step::Own(size) => drop(outbound.enqueue(&vec![3; size])),
            Step::Take(size) => {
                self.sink.add_capacity(size);
                write(&outbound);
            }
            Step::Acknowledge => outbound.acknowledge(i64::MAX),
            Step::Lose => drop(outbound.on_transport_lost()),
            Step::Attach => outbound.attach(Box::new(self.sink.clone())),
            Step::Poll(at) if at < self.senders.len() => self.poll(at),
            Step::Drop(at) if at < self.senders.len() => {
                let (number, _) = self.senders.remove(at);
                self.ready.retain(|ready| *ready != number);
            }
            Step::Run => self.run(),
            Step::End => outbound.stop_accepting(),
            Step::Poll(_) | Step::Drop(_) => {}
        }
        self.note_woken();
    }

    fn add_sender(&mut self, future: impl Future<Output = ()> + 'static) {
        self.arrived += 1;
        self.senders.push((self.arrived, Sender::new(future)));
        self.poll(self.senders.len() - 1);
    }

    fn poll(&mut self, at: usize) {
        let number = self.senders[at].0;
        self.ready.retain(|ready| *ready != number);
        if self.senders[at].1.poll() {
            self.senders.remove(at);
            self.done.push(number);
        }
    }

    fn run(&mut self) {
        if let Some(number) = self.ready.first() {
            let at = self.senders.iter().position(|(other, _)| other == number).unwrap();
            self.poll(at);
        }
    }

    /// Asserts that senders are woken in order of arrival: all sleeping senders are later ones.
    fn note_woken(&mut self) {
        let fresh: Vec<usize> = self
            .senders
            .iter()
            .filter(|(number, sender)| sender.is_woken() && !self.ready.contains(number))
            .map(|(number, _)| *number)
            .collect();
        let asleep = self.senders.iter().find(|(_, sender)| !sender.is_woken()).map(|(number, _)| *number);
        if let (Some(last), Some(asleep)) = (fresh.last(), asleep) {
            assert!(*last < asleep, "{last} was woken before {asleep}");
        }
        self.ready.extend(fresh);
    }

    fn poll_all_woken(&mut self) {
        while !self.ready.is_empty() {
            self.apply(&Step::Run);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn senders_keep_their_order_and_never_wait_despite_capacity(
        steps in proptest::collection::vec(step(), 1..80),
        limit in 0..120_usize,
        kept in proptest::option::of(0..200_usize),
        prompt in any::<bool>(),
        ends in any::<bool>(),
    ) {
        let mut model = Model::new(limit, kept);
        for step in &steps {
            model.apply(step);
            if prompt {
                model.poll_all_woken();
            }
        }
        if prompt {
            // Also after polls without a wake-up.
            prop_assert!(model.done.is_sorted(), "{:?}", model.done);
        }
        model.poll_all_woken();
        if ends {
            model.apply(&Step::End);
        } else {
            model.apply(&Step::Attach);
            for _ in 0..=steps.len() {
                model.apply(&Step::Acknowledge);
                model.apply(&Step::Take(1_000_000));
                model.poll_all_woken();
            }
        }
        model.poll_all_woken();
        prop_assert!(model.senders.is_empty(), "{} of {} still wait", model.senders.len(), model.arrived);
        prop_assert!(model.outbound.lock().waiters.is_none());
    }
}
