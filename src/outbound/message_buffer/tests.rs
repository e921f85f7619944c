use std::io;
use std::pin::Pin;
use std::task::{Poll, Waker};

use tokio::io::AsyncWrite;

use super::super::Flushers;
use super::super::tests::{Count, Sink, drained, frame, outbound};
use super::*;

fn keeping(limit: usize, sink: &Sink) -> Arc<Outbound> {
    let outbound = outbound(0, sink);
    outbound.enable_replay(limit, |sequence_id| frame(format!("from {sequence_id}").as_bytes()));
    outbound
}

fn big() -> Sink {
    Sink::with_room(usize::MAX / 2)
}

/// What a new socket gets, as text without the headers of short messages.
async fn resumed(outbound: &Outbound) -> String {
    let sink = big();
    outbound.attach(Box::new(sink.clone()));
    drained(outbound).await;
    let mut bytes = &sink.taken()[..];
    let mut payload = Vec::new();
    while let [0x81, length, rest @ ..] = bytes {
        let (message, rest) = rest.split_at((*length).into());
        payload.extend_from_slice(message);
        payload.push(b'|');
        bytes = rest;
    }
    assert!(bytes.is_empty());
    String::from_utf8(payload).unwrap()
}

#[tokio::test]
async fn what_is_not_acknowledged_goes_first_to_the_next_socket() {
    let outbound = keeping(1000, &big());
    assert_eq!(resumed(&outbound).await, "from 1|");
    outbound.enqueue(b"one");
    outbound.try_push(&frame(b"two"));
    outbound.try_push_uncounted(&frame(b"ping"));
    outbound.enqueue(b"three");
    drained(&outbound).await;
    assert_eq!(resumed(&outbound).await, "from 1|one|two|three|");
    outbound.acknowledge(2);
    assert_eq!(resumed(&outbound).await, "from 3|three|");
    outbound.acknowledge(3);
    assert_eq!(resumed(&outbound).await, "from 4|");
}

#[tokio::test]
async fn without_a_socket_messages_wait_for_the_next_one() {
    let outbound = keeping(1000, &Sink::with_room(3));
    outbound.enqueue(b"was under way");
    let _ = outbound.poll_drained(&mut Context::from_waker(Waker::noop()));
    assert!(outbound.on_transport_lost());
    drained(&outbound).await;
    outbound.enqueue(b"own");
    assert!(outbound.try_push(&frame(b"shared")));
    assert!(!outbound.try_push_uncounted(&frame(b"ping")));
    outbound.enqueue_pong(&EncodedMessage::control(vec![0x8a, 0]));
    drained(&outbound).await;
    assert_eq!(outbound.stalled_for(Instant::now()), Duration::ZERO);
    assert_eq!(resumed(&outbound).await, "from 1|was under way|own|shared|");
    outbound.enqueue(b"again with a socket");
    drained(&outbound).await;
}

#[tokio::test]
async fn acknowledgements_of_the_future_free_what_was_sent() {
    let outbound = keeping(1000, &big());
    outbound.enqueue(b"one");
    outbound.acknowledge(-1);
    assert_eq!(resumed(&outbound).await, "from 1|one|");
    outbound.acknowledge(i64::MAX);
    assert_eq!(resumed(&outbound).await, "from 2|");
    outbound.enqueue(b"two");
    assert_eq!(resumed(&outbound).await, "from 2|two|");
}

#[tokio::test]
async fn long_frames_are_kept_and_not_copied() {
    let outbound = keeping(10_000, &big());
    let shared = frame(&[b'x'; 2000]);
    outbound.try_push(&shared);
    outbound.enqueue(&[b'y'; 2000]);
    let state = outbound.lock();
    let kept: Vec<_> = state.replay.as_ref().unwrap().kept.frames().collect();
    assert_eq!(kept[0].as_ptr(), shared.bytes().as_ptr());
    // A message of the connection itself leaves from where it is kept.
    assert_eq!(kept[1].as_ptr(), state.frames[1].as_ptr());
}

#[tokio::test(start_paused = true)]
async fn beyond_the_limit_senders_wait_for_acknowledgements() {
    let outbound = keeping(10, &big());
    assert!(outbound.try_push(&frame(b"0123456789")));
    assert!(outbound.try_push(&frame(b"crosses")));
    drained(&outbound).await;
    assert!(!outbound.try_push(&frame(b"late")));
    assert!(outbound.enqueue(b"an answer"), "taken, but the queue is full");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(outbound.unacknowledged_for(Instant::now()), Duration::ZERO, "nobody waits");

    let waiter = tokio::spawn({
        let outbound = Arc::clone(&outbound);
        async move { outbound.push(&frame(b"late")).await }
    });
    tokio::task::yield_now().await;
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(outbound.unacknowledged_for(Instant::now()), Duration::from_secs(2));
    outbound.acknowledge(1);
    tokio::task::yield_now().await;
    assert!(!waiter.is_finished(), "16 bytes are kept");
    assert_eq!(outbound.unacknowledged_for(Instant::now()), Duration::from_secs(2));
    outbound.acknowledge(2);
    waiter.await.unwrap();
    assert_eq!(outbound.unacknowledged_for(Instant::now()), Duration::ZERO);
    assert_eq!(resumed(&outbound).await, "from 3|an answer|late|");
}

/// The running call of a connection waits in the connection's own task, which must come to rest.
#[tokio::test]
async fn who_waits_for_an_acknowledgement_is_not_woken_by_writes() {
    let outbound = keeping(2, &big());
    outbound.enqueue(b"full");
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut cx = Context::from_waker(&waker);
    let mut waiting = std::pin::pin!(outbound.capacity());
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    for _ in 0..3 {
        outbound.begin_batch(&cx);
        outbound.end_batch(&mut cx);
    }
    assert!(outbound.on_transport_lost());
    assert_eq!(count.get(), 0);
    outbound.acknowledge(1);
    assert_eq!(count.get(), 1);
    assert!(waiting.as_mut().poll(&mut cx).is_ready());
}

/// The peer is gone.
struct Reset;

impl AsyncWrite for Reset {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_loses_the_socket_alone() {
    let outbound = keeping(1000, &big());
    outbound.attach(Box::new(Reset));
    outbound.enqueue(b"into the void");
    drained(&outbound).await;
    assert!(!outbound.is_broken() && outbound.can_resume());
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(outbound.disconnected_for(Instant::now()), Duration::from_secs(3));
    assert_eq!(resumed(&outbound).await, "from 1|into the void|");
    assert_eq!(outbound.disconnected_for(Instant::now()), Duration::ZERO);

    let other = Outbound::new(0, Flushers::new().next());
    other.attach(Box::new(Reset));
    other.enqueue(b"into the void");
    drained(&other).await;
    assert!(other.is_broken());
}

#[tokio::test]
async fn the_end_is_not_replayed() {
    let sink = big();
    let outbound = keeping(1000, &sink);
    outbound.enqueue(b"one");
    outbound.enqueue_close_message(b"bye");
    assert!(!outbound.can_resume() && !outbound.on_transport_lost());
    drained(&outbound).await;
    assert!(sink.taken().ends_with(b"onebye"));

    let away = keeping(1000, &big());
    away.on_transport_lost();
    let waiter = tokio::spawn({
        let away = Arc::clone(&away);
        away.enqueue(&[0; 2000]);
        async move { away.capacity().await }
    });
    tokio::task::yield_now().await;
    away.enqueue_close_message(b"bye");
    assert!(away.is_broken(), "nobody hears it");
    waiter.await.unwrap();
}

#[tokio::test]
async fn the_old_socket_is_told_unless_in_the_middle_of_a_frame() {
    let goodbye = EncodedMessage::control(vec![0x88, 2, 3, 232]);
    let mut cx = Context::from_waker(Waker::noop());
    let sink = big();
    let outbound = keeping(1000, &sink);
    outbound.close_superseded(&goodbye, &mut cx);
    assert_eq!(sink.taken(), [0x88, 2, 3, 232]);

    let sink = Sink::with_room(3);
    let outbound = keeping(1000, &sink);
    outbound.enqueue(b"half");
    let _ = outbound.poll_drained(&mut cx);
    sink.make_room(100);
    outbound.close_superseded(&goodbye, &mut cx);
    assert_eq!(sink.taken(), b"\x81\x04h");
    assert_eq!(resumed(&outbound).await, "from 1|half|");
}

#[tokio::test]
async fn owner_is_woken_once_when_acknowledgements_begin_to_be_missing() {
    let outbound = keeping(1000, &Sink::with_room(3));
    let owner = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&owner));
    let mut cx = Context::from_waker(&waker);
    outbound.begin_batch(&cx);
    outbound.enqueue(b"the socket takes a part of this");
    outbound.end_batch(&mut cx);
    let others = owner.get();
    assert!(outbound.try_push(&frame(&[1; 100])));
    assert_eq!(owner.get(), others, "the socket is stalled, and there is capacity");
    assert!(outbound.try_push(&frame(&[1; 1000])));
    assert_eq!(owner.get(), others + 1);
    assert!(outbound.full_reason() == Some(crate::outbound::FullReason::Unacknowledged));
    assert_eq!(owner.get(), others + 1);
}

#[tokio::test]
async fn owner_at_work_is_woken_when_acknowledgements_begin_to_be_missing() {
    let outbound = keeping(1000, &big());
    let owner = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&owner));
    let mut cx = Context::from_waker(&waker);
    outbound.begin_batch(&cx);
    assert!(outbound.full_reason().is_none());
    assert!(outbound.try_push(&frame(&[1; 2000])));
    outbound.end_batch(&mut cx);
    assert_eq!(owner.get(), 1);
}
