use std::io;
use std::pin::Pin;
use std::task::{Poll, Waker};

use tokio::io::AsyncWrite;

use super::super::Flushers;
use super::super::tests::{Count, Sink, drained, frame, outbound};
use super::*;

fn with_message_buffer(limit: usize, sink: &Sink) -> Arc<Outbound> {
    let outbound = outbound(0, sink);
    outbound.enable_replay(limit, |sequence_id| frame(format!("from {sequence_id}").as_bytes()));
    outbound
}

fn unbounded_sink() -> Sink {
    Sink::with_capacity(usize::MAX / 2)
}

/// Attaches a new socket and returns the messages written to it, as text without WebSocket headers.
async fn resumed(outbound: &Outbound) -> String {
    let sink = unbounded_sink();
    outbound.attach(Box::new(sink.clone()));
    drained(outbound).await;
    let mut bytes = &sink.written()[..];
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
async fn unacknowledged_messages_are_resent_first_on_the_next_socket() {
    let outbound = with_message_buffer(1000, &unbounded_sink());
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
async fn messages_enqueued_without_a_socket_are_sent_on_the_next_one() {
    let outbound = with_message_buffer(1000, &Sink::with_capacity(3));
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
async fn acknowledgements_of_unsent_messages_release_all_sent_ones() {
    let outbound = with_message_buffer(1000, &unbounded_sink());
    outbound.enqueue(b"one");
    outbound.acknowledge(-1);
    assert_eq!(resumed(&outbound).await, "from 1|one|");
    outbound.acknowledge(i64::MAX);
    assert_eq!(resumed(&outbound).await, "from 2|");
    outbound.enqueue(b"two");
    assert_eq!(resumed(&outbound).await, "from 2|two|");
}

#[tokio::test]
async fn long_frames_are_retained_without_a_copy() {
    let outbound = with_message_buffer(10_000, &unbounded_sink());
    let shared = frame(&[b'x'; 2000]);
    outbound.try_push(&shared);
    outbound.enqueue(&[b'y'; 2000]);
    let state = outbound.lock();
    let kept: Vec<_> = state.replay.as_ref().unwrap().kept.frames().collect();
    assert_eq!(kept[0].as_ptr(), shared.bytes().as_ptr());
    // The queue shares the retained buffer of a message of the connection itself.
    assert_eq!(kept[1].as_ptr(), state.frames[1].as_ptr());
}

#[tokio::test(start_paused = true)]
async fn senders_above_the_limit_wait_for_acknowledgements() {
    let outbound = with_message_buffer(10, &unbounded_sink());
    assert!(outbound.try_push(&frame(b"0123456789")));
    assert!(outbound.try_push(&frame(b"crosses")));
    drained(&outbound).await;
    assert!(!outbound.try_push(&frame(b"late")));
    assert!(outbound.enqueue(b"an answer"), "enqueued, but the queue is full");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(outbound.unacknowledged_for(Instant::now()), Duration::ZERO, "no sender waits");

    let waiter = tokio::spawn({
        let outbound = Arc::clone(&outbound);
        async move { outbound.push(&frame(b"late")).await }
    });
    tokio::task::yield_now().await;
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(outbound.unacknowledged_for(Instant::now()), Duration::from_secs(2));
    outbound.acknowledge(1);
    tokio::task::yield_now().await;
    assert!(!waiter.is_finished(), "16 bytes are retained");
    assert_eq!(outbound.unacknowledged_for(Instant::now()), Duration::from_secs(2));
    outbound.acknowledge(2);
    waiter.await.unwrap();
    assert_eq!(outbound.unacknowledged_for(Instant::now()), Duration::ZERO);
    assert_eq!(resumed(&outbound).await, "from 3|an answer|late|");
}

/// A running call waits in the connection task, which must become idle.
#[tokio::test]
async fn senders_waiting_for_acknowledgements_are_not_woken_by_writes() {
    let outbound = with_message_buffer(2, &unbounded_sink());
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

/// Writer that fails with a connection reset.
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
async fn failed_writes_detach_the_socket_and_keep_the_connection() {
    let outbound = with_message_buffer(1000, &unbounded_sink());
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
async fn close_messages_are_not_resent() {
    let sink = unbounded_sink();
    let outbound = with_message_buffer(1000, &sink);
    outbound.enqueue(b"one");
    outbound.enqueue_close_message(b"bye");
    assert!(!outbound.can_resume() && !outbound.on_transport_lost());
    drained(&outbound).await;
    assert!(sink.written().ends_with(b"onebye"));

    let detached = with_message_buffer(1000, &unbounded_sink());
    detached.on_transport_lost();
    let waiter = tokio::spawn({
        let detached = Arc::clone(&detached);
        detached.enqueue(&[0; 2000]);
        async move { detached.capacity().await }
    });
    tokio::task::yield_now().await;
    detached.enqueue_close_message(b"bye");
    assert!(detached.is_broken(), "no socket can receive the Close message");
    waiter.await.unwrap();
}

#[tokio::test]
async fn superseded_sockets_receive_a_close_frame_unless_a_frame_is_partly_written() {
    let close_frame = EncodedMessage::control(vec![0x88, 2, 3, 232]);
    let mut cx = Context::from_waker(Waker::noop());
    let sink = unbounded_sink();
    let outbound = with_message_buffer(1000, &sink);
    outbound.close_superseded(&close_frame, &mut cx);
    assert_eq!(sink.written(), [0x88, 2, 3, 232]);

    let sink = Sink::with_capacity(3);
    let outbound = with_message_buffer(1000, &sink);
    outbound.enqueue(b"half");
    let _ = outbound.poll_drained(&mut cx);
    sink.add_capacity(100);
    outbound.close_superseded(&close_frame, &mut cx);
    assert_eq!(sink.written(), b"\x81\x04h");
    assert_eq!(resumed(&outbound).await, "from 1|half|");
}

#[tokio::test]
async fn owner_is_woken_once_when_the_message_buffer_becomes_full() {
    let outbound = with_message_buffer(1000, &Sink::with_capacity(3));
    let owner = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&owner));
    let mut cx = Context::from_waker(&waker);
    outbound.begin_batch(&cx);
    outbound.enqueue(b"the socket takes a part of this");
    outbound.end_batch(&mut cx);
    let before = owner.get();
    assert!(outbound.try_push(&frame(&[1; 100])));
    assert_eq!(owner.get(), before, "the socket is stalled, and there is capacity");
    assert!(outbound.try_push(&frame(&[1; 1000])));
    assert_eq!(owner.get(), before + 1);
    assert!(outbound.full_reason() == Some(crate::outbound::FullReason::Unacknowledged));
    assert_eq!(owner.get(), before + 1);
}

#[tokio::test]
async fn owner_in_a_batch_is_woken_when_the_message_buffer_becomes_full() {
    let outbound = with_message_buffer(1000, &unbounded_sink());
    let owner = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&owner));
    let mut cx = Context::from_waker(&waker);
    outbound.begin_batch(&cx);
    assert!(outbound.full_reason().is_none());
    assert!(outbound.try_push(&frame(&[1; 2000])));
    outbound.end_batch(&mut cx);
    assert_eq!(owner.get(), 1);
}
