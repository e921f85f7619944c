//! Outbound queue of one connection: bounded in bytes, written in batches.

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

/// Maximum number of queued pongs: 16 KiB if each has the longest payload.
const MAX_PONGS: u8 = 128;

/// Outbound queue of one connection.
///
/// A sender enqueues, waits for capacity, or learns that the queue is full. The queue exceeds its
/// limit by at most the message that crosses it. The connection task *owns* the queue: only this
/// task waits for the socket.
pub(crate) struct Outbound {
    state: Mutex<QueueState>,
    flusher: Arc<Flusher>,
    /// Number of queued bytes from which senders wait (C#: `TransportMaxBufferSize`); 0 means no
    /// limit.
    limit: usize,
}

/// Reason why senders must wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FullReason {
    /// The limit of queued bytes is reached. Takes precedence over `Unacknowledged`.
    Bytes,
    /// The message buffer of stateful reconnect is full.
    Unacknowledged,
}

impl Outbound {
    pub(crate) fn new(limit: usize, flusher: Arc<Flusher>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(QueueState::new()), flusher, limit })
    }

    /// Attaches a TCP socket, to which bytes are written from now on.
    pub(crate) fn attach_tcp(&self, socket: OwnedWriteHalf) {
        self.lock().attach(Sink::Tcp(socket));
    }

    /// Attaches a writer, to which the owner writes from now on.
    pub(crate) fn attach(&self, writer: Box<dyn AsyncWrite + Send + Unpin>) {
        self.lock().attach(Sink::Owned(writer));
    }

    /// Sends the messages of [`enqueue`](Self::enqueue) as binary WebSocket messages from now on.
    pub(crate) fn set_binary(&self) {
        self.lock().binary = true;
    }

    /// Enqueues a complete message of the connection itself and returns whether the queue is full
    /// afterwards. The message is enqueued even into a full queue; the caller must then accept no
    /// further invocation until the queue has capacity.
    pub(crate) fn enqueue(self: &Arc<Self>, message: &[u8]) -> bool {
        let mut state = self.lock();
        if state.phase != QueuePhase::Open {
            return false;
        }
        state.write(message);
        let is_full = !self.has_room(&state);
        self.arrange_write(state);
        is_full
    }

    /// Enqueues a shared message. Returns `false` if the queue is full or other senders wait for
    /// capacity. Messages to a connection that has ended are dropped, and the result is `true`.
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

    /// Returns why senders must wait, or `None` if the queue has capacity.
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

    /// Begins a batch of the owner: other tasks leave the writing to the owner until
    /// [`end_batch`](Self::end_batch). Returns `false` if the transport is lost.
    pub(crate) fn begin_batch(&self, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        state.busy = true;
        state.set_owner(cx);
        state.phase != QueuePhase::Broken
    }

    /// Writes the messages that the owner has enqueued so far in this batch.
    pub(crate) fn flush_batch(&self, cx: &mut Context<'_>) {
        let mut state = self.lock();
        if !state.is_empty() {
            self.write_out(&mut state, Some(cx));
        }
    }

    /// Ends a batch of the owner: writes all messages, or registers the task of `cx` for the
    /// readiness of the socket.
    pub(crate) fn end_batch(&self, cx: &mut Context<'_>) {
        let mut state = self.lock();
        state.busy = false;
        let was_over = self.is_over(state.bytes);
        self.write_out(&mut state, Some(cx));
        // An owner that found the queue full in this batch waits for nothing else.
        if was_over && !self.is_over(state.bytes) {
            state.wake_owner();
        }
    }

    /// Polls `future` in the task of the owner, and writes queued messages meanwhile.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe if `future` is.
    pub(crate) async fn drive<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            // Set before the poll, so that no wake-up during the poll is lost.
            self.lock().set_owner(cx);
            let polled = future.as_mut().poll(cx);
            self.write_out(&mut self.lock(), Some(cx));
            polled
        })
        .await
    }

    /// Returns ready when everything is written or nothing can be written any more. Called by the
    /// owner.
    pub(crate) fn poll_drained(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        state.set_owner(cx);
        self.write_out(&mut state, Some(cx));
        let under_way = state.unflushed || state.is_under_way();
        if state.is_empty() && !under_way { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Shuts down an owned writer, for example with the `close_notify` of TLS. A TCP socket is
    /// closed when it is dropped. Called by the owner.
    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.lock().sink {
            Sink::Owned(writer) => Pin::new(writer).poll_shutdown(cx).map(drop),
            _ => Poll::Ready(()),
        }
    }

    /// Writes as much as the socket accepts now. Called by the flusher.
    pub(super) fn flush(&self) {
        let mut state = self.lock();
        state.scheduled = false;
        if !state.busy && !state.blocked {
            self.write_out(&mut state, None);
        }
    }

    /// Drops all further messages except the [Close message](Self::enqueue_close_message), and
    /// wakes the owner.
    pub(crate) fn stop_accepting(&self) {
        let mut state = self.lock();
        if state.phase == QueuePhase::Open {
            state.phase = QueuePhase::Aborted;
        }
        state.wake_all();
    }

    /// Enqueues the Close message. Only the end of the transport follows it.
    pub(crate) fn enqueue_close_message(self: &Arc<Self>, message: &[u8]) {
        let mut state = self.lock();
        if state.phase <= QueuePhase::Aborted {
            state.phase = QueuePhase::Aborted;
            if state.is_away() {
                state.abort_transport();
                return state.wake_all();
            }
            // A connection that is closing cannot be resumed.
            state.replay = None;
            state.append(message);
            self.make_room(&mut state);
            self.arrange_write(state);
        }
    }

    /// Enqueues the close frame and accepts no further messages.
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

    /// Enqueues a pong. Drops it if [`MAX_PONGS`] are queued, because the peer does not read (RFC
    /// 6455 § 5.5.3 allows pings to stay unanswered while earlier pongs are queued).
    pub(crate) fn enqueue_pong(self: &Arc<Self>, frame: &EncodedMessage) {
        let mut state = self.lock();
        if state.phase <= QueuePhase::Aborted && !state.is_away() && state.pongs < MAX_PONGS {
            state.pongs += 1;
            state.add(frame.bytes());
            self.arrange_write(state);
        }
    }

    /// Aborts the transport and drops all queued messages.
    pub(crate) fn abort_transport(&self) {
        let mut state = self.lock();
        state.abort_transport();
        state.wake_all();
    }

    /// Whether messages are accepted, not dropped.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().phase == QueuePhase::Open
    }

    /// Whether the transport is lost or aborted.
    pub(crate) fn is_broken(&self) -> bool {
        self.lock().phase == QueuePhase::Broken
    }

    /// Returns the number of bytes that are queued or being written.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Returns for how long one write has been unfinished.
    pub(crate) fn stalled_for(&self, now: Instant) -> Duration {
        self.lock().stalled.map_or(Duration::ZERO, |(since, _)| now.saturating_duration_since(since))
    }

    /// Wakes the connection task.
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

    /// Schedules the write of enqueued messages: by the owner if it processes a batch or waits for
    /// the socket, else by the flusher.
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

    /// Wakes the sender that has waited longest if the queue is at most half full and the message
    /// buffer has capacity, or all senders if the queue is no longer open.
    pub(super) fn make_room(&self, state: &mut QueueState) {
        if state.phase != QueuePhase::Open {
            state.wake_senders();
        } else if state.bytes <= self.limit / 2 && !state.awaits_acknowledgement() {
            state.wake_sender();
        }
    }

    /// Writes until the queue is empty or the socket accepts no more bytes. With a context, the
    /// task is registered for the readiness of the socket.
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
