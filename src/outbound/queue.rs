//! The queue of one connection: bounded in bytes, written in batches.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::Instant;

use super::state::{Locked, QueuePhase, QueueState, Sink};
use super::{EncodedMessage, Flusher};

/// Maximum number of pongs that wait: 16 KiB where each has the longest payload.
const MAX_PONGS: u8 = 128;

/// What waits to be sent to one connection.
///
/// Whoever sends finds room or is told that there is none; it is never buffered beyond the limit and the message that
/// crosses it. The connection's task *owns* the queue: it alone waits for the socket to take more.
pub(crate) struct Outbound {
    state: Mutex<QueueState>,
    flusher: Arc<Flusher>,
    /// Bytes that may wait before senders must (ASP.NET: `TransportMaxBufferSize`); 0 is no limit.
    limit: usize,
}

/// Why senders must wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FullReason {
    /// The limit of queued bytes is reached, whatever else is.
    Bytes,
    /// The client has not acknowledged enough.
    Unacknowledged,
}

impl Outbound {
    pub(crate) fn new(limit: usize, flusher: Arc<Flusher>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(QueueState::new()), flusher, limit })
    }

    /// From now on bytes go to this TCP socket.
    pub(crate) fn attach_tcp(&self, socket: OwnedWriteHalf) {
        self.lock().attach(Sink::Tcp(socket));
    }

    /// From now on bytes go to this writer, by way of the owner.
    pub(crate) fn attach(&self, writer: Box<dyn AsyncWrite + Send + Unpin>) {
        self.lock().attach(Sink::Owned(writer));
    }

    /// Messages written here, not pushed as [`EncodedMessage`]s, leave as binary WebSocket messages from now on.
    pub(crate) fn set_binary(&self) {
        self.lock().binary = true;
    }

    /// Queues a complete message of the connection itself and says whether the queue is full now. It is taken even then:
    /// who answers calls takes no further one until there is room.
    pub(crate) fn enqueue(self: &Arc<Self>, message: &[u8]) -> bool {
        let mut state = self.lock();
        if state.phase != QueuePhase::Open {
            return false;
        }
        state.write(message);
        let full = !self.has_room(&state);
        self.arrange_write(state);
        full
    }

    /// Queues a shared message. Returns `false` where there is no capacity, or where other senders wait for it. Messages
    /// to a connection that has ended are taken and dropped.
    pub(crate) fn try_push(self: &Arc<Self>, frame: &EncodedMessage) -> bool {
        let mut state = self.lock();
        if state.phase == QueuePhase::Open {
            if !self.has_room(&state) || state.waiters.is_some() {
                return false;
            }
            state.send(frame);
            self.arrange_write(state);
        }
        true
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full_reason().is_some()
    }

    /// Why senders must wait, if they must.
    pub(crate) fn full_reason(&self) -> Option<FullReason> {
        let state = self.lock();
        if state.phase != QueuePhase::Open {
            None
        } else if self.is_over(state.bytes) {
            Some(FullReason::Bytes)
        } else if state.awaits_acknowledgement() {
            Some(FullReason::Unacknowledged)
        } else {
            None
        }
    }

    /// The owner sets to work: others leave the writing to it until [`end`](Self::end). `false` if the transport is gone.
    pub(crate) fn begin_batch(&self, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        state.busy = true;
        state.set_owner(cx);
        state.phase != QueuePhase::Broken
    }

    /// Writes what the owner has gathered so far, and goes on.
    pub(crate) fn flush_batch(&self, cx: &mut Context<'_>) {
        let mut state = self.lock();
        if !state.is_empty() {
            self.write_out(&mut state, Some(cx));
        }
    }

    /// The owner is done for now: writes everything, or waits for the socket with the task of `cx`.
    pub(crate) fn end_batch(&self, cx: &mut Context<'_>) {
        let mut state = self.lock();
        state.busy = false;
        let was_over = self.is_over(state.bytes);
        self.write_out(&mut state, Some(cx));
        // The owner may have found the queue full just now, and waits for nothing else.
        if was_over && !self.is_over(state.bytes) {
            state.wake_owner();
        }
    }

    /// Drives `future` in the owner's task, and the writing beside it.
    ///
    /// # Cancel safety
    ///
    /// That of `future`.
    pub(crate) async fn drive<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            // Before it is polled, so that a wake-up meanwhile is not lost.
            self.lock().set_owner(cx);
            let polled = future.as_mut().poll(cx);
            self.write_out(&mut self.lock(), Some(cx));
            polled
        })
        .await
    }

    /// Ready when everything is written, or nothing can be any more. For the owner.
    pub(crate) fn poll_drained(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        state.set_owner(cx);
        self.write_out(&mut state, Some(cx));
        let under_way = state.unflushed || state.is_under_way();
        if state.is_empty() && !under_way { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ends the stream in its own way, such as TLS's goodbye. A TCP socket has none: it closes. For the owner.
    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.lock().sink {
            Sink::Owned(writer) => Pin::new(writer).poll_shutdown(cx).map(drop),
            _ => Poll::Ready(()),
        }
    }

    /// Writes what the socket takes now; called by the flusher.
    pub(super) fn flush(&self) {
        let mut state = self.lock();
        state.scheduled = false;
        if !state.busy && !state.blocked {
            self.write_out(&mut state, None);
        }
    }

    /// Drops all further messages but [`last_words`](Self::last_words). Wakes the owner.
    pub(crate) fn stop_accepting(&self) {
        let mut state = self.lock();
        if state.phase == QueuePhase::Open {
            state.phase = QueuePhase::Aborted;
        }
        state.wake_all();
    }

    /// Queues the hub's Close message, after which nothing but the end of the transport follows.
    pub(crate) fn enqueue_close_message(self: &Arc<Self>, message: &[u8]) {
        let mut state = self.lock();
        if state.phase <= QueuePhase::Aborted {
            state.phase = QueuePhase::Aborted;
            if state.is_away() {
                state.abort_transport();
                return state.wake_all();
            }
            // Nobody resumes what has come to its end.
            state.replay = None;
            state.append(message);
            self.make_room(&mut state);
            self.arrange_write(state);
        }
    }

    /// Queues the transport's own goodbye; from here on nothing is taken.
    pub(crate) fn finish(self: &Arc<Self>, close_frame: &EncodedMessage) {
        let mut state = self.lock();
        if state.is_away() {
            state.abort_transport();
            state.wake_all();
        } else if state.phase <= QueuePhase::Aborted {
            state.add(close_frame.bytes());
            state.phase = QueuePhase::Finished;
            self.make_room(&mut state);
            self.arrange_write(state);
        }
    }

    /// Queues the answer to a ping. Where [`MAX_PONGS`] wait, it is dropped: the peer does not read (RFC 6455 § 5.5.3
    /// allows to leave pings unanswered while others wait).
    pub(crate) fn enqueue_pong(self: &Arc<Self>, frame: &EncodedMessage) {
        let mut state = self.lock();
        if state.phase <= QueuePhase::Aborted && !state.is_away() && state.pongs < MAX_PONGS {
            state.pongs += 1;
            state.add(frame.bytes());
            self.arrange_write(state);
        }
    }

    /// Gives the transport up: what waits is dropped.
    pub(crate) fn abort_transport(&self) {
        let mut state = self.lock();
        state.abort_transport();
        state.wake_all();
    }

    /// Whether messages are still taken, not dropped.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().phase == QueuePhase::Open
    }

    /// Whether the transport is gone.
    pub(crate) fn is_broken(&self) -> bool {
        self.lock().phase == QueuePhase::Broken
    }

    /// How many bytes wait, and are under way.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// How long one write has been under way.
    pub(crate) fn stalled_for(&self, now: Instant) -> Duration {
        self.lock().stalled.map_or(Duration::ZERO, |(since, _)| now.saturating_duration_since(since))
    }

    /// Wakes the connection's own task.
    pub(crate) fn wake_owner(&self) {
        self.lock().wake_owner();
    }

    pub(super) fn has_room(&self, state: &QueueState) -> bool {
        !self.is_over(state.bytes) && !state.awaits_acknowledgement()
    }

    pub(super) fn is_over(&self, bytes: usize) -> bool {
        self.limit > 0 && bytes >= self.limit
    }

    pub(super) fn lock(&self) -> Locked<'_> {
        Locked::new(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sees to it that what was queued gets written: by the owner if it is at work or waits for the socket, else by
    /// the flusher.
    pub(super) fn arrange_write(self: &Arc<Self>, mut state: Locked<'_>) {
        if state.busy || state.scheduled || state.blocked || state.is_away() {
            return;
        }
        match &mut state.sink {
            Sink::Tcp(_) => {
                state.scheduled = true;
                drop(state);
                self.flusher.schedule(Arc::clone(self));
            }
            Sink::Pulled(_) => state.offer(),
            Sink::Gone => state.clear(),
            Sink::Owned(_) | Sink::Detached => state.wake_owner(),
        }
    }

    /// Wakes the sender that has waited longest, if there is enough capacity again; all of them after the end.
    pub(super) fn make_room(&self, state: &mut QueueState) {
        if state.phase != QueuePhase::Open {
            state.wake_senders();
        } else if state.bytes <= self.limit / 2 && !state.awaits_acknowledgement() {
            state.wake_sender();
        }
    }

    /// Writes until nothing is left or the socket takes no more. With a context the socket's readiness is waited for.
    fn write_out(&self, state: &mut QueueState, mut cx: Option<&mut Context<'_>>) {
        match state.sink {
            Sink::Pulled(_) => return state.offer(),
            Sink::Gone => state.clear(),
            _ => {}
        }
        while !state.is_empty() {
            if state.blocked {
                let Some(cx) = cx.as_deref_mut() else { return };
                if !state.poll_writable(cx) {
                    break;
                }
            }
            match state.write_once(cx.as_deref_mut()) {
                Ok(true) => {}
                Ok(false) => {
                    state.blocked = true;
                    if cx.is_none() {
                        state.wake_owner();
                        break;
                    }
                    if !matches!(state.sink, Sink::Tcp(_)) {
                        break;
                    }
                }
                Err(_) => {
                    state.fail();
                    state.wake_owner();
                }
            }
        }
        if state.unflushed
            && state.is_empty()
            && let Some(cx) = cx
        {
            state.poll_flush(cx);
        }
        state.mark_stall();
        self.make_room(state);
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Outbound").field("bytes", &state.bytes).field("phase", &state.phase).finish_non_exhaustive()
    }
}
