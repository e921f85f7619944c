//! Senders that wait for capacity of one queue, in order of arrival.

use std::task::Waker;

use slab::Slab;
use tokio::time::Instant;

/// Linked list in a slab: joining, leaving and waking the first sender take constant time.
///
/// A woken sender leaves the list and keeps its slot. If another sender has taken the capacity, the
/// woken sender returns to its place in front of later senders.
#[derive(Default)]
pub(super) struct Waiters {
    slots: Slab<Waiter>,
    first: Option<usize>,
    last: Option<usize>,
    /// Number of the latest sender.
    latest: u64,
}

struct Waiter {
    number: u64,
    since: Instant,
    /// `None` if the sender was woken and is not on the list.
    waker: Option<Waker>,
    before: Option<usize>,
    behind: Option<usize>,
}

impl Waiters {
    /// Whether no sender has a slot, waiting or woken.
    pub(super) fn is_unused(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether the sender in this slot was woken.
    pub(super) fn is_woken(&self, slot: usize) -> bool {
        self.slots[slot].waker.is_none()
    }

    /// Returns when the first sender on the list began to wait.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.first.map(|slot| self.slots[slot].since)
    }

    /// Appends a new sender and returns its slot.
    pub(super) fn join(&mut self, waker: Waker) -> usize {
        self.latest += 1;
        let (number, since) = (self.latest, Instant::now());
        let slot = self.slots.insert(Waiter { number, since, waker: Some(waker), before: None, behind: None });
        self.link(slot, self.last, None);
        slot
    }

    /// Sets the waker of the sender in this slot, which returns to the list if it was woken.
    /// Returns the replaced waker.
    pub(super) fn wait(&mut self, slot: usize, waker: &Waker) -> Option<Waker> {
        let Waiter { number, waker: current, .. } = &mut self.slots[slot];
        if current.as_ref().is_some_and(|current| current.will_wake(waker)) {
            return None;
        }
        let stale = current.replace(waker.clone());
        if stale.is_none() {
            // Behind earlier senders that were woken and have returned to the list.
            let number = *number;
            let (mut before, mut behind) = (None, self.first);
            while let Some(at) = behind.filter(|at| self.slots[*at].number < number) {
                (before, behind) = (behind, self.slots[at].behind);
            }
            self.link(slot, before, behind);
        }
        stale
    }

    /// Removes the first sender from the list and returns its waker.
    pub(super) fn next(&mut self) -> Option<Waker> {
        let slot = self.first?;
        self.unlink(slot);
        self.slots[slot].waker.take()
    }

    /// Frees a slot. Returns the waker of a sender that was not woken.
    pub(super) fn leave(&mut self, slot: usize) -> Option<Waker> {
        if !self.is_woken(slot) {
            self.unlink(slot);
        }
        self.slots.remove(slot).waker
    }

    fn link(&mut self, slot: usize, before: Option<usize>, behind: Option<usize>) {
        (self.slots[slot].before, self.slots[slot].behind) = (before, behind);
        *before.map_or(&mut self.first, |before| &mut self.slots[before].behind) = Some(slot);
        *behind.map_or(&mut self.last, |behind| &mut self.slots[behind].before) = Some(slot);
    }

    fn unlink(&mut self, slot: usize) {
        let Waiter { before, behind, .. } = self.slots[slot];
        *before.map_or(&mut self.first, |before| &mut self.slots[before].behind) = behind;
        *behind.map_or(&mut self.last, |behind| &mut self.slots[behind].before) = before;
    }
}
