//! Bodies of HTTP responses: Server-Sent Events and responses to polls.
//!
//! HTTP servers buffer the chunks of a body. A body therefore returns small chunks, which count as
//! queued until the HTTP server has written them, so that slow clients are detected.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use tokio::time::Instant;

use super::Outbound;
use super::frame::{frames, is_control, payload_range};
use super::state::{COALESCE_LIMIT_BYTES, QueuePhase, QueueState, Sink};

/// Maximum number of body bytes that the HTTP server has and has not written yet.
const MAX_CHUNK_BYTES: usize = 16 * 1024;

/// State of a queue that bodies of HTTP responses read.
#[derive(Default)]
pub(super) struct BodySource {
    /// Waker of the body that waits for bytes.
    taker: Option<Waker>,
    /// Number of bytes that were dequeued and are not written yet, including those that the HTTP
    /// server has.
    taken: usize,
    /// Number of bytes that the HTTP server has and has not written yet.
    handed: usize,
    /// Whether one body reads continuously (Server-Sent Events), so that queued bytes count as
    /// being written.
    streaming: bool,
}

/// Result of [`Outbound::poll_dequeue`].
#[derive(Debug)]
pub(crate) enum Dequeued {
    /// All queued messages.
    Messages(BodyChunks),
    /// No message follows.
    End,
    /// The connection was aborted.
    Broken,
}

/// Dequeued bytes, which are passed to the HTTP server in chunks.
#[derive(Debug)]
pub(crate) struct BodyChunks {
    outbound: Arc<Outbound>,
    rest: VecDeque<Bytes>,
}

impl BodySource {
    /// Whether a body waits for bytes.
    pub(super) fn is_awaited(&self) -> bool {
        self.taker.is_some()
    }
}

impl Outbound {
    /// Attaches the bodies of HTTP responses: one streaming body, or one body after another.
    pub(crate) fn attach_bodies(&self, streaming: bool) {
        self.lock().sink = Sink::Pulled(BodySource { streaming, ..BodySource::default() });
    }

    /// Dequeues all messages, transformed by `wrap`. Called by one body at a time.
    pub(crate) fn poll_dequeue(self: &Arc<Self>, cx: &Context<'_>, wrap: fn(&mut VecDeque<Bytes>)) -> Poll<Dequeued> {
        let mut state = self.lock();
        if state.phase == QueuePhase::Broken || matches!(state.sink, Sink::Gone) {
            return Poll::Ready(Dequeued::Broken);
        }
        if state.is_empty() {
            if state.phase == QueuePhase::Finished {
                return Poll::Ready(Dequeued::End);
            }
            if let Sink::Pulled(pull) = &mut state.sink {
                pull.taker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        let mut rest = state.take_payload();
        wrap(&mut rest);
        let taken = BodyChunks { outbound: Arc::clone(self), rest };
        if let Sink::Pulled(pull) = &mut state.sink {
            pull.taken += taken.len();
            // `wrap` changes the number of bytes.
            let bytes = pull.taken;
            self.recount(&mut state, bytes);
        }
        Poll::Ready(Dequeued::Messages(taken))
    }

    /// Accepts no further messages. Queued messages can still be dequeued.
    pub(crate) fn close(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.phase <= QueuePhase::Aborted {
            state.phase = QueuePhase::Finished;
            self.make_room(&mut state);
            self.arrange_write(state);
        }
    }

    /// Returns ready when all dequeued bytes are written or dropped. Called by the owner after
    /// [`close`](Self::close).
    pub(crate) fn poll_written(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        state.set_owner(cx);
        if state.is_under_way() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Drops queued and further messages, because no body will read them. Senders do not wait. The
    /// connection ends by the end of its input.
    pub(crate) fn drop_queued(&self) {
        let mut state = self.lock();
        if state.phase != QueuePhase::Broken {
            state.clear();
            state.detach();
            state.sink = Sink::Gone;
            state.wake_all();
        }
    }

    /// Waits until `len` more bytes may be passed to the HTTP server. Returns `false` if the
    /// connection was aborted.
    fn poll_hand(&self, cx: &Context<'_>, len: usize) -> Poll<bool> {
        let mut state = self.lock();
        let Sink::Pulled(pull) = &mut state.sink else { return Poll::Ready(false) };
        if pull.handed > 0 && pull.handed + len > MAX_CHUNK_BYTES {
            pull.taker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        pull.handed += len;
        Poll::Ready(true)
    }

    /// Subtracts dequeued bytes that the HTTP server has written, or that were dropped.
    fn settle(&self, handed: usize, dropped: usize) {
        let mut state = self.lock();
        let Sink::Pulled(pull) = &mut state.sink else { return };
        pull.handed -= handed;
        pull.taken -= handed + dropped;
        state.settle_stall(handed + dropped);
        let bytes = state.bytes - (handed + dropped);
        self.recount(&mut state, bytes);
        state.wake_taker();
    }

    /// Sets the number of bytes that are queued or being written.
    fn recount(&self, state: &mut QueueState, bytes: usize) {
        let was_full = self.is_over(state.bytes);
        state.bytes = bytes;
        if let Some((_, left)) = &mut state.stalled {
            *left = bytes.min(*left);
        }
        state.mark_under_way();
        self.make_room(state);
        // The owner may wait for capacity or for the end.
        if state.phase == QueuePhase::Finished || was_full && !self.is_over(bytes) {
            state.wake_owner();
        }
    }
}

impl QueueState {
    /// Wakes the body if messages are queued or the queue is no longer open.
    pub(super) fn offer(&mut self) {
        if !self.is_empty() || self.phase != QueuePhase::Open {
            self.mark_under_way();
            self.wake_taker();
        }
    }

    fn wake_taker(&mut self) {
        if let Sink::Pulled(pull) = &mut self.sink
            && let Some(taker) = pull.taker.take()
        {
            self.wake(taker);
        }
    }

    /// Removes all messages, without their WebSocket headers. Long messages stay shared with other
    /// queues.
    fn take_payload(&mut self) -> VecDeque<Bytes> {
        let mut pieces = VecDeque::new();
        let mut merged = Vec::new();
        for mut piece in mem::take(&mut self.frames) {
            let payload = payload_range(&piece);
            if payload.len() > COALESCE_LIMIT_BYTES && payload.end == piece.len() {
                flush(&mut merged, &mut pieces);
                piece.advance(payload.start);
                pieces.push_back(piece);
            } else {
                merge(&mut merged, &piece);
            }
        }
        self.tail.close(self.binary);
        merged.reserve_exact(self.tail.len());
        merge(&mut merged, self.tail.wire());
        mem::take(&mut self.tail).recycle();
        self.pongs = 0;
        flush(&mut merged, &mut pieces);
        pieces
    }

    /// Whether dequeued bytes are not written yet.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(&self.sink, Sink::Pulled(pull) if pull.taken > 0)
    }

    /// Starts the send timeout if the HTTP server has bytes to write, or, for a streaming body, if
    /// bytes are queued.
    fn mark_under_way(&mut self) {
        let Sink::Pulled(pull) = &self.sink else { return };
        let under_way = if pull.streaming { self.bytes } else { pull.taken };
        if self.stalled.is_none() && under_way > 0 {
            self.stalled = Some((Instant::now(), under_way));
        }
    }

    /// Ends a waiting body.
    pub(super) fn detach(&mut self) {
        self.wake_taker();
        self.sink = Sink::Detached;
    }
}

/// Appends the payloads of all data frames.
fn merge(merged: &mut Vec<u8>, bytes: &[u8]) {
    for frame in frames(bytes).filter(|frame| !is_control(frame)) {
        merged.extend_from_slice(&frame[payload_range(frame)]);
    }
}

fn flush(merged: &mut Vec<u8>, pieces: &mut VecDeque<Bytes>) {
    if !merged.is_empty() {
        pieces.push_back(mem::take(merged).into());
    }
}

impl BodyChunks {
    /// Returns the number of remaining bytes.
    pub(crate) fn len(&self) -> usize {
        self.rest.iter().map(Bytes::len).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the next chunk, `None` at the end, or an error if the connection was aborted before.
    pub(crate) fn poll_chunk(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, BodyAborted>>> {
        let Some(first) = self.rest.front_mut() else { return Poll::Ready(None) };
        let len = first.len().min(MAX_CHUNK_BYTES);
        if !ready!(self.outbound.poll_hand(cx, len)) {
            return Poll::Ready(Some(Err(BodyAborted)));
        }
        let bytes = first.split_to(len);
        if first.is_empty() {
            self.rest.pop_front();
        }
        Poll::Ready(Some(Ok(Bytes::from_owner(Piece { bytes, outbound: Arc::clone(&self.outbound) }))))
    }
}

impl Drop for BodyChunks {
    fn drop(&mut self) {
        if !self.is_empty() {
            self.outbound.settle(0, self.len());
        }
    }
}

/// The connection was aborted before all of a body was written.
#[derive(Debug)]
pub(crate) struct BodyAborted;

/// Chunk that the HTTP server has. The server drops it when the chunk is written or the response
/// ends.
struct Piece {
    bytes: Bytes,
    outbound: Arc<Outbound>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.outbound.settle(self.bytes.len(), 0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};
    use std::time::Duration;

    use super::super::{EncodedMessage, Flushers};
    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn queue(limit: usize, streaming: bool) -> Arc<Outbound> {
        let outbound = Outbound::new(limit, Flushers::new().next());
        outbound.attach_bodies(streaming);
        outbound
    }

    fn take(outbound: &Arc<Outbound>) -> Option<Dequeued> {
        match outbound.poll_dequeue(&Context::from_waker(Waker::noop()), |_| {}) {
            Poll::Ready(taken) => Some(taken),
            Poll::Pending => None,
        }
    }

    fn messages(outbound: &Arc<Outbound>) -> BodyChunks {
        match take(outbound) {
            Some(Dequeued::Messages(messages)) => messages,
            other => panic!("{other:?}"),
        }
    }

    fn piece(messages: &mut BodyChunks) -> Option<Option<Result<Bytes, BodyAborted>>> {
        match messages.poll_chunk(&Context::from_waker(Waker::noop())) {
            Poll::Ready(piece) => Some(piece),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn bodies_dequeue_all_messages_without_websocket_headers() {
        let outbound = queue(0, true);
        assert!(take(&outbound).is_none());
        outbound.try_push(&EncodedMessage::from_payload(b"shared", false));
        outbound.enqueue(b"own");
        let mut taken = messages(&outbound);
        assert_eq!(taken.len(), 9);
        assert_eq!(piece(&mut taken).unwrap().unwrap().unwrap(), "sharedown");
        assert!(piece(&mut taken).unwrap().is_none());
        outbound.enqueue(b"last");
        outbound.close();
        outbound.enqueue(b"late");
        assert_eq!(piece(&mut messages(&outbound)).unwrap().unwrap().unwrap(), "last");
        assert!(matches!(take(&outbound), Some(Dequeued::End)));
    }

    #[tokio::test]
    async fn dequeued_bytes_count_as_queued_until_they_are_written() {
        let outbound = queue(40_000, false);
        outbound.enqueue(&[b'x'; 40_000]);
        let mut taken = messages(&outbound);
        assert!(outbound.is_full());
        let first = piece(&mut taken).unwrap().unwrap().unwrap();
        assert_eq!(first.len(), MAX_CHUNK_BYTES);
        // The HTTP server has the maximum number of bytes.
        assert!(piece(&mut taken).is_none());
        drop(first);
        assert!(!outbound.is_full());
        let second = piece(&mut taken).unwrap().unwrap().unwrap();
        outbound.enqueue(&[b'y'; 40_000]);
        assert!(outbound.is_full());
        // The HTTP server drops both when the client disconnects.
        drop((second, taken));
        drop(messages(&outbound));
        assert!(!outbound.is_full());
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_are_not_written_stall_and_fail_when_aborted() {
        for streaming in [true, false] {
            let outbound = queue(0, streaming);
            outbound.enqueue(b"waits");
            tokio::time::advance(Duration::from_secs(5)).await;
            // Queued bytes count as being written for streaming bodies only.
            let waited = if streaming { Duration::from_secs(5) } else { Duration::ZERO };
            assert_eq!(outbound.stalled_for(Instant::now()), waited);
            let mut taken = messages(&outbound);
            tokio::time::advance(Duration::from_secs(5)).await;
            assert_eq!(outbound.stalled_for(Instant::now()), waited + Duration::from_secs(5));
            outbound.abort_transport();
            assert!(piece(&mut taken).unwrap().unwrap().is_err());
            assert!(matches!(take(&outbound), Some(Dequeued::Broken)));
        }
    }

    /// Queued bytes include WebSocket headers; dequeued bytes do not.
    #[tokio::test]
    async fn owner_is_woken_when_dequeuing_frees_capacity() {
        let outbound = queue(10, false);
        let owner = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&owner));
        let mut cx = Context::from_waker(&waker);
        outbound.begin_batch(&cx);
        outbound.try_push(&EncodedMessage::from_payload(b"12345678", false));
        assert!(outbound.is_full());
        outbound.end_batch(&mut cx);
        let taken = messages(&outbound);
        assert!(!outbound.is_full());
        assert_eq!(owner.0.load(Ordering::SeqCst), 1);
        drop(taken);
    }

    #[tokio::test(start_paused = true)]
    async fn streams_with_all_bytes_written_are_not_stalled() {
        let outbound = queue(0, true);
        let mut cx = Context::from_waker(Waker::noop());
        // The body is notified at the end of the batch, when the bytes include headers.
        outbound.begin_batch(&cx);
        for _ in 0..20 {
            outbound.try_push(&EncodedMessage::from_payload(b"short", false));
        }
        outbound.end_batch(&mut cx);
        let mut taken = messages(&outbound);
        while piece(&mut taken).unwrap().is_some() {}
        drop(taken);
        assert_eq!(outbound.queued_bytes(), 0);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(outbound.stalled_for(Instant::now()), Duration::ZERO);
    }

    #[tokio::test]
    async fn waiting_bodies_are_woken_when_messages_are_dropped() {
        let outbound = queue(0, false);
        let body = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&body));
        assert!(outbound.poll_dequeue(&Context::from_waker(&waker), |_| {}).is_pending());
        outbound.drop_queued();
        assert_eq!(body.0.load(Ordering::SeqCst), 1);
        assert!(matches!(take(&outbound), Some(Dequeued::Broken)));
    }
}
