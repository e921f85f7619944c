//! What the bodies of HTTP responses take: streams of events, and answers to polls.
//!
//! HTTP servers buffer what a body gives them, so a body gives little at a time, and what it gave stays on the account of
//! the queue until the server has written it. A client that does not read is noticed by that.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use tokio::time::Instant;

use super::Outbound;
use super::frame::{frames, is_control, payload_range};
use super::state::{COALESCE_LIMIT_BYTES, QueuePhase, QueueState, Sink};

/// So much of a body is with the HTTP server at once.
const MAX_CHUNK_BYTES: usize = 16 * 1024;

/// The side of a queue from which bodies take.
#[derive(Default)]
pub(super) struct BodySource {
    /// The body that takes next.
    taker: Option<Waker>,
    /// Bytes that were taken and are not written yet, the share of the HTTP server included.
    taken: usize,
    /// Bytes that the HTTP server has.
    handed: usize,
    /// There is always a body, so what waits is on its way.
    streaming: bool,
}

/// What a body takes out of a queue.
#[derive(Debug)]
pub(crate) enum Dequeued {
    /// All complete messages that waited.
    Messages(BodyChunks),
    /// The last ones were taken before.
    End,
    /// The connection was given up.
    Broken,
}

/// Bytes that were taken, on their way to the HTTP server piece by piece.
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
    /// From now on bodies take what is sent: one that streams, or one after another.
    pub(crate) fn attach_bodies(&self, streaming: bool) {
        self.lock().sink = Sink::Pulled(BodySource { streaming, ..BodySource::default() });
    }

    /// Takes all that waits, in the form that `wrap` gives it. One body does so at a time.
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
            // In another form than it waited in.
            let bytes = pull.taken;
            self.recount(&mut state, bytes);
        }
        Poll::Ready(Dequeued::Messages(taken))
    }

    /// No message follows. What waits can still be taken.
    pub(crate) fn close(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.phase <= QueuePhase::Aborted {
            state.phase = QueuePhase::Finished;
            self.make_room(&mut state);
            self.arrange_write(state);
        }
    }

    /// Ready when all that was taken is written, or never will be. For the owner, once nothing follows.
    pub(crate) fn poll_written(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        state.set_owner(cx);
        if state.is_under_way() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Nobody takes any more: what is sent from now on reaches nobody, and finds room. The connection learns it from its
    /// input.
    pub(crate) fn drop_queued(&self) {
        let mut state = self.lock();
        if state.phase != QueuePhase::Broken {
            state.clear();
            state.detach();
            state.sink = Sink::Gone;
            state.wake_all();
        }
    }

    /// Whether `len` more bytes may be handed to the HTTP server; `false` once the connection was given up.
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

    /// So many taken bytes are written, or will never be.
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

    /// So much waits or is under way now.
    fn recount(&self, state: &mut QueueState, bytes: usize) {
        let was_full = self.is_over(state.bytes);
        state.bytes = bytes;
        if let Some((_, left)) = &mut state.stalled {
            *left = bytes.min(*left);
        }
        state.mark_under_way();
        self.make_room(state);
        // The owner may wait for room, or for the end.
        if state.phase == QueuePhase::Finished || was_full && !self.is_over(bytes) {
            state.wake_owner();
        }
    }
}

impl QueueState {
    /// Tells the body that something waits, or that nothing will any more.
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

    /// Without their WebSocket headers. Long messages stay shared with whoever else gets them.
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

    /// Whether something that was taken is not written yet.
    pub(super) fn is_under_way(&self) -> bool {
        matches!(&self.sink, Sink::Pulled(pull) if pull.taken > 0)
    }

    /// The time for writing runs while the HTTP server has something, and on a stream while anything waits.
    fn mark_under_way(&mut self) {
        let Sink::Pulled(pull) = &self.sink else { return };
        let under_way = if pull.streaming { self.bytes } else { pull.taken };
        if self.stalled.is_none() && under_way > 0 {
            self.stalled = Some((Instant::now(), under_way));
        }
    }

    /// Ends a body that waits.
    pub(super) fn detach(&mut self) {
        self.wake_taker();
        self.sink = Sink::Detached;
    }
}

/// Appends the messages in some frames.
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
    /// How many bytes are still to come.
    pub(crate) fn len(&self) -> usize {
        self.rest.iter().map(Bytes::len).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next piece; `None` when there is none left, `Err` if the connection was given up before that.
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

/// The connection ended before all of a body was written.
#[derive(Debug)]
pub(crate) struct BodyAborted;

/// What the HTTP server holds; it lets go when it has written it, or never will.
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
    async fn a_body_takes_all_that_waits_without_websocket_headers() {
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
    async fn what_is_taken_counts_until_it_is_written() {
        let outbound = queue(40_000, false);
        outbound.enqueue(&[b'x'; 40_000]);
        let mut taken = messages(&outbound);
        assert!(outbound.is_full());
        let first = piece(&mut taken).unwrap().unwrap().unwrap();
        assert_eq!(first.len(), MAX_CHUNK_BYTES);
        // The server has enough to write.
        assert!(piece(&mut taken).is_none());
        drop(first);
        assert!(!outbound.is_full());
        let second = piece(&mut taken).unwrap().unwrap().unwrap();
        outbound.enqueue(&[b'y'; 40_000]);
        assert!(outbound.is_full());
        // A client that left drops both.
        drop((second, taken));
        drop(messages(&outbound));
        assert!(!outbound.is_full());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_not_written_is_noticed_and_ends_with_an_error() {
        for streaming in [true, false] {
            let outbound = queue(0, streaming);
            outbound.enqueue(b"waits");
            tokio::time::advance(Duration::from_secs(5)).await;
            // Between polls nothing is on its way; to a stream it is.
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
    /// The headers of WebSockets are counted before it is taken, and not after.
    #[tokio::test]
    async fn room_that_comes_by_taking_is_told_to_the_owner() {
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
    async fn a_stream_of_which_all_is_written_is_not_stalled() {
        let outbound = queue(0, true);
        let mut cx = Context::from_waker(Waker::noop());
        // All of it, with its headers, is offered when the owner is done.
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
    async fn a_body_that_waits_hears_that_nobody_takes_any_more() {
        let outbound = queue(0, false);
        let body = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&body));
        assert!(outbound.poll_dequeue(&Context::from_waker(&waker), |_| {}).is_pending());
        outbound.drop_queued();
        assert_eq!(body.0.load(Ordering::SeqCst), 1);
        assert!(matches!(take(&outbound), Some(Dequeued::Broken)));
    }
}
