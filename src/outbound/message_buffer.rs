//! Messages that a connection keeps until its client has them, and its change from one socket to the next (stateful
//! reconnect; `HubProtocol.md § Stateful Reconnect`).

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

/// What was sent and is not acknowledged (`aspnet: MessageBuffer.cs`). Calls and what belongs to them count, from 1 on;
/// pings, acknowledgements and the Close message do not, and are not kept.
pub(super) struct MessageBuffer {
    kept: Kept,
    /// The number of the first that is kept; of the next one, where none is.
    first: i64,
    /// With more bytes than this, who sends has to wait.
    limit: usize,
    /// Since when there is no socket.
    away: Option<Instant>,
    /// Since when somebody has to wait.
    waiting: Option<Instant>,
    /// Whether a call of the client is among those that wait.
    call_waits: bool,
    /// Writes the message that says which number comes next.
    sequence: Box<dyn Fn(i64) -> EncodedMessage + Send>,
}

impl MessageBuffer {
    /// What was never sent cannot be acknowledged: numbers of the future free what is there.
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

    /// As in ASP.NET, the message that crosses the limit is taken.
    fn is_full(&self) -> bool {
        self.kept.payload() > self.limit
    }
}

impl QueueState {
    /// Takes a message of the connection itself.
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

    /// Takes a shared message.
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

    /// Wakes the owner when acknowledgements begin to be missing: it takes messages then that had to wait. An owner that
    /// is at work may have looked before.
    fn wake_owner_of_full(&mut self, was_full: bool) {
        if !was_full && self.awaits_acknowledgement() {
            self.wake_owner();
        }
    }

    /// Whether the client has to acknowledge something before more is sent.
    pub(super) fn awaits_acknowledgement(&self) -> bool {
        self.replay.as_ref().is_some_and(|replay| replay.is_full())
    }

    /// Somebody waits for that.
    pub(super) fn mark_waiting(&mut self) {
        if let Some(replay) = self.replay.as_mut().filter(|replay| replay.is_full()) {
            replay.waiting.get_or_insert_with(Instant::now);
        }
    }

    /// A sender has stopped waiting: the clock runs for those that are left.
    pub(super) fn unmark_waiting(&mut self) {
        let oldest = self.waiters.as_ref().and_then(|waiters| waiters.oldest());
        if let Some(replay) = self.replay.as_mut().filter(|replay| !replay.call_waits) {
            replay.waiting = replay.waiting.and_then(|since| Some(oldest?.max(since)));
        }
    }

    /// Whether there is no socket, and another is waited for.
    pub(super) fn is_away(&self) -> bool {
        self.replay.as_ref().is_some_and(|replay| replay.away.is_some())
    }

    fn can_resume(&self) -> bool {
        self.replay.is_some() && self.phase == QueuePhase::Open
    }

    /// The socket is gone: the connection goes on without one if it may, or is broken.
    pub(super) fn fail(&mut self) {
        if !self.on_transport_lost() {
            self.abort_transport();
        }
    }

    /// Gives the socket up, and waits for another one. `false` if the connection cannot go on.
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

    /// Writes to `sink` from now on. Where messages were kept for it, they go first, behind the number of the first one.
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

    /// Says goodbye to the old socket, unless that would stand in the middle of a frame.
    fn close_superseded(&mut self, goodbye: &EncodedMessage, cx: &mut Context<'_>) {
        if self.written == 0 && self.cut.is_none() {
            // Whether it arrives or not, this socket is no longer listened to.
            let _ = self.sink.write(Some(cx), &[IoSlice::new(goodbye.bytes())]);
            self.poll_flush(cx);
        }
    }
}

/// For connections that may go on with another socket.
impl Outbound {
    /// From now on messages are kept until they are acknowledged, and senders wait while there are more than `limit`
    /// bytes of them. `sequence` writes the message that a new socket begins with.
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

    /// The client has all messages up to this one.
    pub(crate) fn acknowledge(&self, sequence_id: i64) {
        let mut state = self.lock();
        if let Some(replay) = &mut state.replay {
            replay.acknowledge(sequence_id);
        }
        self.find_room(&mut state);
    }

    /// Wakes the next sender if there is capacity, whatever made it.
    fn find_room(&self, state: &mut QueueState) {
        if self.has_room(state) {
            state.wake_sender();
        }
    }

    /// Queues a message that is neither counted nor kept, if there is a socket with room for it; says whether.
    pub(crate) fn try_push_uncounted(self: &Arc<Self>, frame: &EncodedMessage) -> bool {
        let mut state = self.lock();
        let taken = state.phase == QueuePhase::Open && !state.is_away() && !self.is_over(state.bytes);
        if taken {
            state.push(frame);
            self.arrange_write(state);
        }
        taken
    }

    /// A call of the client has to wait for its acknowledgement.
    pub(crate) fn mark_call_waiting(&self) {
        let mut state = self.lock();
        state.mark_waiting();
        if let Some(replay) = &mut state.replay {
            replay.call_waits = replay.waiting.is_some();
        }
    }

    /// How long somebody has been waiting for the client to acknowledge what it was sent.
    pub(crate) fn unacknowledged_for(&self, now: Instant) -> Duration {
        let since = self.lock().replay.as_ref().and_then(|replay| replay.waiting);
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// How long there has been no socket, while another is waited for.
    pub(crate) fn disconnected_for(&self, now: Instant) -> Duration {
        let since = self.lock().replay.as_ref().and_then(|replay| replay.away);
        since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Whether another socket may take over.
    pub(crate) fn can_resume(&self) -> bool {
        self.lock().can_resume()
    }

    /// The socket is gone. `true`: the connection goes on without one.
    pub(crate) fn on_transport_lost(&self) -> bool {
        let mut state = self.lock();
        let goes_on = state.on_transport_lost();
        self.find_room(&mut state);
        goes_on
    }

    /// Says goodbye to the socket that another takes the place of. For the owner.
    pub(crate) fn close_superseded(&self, goodbye: &EncodedMessage, cx: &mut Context<'_>) {
        let mut state = self.lock();
        state.close_superseded(goodbye, cx);
        state.on_transport_lost();
    }
}

#[cfg(test)]
mod tests;
