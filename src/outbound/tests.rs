use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{EncodedMessage, Flushers, Outbound};

pub(super) fn frame(payload: &[u8]) -> EncodedMessage {
    EncodedMessage::encode(false, |buffer| buffer.extend_from_slice(payload))
}

/// Writer with a settable capacity that counts its writes.
#[derive(Clone, Default)]
pub(super) struct Sink(Arc<Inner>);

#[derive(Default)]
struct Inner {
    written: Mutex<Vec<u8>>,
    writes: AtomicUsize,
    capacity: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

impl Sink {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let sink = Self::default();
        sink.0.capacity.store(bytes, Ordering::SeqCst);
        sink
    }

    pub(super) fn add_capacity(&self, bytes: usize) {
        self.0.capacity.fetch_add(bytes, Ordering::SeqCst);
        if let Some(waker) = self.0.waker.lock().unwrap().take() {
            waker.wake();
        }
    }

    pub(super) fn written(&self) -> Vec<u8> {
        self.0.written.lock().unwrap().clone()
    }

    fn writes(&self) -> usize {
        self.0.writes.load(Ordering::SeqCst)
    }
}

impl AsyncWrite for Sink {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, all: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let capacity = self.0.capacity.load(Ordering::SeqCst);
        if capacity == 0 {
            *self.0.waker.lock().unwrap() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let bytes: Vec<u8> = all.iter().flat_map(|slice| slice.iter().copied()).take(capacity).collect();
        self.0.writes.fetch_add(1, Ordering::SeqCst);
        self.0.capacity.fetch_sub(bytes.len(), Ordering::SeqCst);
        self.0.written.lock().unwrap().extend_from_slice(&bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub(super) fn outbound(limit: usize, sink: &Sink) -> Arc<Outbound> {
    let outbound = Outbound::new(limit, Flushers::new().next());
    outbound.attach(Box::new(sink.clone()));
    outbound
}

pub(super) async fn drained(outbound: &Outbound) {
    poll_fn(|cx| outbound.poll_drained(cx)).await;
}

#[test]
fn websocket_headers_have_the_shortest_form() {
    for (length, header) in [(0, 2), (125, 2), (126, 4), (0xffff, 4), (0x1_0000, 10)] {
        let frame = frame(&vec![b'x'; length]);
        assert_eq!(frame.bytes().len(), header + length);
        assert_eq!(frame.payload().len(), length);
        assert_eq!(frame.bytes()[0], 0x81);
    }
    let binary = EncodedMessage::encode(true, |buffer| buffer.extend_from_slice(&[7; 300]));
    assert_eq!(binary.bytes()[..4], [0x82, 126, 1, 44]);
    assert_eq!(EncodedMessage::control(vec![0x88, 0]).payload(), b"");
}

#[tokio::test]
async fn queued_messages_leave_in_one_write() {
    let sink = Sink::with_capacity(usize::MAX / 2);
    let outbound = outbound(0, &sink);
    for _ in 0..16 {
        outbound.enqueue(b"answer");
    }
    for _ in 0..16 {
        outbound.try_push(&frame(&[b'b'; 1000]));
    }
    drained(&outbound).await;
    assert_eq!(sink.writes(), 1);
    assert_eq!(sink.written().len(), 2 + 16 * 6 + 16 * 1004);
}

#[tokio::test]
async fn small_messages_merge_into_one_websocket_message() {
    let sink = Sink::with_capacity(1000);
    let outbound = outbound(0, &sink);
    outbound.enqueue(b"one");
    outbound.try_push(&frame(b"two"));
    outbound.enqueue(b"three");
    drained(&outbound).await;
    assert_eq!(sink.written(), b"\x81\x0bonetwothree");
}

#[tokio::test]
async fn messages_keep_their_order_through_short_writes() {
    let sink = Sink::with_capacity(1);
    let outbound = outbound(0, &sink);
    let mut expected = Vec::new();
    for n in 0..20u8 {
        let payload = vec![n; 700 + usize::from(n)];
        outbound.try_push(&frame(&payload));
        expected.extend_from_slice(frame(&payload).bytes());
        outbound.enqueue(&[n]);
        expected.extend_from_slice(frame(&[n]).bytes());
    }
    let writer = tokio::spawn({
        let outbound = Arc::clone(&outbound);
        async move { drained(&outbound).await }
    });
    while !writer.is_finished() {
        sink.add_capacity(13);
        tokio::task::yield_now().await;
    }
    assert_eq!(sink.written(), expected);
}

#[tokio::test]
async fn full_queues_reject_messages_and_wake_senders_after_writes() {
    let sink = Sink::with_capacity(0);
    let outbound = outbound(100, &sink);
    assert!(outbound.try_push(&frame(&[1; 98])));
    assert!(!outbound.try_push(&frame(b"more")), "100 bytes are queued");
    assert!(outbound.is_full());
    assert!(outbound.enqueue(b"an answer"), "enqueued, but the queue is full");
    let waiter = tokio::spawn({
        let outbound = Arc::clone(&outbound);
        async move { outbound.push(&frame(b"late")).await }
    });
    tokio::task::yield_now().await;
    assert!(!waiter.is_finished());
    sink.add_capacity(1000);
    drained(&outbound).await;
    waiter.await.unwrap();
    drained(&outbound).await;
    assert!(sink.written().ends_with(b"\x81\x04late"));
}

#[tokio::test]
async fn closing_queues_accept_only_the_close_message_and_the_close_frame() {
    let sink = Sink::with_capacity(1000);
    let outbound = outbound(0, &sink);
    outbound.enqueue(b"before");
    outbound.stop_accepting();
    outbound.enqueue(b"dropped");
    assert!(outbound.try_push(&frame(b"dropped")), "accepted and dropped");
    outbound.enqueue_close_message(b"bye");
    outbound.finish(&EncodedMessage::control(vec![0x88, 2, 3, 232]));
    outbound.enqueue_close_message(b"never");
    drained(&outbound).await;
    assert_eq!(sink.written(), b"\x81\x09beforebye\x88\x02\x03\xe8");
}

#[tokio::test]
async fn queues_hold_at_most_128_pongs() {
    let sink = Sink::with_capacity(0);
    let outbound = outbound(0, &sink);
    let pong = |byte| EncodedMessage::control([&[0x8a, 125], [byte; 125].as_slice()].concat());
    // The limit of pongs is independent of the queued bytes.
    outbound.enqueue(&[0; 100_000]);
    let write = || {
        let _ = outbound.poll_drained(&mut Context::from_waker(Waker::noop()));
    };
    write();
    let before = outbound.queued_bytes();
    for _ in 0..100_000 {
        outbound.enqueue_pong(&pong(1));
    }
    let queued = outbound.queued_bytes() - before;
    assert_eq!(queued, 128 * 127);
    // Half of the pongs are written, and about as many can be enqueued.
    sink.add_capacity(100_010 + 64 * 127);
    write();
    for _ in 0..100_000 {
        outbound.enqueue_pong(&pong(2));
    }
    sink.add_capacity(usize::MAX / 2);
    drained(&outbound).await;
    let pongs = sink.written()[100_010..].to_vec();
    let seconds = pongs.chunks(127).filter(|pong| pong[2..] == [2; 125]).count();
    assert_eq!(pongs.len(), (128 + seconds) * 127);
    assert!((32..=64).contains(&seconds), "{seconds}");
}

/// Returns the payloads of frames, with adjacent messages merged. The flag marks pongs.
fn pieces<'a>(frames: impl Iterator<Item = &'a [u8]>) -> Vec<(bool, Vec<u8>)> {
    let mut pieces: Vec<(bool, Vec<u8>)> = Vec::new();
    for frame in frames {
        let payload = &frame[super::frame::payload_range(frame)];
        match (frame[0] == 0x8a, pieces.last_mut()) {
            (false, Some((false, last))) => last.extend_from_slice(payload),
            (is_pong, _) => pieces.push((is_pong, payload.to_vec())),
        }
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_and_pongs_leave_in_order_through_short_writes(
        steps in proptest::collection::vec((0..6_u8, 0..700_usize, 0..40_usize), 1..100),
    ) {
        let sink = Sink::with_capacity(1);
        let outbound = outbound(0, &sink);
        let mut expected = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        for (n, (kind, size, factor)) in (0..).zip(steps) {
            let payload = vec![n; if kind == 0 { size * factor } else { size }];
            let sent = match kind {
                0 | 1 => {
                    outbound.enqueue(&payload);
                    frame(&payload)
                }
                2 | 3 => {
                    let sent = if kind == 2 { frame(&payload) } else { EncodedMessage::from_payload(&payload, false) };
                    assert!(outbound.try_push(&sent));
                    sent
                }
                4 => {
                    let pong = EncodedMessage::control(vec![0x8a, 1, n]);
                    outbound.enqueue_pong(&pong);
                    pong
                }
                _ => {
                    sink.add_capacity(size * factor);
                    let _ = outbound.poll_drained(&mut cx);
                    continue;
                }
            };
            expected.push(sent);
        }
        sink.add_capacity(usize::MAX / 2);
        assert!(outbound.poll_drained(&mut cx).is_ready());
        let written = sink.written();
        prop_assert!(pieces(super::frame::frames(&written)) == pieces(expected.iter().map(EncodedMessage::bytes)));
        let state = outbound.lock();
        prop_assert_eq!((state.bytes, state.pongs, state.written), (0, 0, 0));
    }
}

#[tokio::test]
async fn aborted_transports_wake_waiting_senders() {
    let outbound = outbound(10, &Sink::with_capacity(0));
    outbound.enqueue(&[0; 20]);
    let waiter = tokio::spawn({
        let outbound = Arc::clone(&outbound);
        async move { outbound.push(&frame(b"x")).await }
    });
    tokio::task::yield_now().await;
    outbound.abort_transport();
    waiter.await.unwrap();
    assert!(!outbound.begin_batch(&Context::from_waker(Waker::noop())));
    drained(&outbound).await;
}

#[tokio::test(start_paused = true)]
async fn stalled_writes_are_timed_until_they_complete() {
    let sink = Sink::with_capacity(0);
    let outbound = outbound(0, &sink);
    outbound.enqueue(&[0; 100]);
    let waker = Waker::noop();
    let _ = outbound.poll_drained(&mut Context::from_waker(waker));
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(outbound.stalled_for(Instant::now()), Duration::from_secs(3));
    sink.add_capacity(50);
    let _ = outbound.poll_drained(&mut Context::from_waker(waker));
    assert_eq!(outbound.stalled_for(Instant::now()), Duration::from_secs(3), "half of the write is unfinished");
    sink.add_capacity(500);
    drained(&outbound).await;
    assert_eq!(outbound.stalled_for(Instant::now()), Duration::ZERO);
}

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (listener.accept().await.unwrap().0, client)
}

#[tokio::test]
async fn flusher_writes_messages_of_other_tasks() {
    let (server, mut client) = sockets().await;
    let (flushers, stop) = (Flushers::new(), CancellationToken::new());
    flushers.start(&stop);
    let outbound = Outbound::new(0, flushers.next());
    outbound.attach_tcp(server.into_split().1);
    outbound.try_push(&frame(b"pushed"));
    let mut got = [0; 8];
    client.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"\x81\x06pushed");
}

#[tokio::test]
async fn owner_waits_for_a_slow_socket() {
    let (server, mut client) = sockets().await;
    let (flushers, stop) = (Flushers::new(), CancellationToken::new());
    flushers.start(&stop);
    let outbound = Outbound::new(0, flushers.next());
    let (_reader, writer) = server.into_split();
    outbound.attach_tcp(writer);
    let payload = vec![b'z'; 300_000];
    for _ in 0..40 {
        outbound.try_push(&frame(&payload));
    }
    let owner = tokio::spawn({
        let outbound = Arc::clone(&outbound);
        async move { drained(&outbound).await }
    });
    let mut received = 0;
    let mut buffer = vec![0; 64 * 1024];
    while received < 40 * (payload.len() + 10) {
        received += client.read(&mut buffer).await.unwrap();
    }
    owner.await.unwrap();
    assert_eq!(received, 40 * (payload.len() + 10));
}

/// Waker that locks the queue from another thread and waits for the result.
struct LockingWaker {
    outbound: Arc<Outbound>,
    locked: AtomicUsize,
}

impl Wake for LockingWaker {
    fn wake(self: Arc<Self>) {
        let (outbound, (done, is_done)) = (Arc::clone(&self.outbound), mpsc::channel());
        std::thread::spawn(move || done.send(outbound.queued_bytes()));
        let locked = is_done.recv_timeout(Duration::from_secs(5)).is_ok();
        self.locked.fetch_add(usize::from(locked), Ordering::SeqCst);
    }
}

#[tokio::test]
async fn wakers_run_without_the_lock_of_the_queue() {
    let outbound = Outbound::new(10, Flushers::new().next());
    outbound.attach_bodies(false);
    let [body, sender, owner] =
        [(); 3].map(|()| Arc::new(LockingWaker { outbound: Arc::clone(&outbound), locked: AtomicUsize::new(0) }));
    let [of_body, of_sender, of_owner] = [&body, &sender, &owner].map(|waker| Waker::from(Arc::clone(waker)));
    let take = || outbound.poll_dequeue(&Context::from_waker(&of_body), |_| {});
    outbound.begin_batch(&Context::from_waker(&of_owner));
    outbound.end_batch(&mut Context::from_waker(&of_owner));
    assert!(take().is_pending());
    assert!(outbound.enqueue(b"0123456789"));
    let mut waiting = std::pin::pin!(outbound.capacity());
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&of_sender)).is_pending());
    drop(take());
    assert_eq!([body, sender, owner].map(|waker| waker.locked.load(Ordering::SeqCst)), [1; 3]);
}

/// Waker that counts its wake-ups.
#[derive(Default)]
pub(super) struct Count(AtomicUsize);

impl Count {
    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// An owner that found the queue full processes no messages until it is woken.
#[tokio::test]
async fn owner_is_woken_when_its_own_write_empties_a_full_queue() {
    let outbound = outbound(100, &Sink::with_capacity(1000));
    let owner = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&owner));
    let mut cx = Context::from_waker(&waker);
    outbound.begin_batch(&cx);
    assert!(outbound.try_push(&frame(&[1; 98])));
    assert!(outbound.is_full());
    outbound.end_batch(&mut cx);
    assert!(!outbound.is_full());
    assert_eq!(owner.get(), 1);

    outbound.begin_batch(&cx);
    outbound.enqueue(b"below the limit");
    outbound.end_batch(&mut cx);
    assert_eq!(owner.get(), 1, "a queue that was never full wakes no task");
}

/// Writer whose flush fails, such as a TLS stream after a reset by the peer.
struct BrokenFlush;

impl AsyncWrite for BrokenFlush {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn owner_is_woken_when_a_flush_fails() {
    let outbound = Outbound::new(0, Flushers::new().next());
    outbound.attach(Box::new(BrokenFlush));
    let owner = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&owner));
    let mut cx = Context::from_waker(&waker);
    outbound.begin_batch(&cx);
    outbound.enqueue(b"buffered");
    outbound.end_batch(&mut cx);
    assert!(outbound.is_broken());
    assert_eq!(owner.get(), 1);
}
