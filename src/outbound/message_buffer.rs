//! Stateful reconnect: retains unacknowledged messages and resends them on the next socket
//! (`HubProtocol.md § Stateful Reconnect`).

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::kept::Kept;
use super::state::{COALESCE_LIMIT_BYTES, QueuePhase, QueueState, Sink};
use super::{EncodedMessage, Outbound};

/// Messages that were sent and not acknowledged (`aspnet: MessageBuffer.cs`).
///
/// Invocations, stream items, completions and cancellations are numbered from 1. Pings,
/// acknowledgements and the Close message are neither numbered nor retained.
pub(super) struct MessageBuffer {
    kept: Kept,
    /// Sequence id of the first retained message, or of the next message if none is retained.
    first: i64,
    /// Number of retained bytes above which senders wait.
    limit: usize,
    /// Start of the reconnect window; `None` while a socket is attached.
    away: Option<Instant>,
    /// Start of the time for which a sender or a call has waited for acknowledgements.
    waiting: Option<Instant>,
    /// Whether a call of the client waits for acknowledgements.
    call_waits: bool,
    /// Encodes the `Sequence` message for a sequence id.
    sequence: Box<dyn Fn(i64) -> EncodedMessage + Send>,
}

impl MessageBuffer {
    /// Removes acknowledged messages. A sequence id that was never sent removes all messages.
    fn acknowledge(&mut self, sequence_id: i64) {
        while self.first <= sequence_id && self.kept.remove_first() {
            self.first += 1;
        }
        if self.kept.is_empty() {
            self.kept = Kept::default();
        }
        if !self.is_full() {
            (self.waiting, self.call_waits) = (None, false);
        }
    }

    /// The message that crosses the limit is accepted, as in ASP.NET Core.
    fn is_full(&self) -> bool {
        self.kept.payload() > self.limit
    }
}

impl QueueState {
    /// Enqueues a message of the connection itself.
    pub(super) fn write(&mut self, message: &[u8]) {
        let Some(replay) = &mut self.replay else { return self.append(message) };
        if message.len() > COALESCE_LIMIT_BYTES {
            return self.send(&EncodedMessage::from_payload(message, self.binary));
        }
        let was_full = replay.is_full();
        replay.kept.add(message, self.binary);
        if replay.away.is_none() {
            self.append(message);
        }
        self.wake_owner_of_full(was_full);
    }

    /// Enqueues a shared message.
    pub(super) fn send(&mut self, frame: &EncodedMessage) {
        let was_full = self.awaits_acknowledgement();
        if let Some(replay) = &mut self.replay {
            replay.kept.share(frame);
        }
        if !self.is_away() {
            self.push(frame);
        }
        self.wake_owner_of_full(was_full);
    }

    /// Wakes the owner when the message buffer becomes full: the owner then reads ahead for
    /// acknowledgements. Also wakes an owner that processes a batch, because the owner may have
    /// checked before.
    fn wake_owner_of_full(&mut self, was_full: bool) {
        if !was_full && self.awaits_acknowledgement() {
            self.wake_owner();
        }
    }

    /// Whether senders must wait for acknowledgements.
    pub(super) fn awaits_acknowledgement(&self) -> bool {
        self.replay.as_ref().is_some_and(|replay| replay.is_full())
    }

    /// Starts the clock of a sender or a call that waits for acknowledgements.
    pub(super) fn mark_waiting(&mut self) {
        if let Some(replay) = self.replay.as_mut().filter(|replay| replay.is_full()) {
            replay.waiting.get_or_insert_with(Instant::now);
        }
    }

    /// Restarts the clock at the arrival of the oldest remaining sender, after a sender has stopped
    /// waiting.
    pub(super) fn unmark_waiting(&mut self) {
        let oldest = self.waiters.as_ref().and_then(|waiters| waiters.oldest());
        if let Some(replay) = self.replay.as_mut().filter(|replay| !replay.call_waits) {
            replay.waiting = replay.waiting.and_then(|since| Some(oldest?.max(since)));
        }
    }

    /// Whether the connection has no socket and can resume on another one.
    pub(super) fn is_away(&self) -> bool {
        self.replay.as_ref().is_some_and(|replay| replay.away.is_some())
    }

    fn can_resume(&self) -> bool {
        self.replay.is_some() && self.phase == QueuePhase::Open
    }

    /// Handles a failed write: detaches the socket if the connection can resume, else aborts the
    /// transport.
    pub(super) fn fail(&mut self) {
        if !self.on_transport_lost() {
            self.abort_transport();
        }
    }

    /// Detaches the socket. Returns `false` if the connection cannot resume.
    fn on_transport_lost(&mut self) -> bool {
        if !self.can_resume() {
            return false;
        }
        self.clear();
        self.sink = Sink::Detached;
        if let Some(replay) = &mut self.replay {
            replay.away.get_or_insert_with(Instant::now);
        }
        true
    }

    /// Attaches a sink. Resends retained messages first, after a `Sequence` message with the id of
    /// the first one.
    pub(super) fn attach(&mut self, sink: Sink) {
        if let Some(replay) = &mut self.replay {
            replay.away = None;
            let sequence = (replay.sequence)(replay.first);
            let frames: VecDeque<_> = std::iter::once(sequence.shared()).chain(replay.kept.frames()).collect();
            self.clear();
            self.bytes = frames.iter().map(Bytes::len).sum();
            self.frames = frames;
        }
        self.sink = sink;
    }

    /// Writes a close frame to the old socket, unless a frame is partly written.
    fn close_superseded(&mut self, close_frame: &EncodedMessage, cx: &mut Context<'_>) {
        if self.written == 0 && self.cut.is_none() {
            // Errors are ignored: the old socket is no longer read.
            let _ = self.sink.write(Some(cx), &[IoSlice::new(close_frame.bytes())]);
            self.poll_flush(cx);
        }
    }
}

/// Stateful reconnect.
impl Outbound {
    /// Retains messages from now on until they are acknowledged. Senders wait while more than
    /// `limit` bytes are retained. `sequence` encodes the `Sequence` message with which a new
    /// socket begins.
    pub(crate) fn enable_replay(&self, limit: usize, sequence: impl Fn(i64) -> EncodedMessage + Send + 'static) {
        self.lock().replay = Some(Box::new(MessageBuffer {
            kept: Kept::default(),
            first: 1,
            limit,
            away: None,
            waiting: None,
            call_waits: false,
            sequence: Box::new(sequence),
        }));
    }

    /// Handles an acknowledgement: the client has received all messages up to this sequence id.
    pub(crate) fn acknowledge(&self, sequence_id: i64) {
        let mut state = self.lock();
        if let Some(replay) = &mut state.replay {
            replay.acknowledge(sequence_id);
        }
        self.find_room(&mut state);
    }

    /// Wakes the next sender if the queue has capacity.
    fn find_room(&self, state: &mut QueueState) {
        if self.has_room(state) {
            state.wake_sender();
        }
    }

    /// Enqueues a message that is neither numbered nor retained, if a socket is attached and the
    /// queue has capacity. Returns whether it was enqueued.
    pub(crate) fn try_push_uncounted(self: &Arc<Self>, frame: &EncodedMessage) -> bool {
        let mut state = self.lock();
        let taken = state.phase == QueuePhase::Open && !state.is_away() && !self.is_over(state.bytes);
        if taken {
            state.push(frame);
            self.arrange_write(state);
        }
        taken
    }

    /// Records that a call of the client waits for acknowledgements.
    pub(crate) fn mark_call_waiting(&self) {
        let mut state = self.lock();
        state.mark_waiting();
        if let Some(replay) = &mut state.replay {
            replay.call_waits = replay.waiting.is_some();
        }
    }

    /// Returns for how long a sender or a call has waited for acknowledgements.
    pub(crate) fn unacknowledged_for(&self, now: Instant) -> Duration {
        let since = self.lock().replay.as_ref().and_then(|replay| replay.waiting);
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Returns for how long the connection has waited for a new socket.
    pub(crate) fn disconnected_for(&self, now: Instant) -> Duration {
        let since = self.lock().replay.as_ref().and_then(|replay| replay.away);
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Whether the connection can resume on another socket.
    pub(crate) fn can_resume(&self) -> bool {
        self.lock().can_resume()
    }

    /// Handles the loss of the socket. Returns whether the connection can resume.
    pub(crate) fn on_transport_lost(&self) -> bool {
        let mut state = self.lock();
        let can_resume = state.on_transport_lost();
        self.find_room(&mut state);
        can_resume
    }

    /// Closes the old socket before a new one is attached. Called by the owner.
    pub(crate) fn close_superseded(&self, close_frame: &EncodedMessage, cx: &mut Context<'_>) {
        let mut state = self.lock();
        state.close_superseded(close_frame, cx);
        state.on_transport_lost();
    }
}

#[cfg(test)]
mod tests;
