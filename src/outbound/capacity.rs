//! Waiting for capacity: each sender in its turn, woken when there may be some for it.
//!
//! Capacity wakes one sender, which wakes the next one if there is still capacity after its message. A sender that is
//! woken and dropped wakes the next one, too.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::state::{Locked, QueuePhase, QueueState};
use super::{EncodedMessage, Outbound};

/// The slot of a sender that waits, which is free again when this is dropped.
struct Place<'a> {
    outbound: &'a Outbound,
    slot: Option<usize>,
}

impl Outbound {
    /// Queues a shared message as soon as there is capacity, behind the messages that have waited longer.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing was queued.
    pub(crate) async fn push(self: &Arc<Self>, frame: &EncodedMessage) {
        self.enqueue_with(|state| state.send(frame)).await;
    }

    /// Queues a message of the connection itself as soon as there is capacity, behind those that have waited longer.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing was queued.
    pub(crate) async fn enqueue_in_turn(self: &Arc<Self>, message: &[u8]) {
        self.enqueue_with(|state| state.write(message)).await;
    }

    /// Ready when senders need not wait.
    ///
    /// # Cancel safety
    ///
    /// Safe.
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

    /// The queue when it has capacity for this sender, or is no longer open. The caller passes the wake-up on.
    async fn turn(&self) -> Locked<'_> {
        let mut place = Place { outbound: self, slot: None };
        poll_fn(|cx| place.poll(cx)).await
    }

    /// Wakes the next sender if there is still capacity; if not, that sender waits from now on.
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
        // Where a woken sender is not polled, the others wait no longer than until the next one comes.
        self.outbound.make_room(&mut state);
        // Wakers may run any code when they are dropped.
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
