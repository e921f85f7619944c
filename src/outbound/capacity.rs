//! Waiting for capacity of a queue, in order of arrival.
//!
//! Freed capacity wakes one sender. A woken sender enqueues its message and wakes the next sender
//! if capacity is left. A woken sender that is dropped wakes the next one, too.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::state::{Locked, QueuePhase, QueueState};
use super::{EncodedMessage, Outbound};

/// Slot of a waiting sender, which is released on drop.
struct Place<'a> {
    outbound: &'a Outbound,
    slot: Option<usize>,
}

impl Outbound {
    /// Waits for capacity in order of arrival, then enqueues a shared message.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: if the future is dropped before it completes, the message is not
    /// enqueued.
    pub(crate) async fn push(self: &Arc<Self>, frame: &EncodedMessage) {
        self.enqueue_with(|state| state.send(frame)).await;
    }

    /// Waits for capacity in order of arrival, then enqueues a message of the connection itself.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: if the future is dropped before it completes, the message is not
    /// enqueued.
    pub(crate) async fn enqueue_in_turn(self: &Arc<Self>, message: &[u8]) {
        self.enqueue_with(|state| state.write(message)).await;
    }

    /// Waits for capacity in order of arrival, without using it.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub(crate) async fn capacity(&self) {
        let mut state = self.turn().await;
        self.pass_on(&mut state);
    }

    async fn enqueue_with(self: &Arc<Self>, enqueue: impl FnOnce(&mut QueueState)) {
        let mut state = self.turn().await;
        if state.phase == QueuePhase::Open {
            enqueue(&mut state);
            self.pass_on(&mut state);
            self.arrange_write(state);
        }
    }

    /// Waits until the queue has capacity for this sender or is no longer open. The caller must
    /// wake the next sender.
    async fn turn(&self) -> Locked<'_> {
        let mut place = Place { outbound: self, slot: None };
        poll_fn(|cx| place.poll(cx)).await
    }

    /// Wakes the next sender if capacity is left. Otherwise its time of waiting for
    /// acknowledgements starts now.
    fn pass_on(&self, state: &mut QueueState) {
        if self.has_room(state) {
            state.wake_sender();
        } else if state.waiters.is_some() {
            state.mark_waiting();
        }
    }
}

impl<'a> Place<'a> {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<Locked<'a>> {
        let mut state = self.outbound.lock();
        if self.is_ready(&state) {
            if let Some(slot) = self.slot.take() {
                state.leave(slot);
            }
            return Poll::Ready(state);
        }
        state.mark_waiting();
        let waiters = state.waiters.get_or_insert_default();
        let stale = match self.slot {
            Some(slot) => waiters.wait(slot, cx.waker()),
            None => {
                self.slot = Some(waiters.join(cx.waker().clone()));
                None
            }
        };
        // If a woken sender is not polled, later senders wake the remaining ones.
        self.outbound.make_room(&mut state);
        // The drop of a waker can run any code, so the lock is released first.
        drop(state);
        drop(stale);
        Poll::Pending
    }

    fn is_ready(&self, state: &QueueState) -> bool {
        let is_next = match (&state.waiters, self.slot) {
            (Some(waiters), Some(slot)) => waiters.is_woken(slot),
            (waiters, _) => waiters.is_none(),
        };
        state.phase != QueuePhase::Open || is_next && self.outbound.has_room(state)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(slot) = self.slot else { return };
        let mut state = self.outbound.lock();
        let waker = state.leave(slot);
        state.unmark_waiting();
        if waker.is_none() {
            self.outbound.pass_on(&mut state);
        }
        drop(state);
        drop(waker);
    }
}

#[cfg(test)]
mod tests;
