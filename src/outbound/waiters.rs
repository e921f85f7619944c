//! Senders that wait for capacity of one queue, in the order in which they came.

use std::task::Waker;

use slab::Slab;
use tokio::time::Instant;

/// A list through a slab: joining it, leaving it and waking its first sender take constant time.
///
/// A sender that was woken is no longer on the list, and keeps its slot. One that finds the capacity taken returns to
/// its place, in front of those that came later.
#[derive(Default)]
pub(super) struct Waiters {
    slots: Slab<Waiter>,
    first: Option<usize>,
    last: Option<usize>,
    /// Number of the sender that came last.
    latest: u64,
}

struct Waiter {
    number: u64,
    since: Instant,
    /// `None`: woken, and not on the list.
    waker: Option<Waker>,
    before: Option<usize>,
    behind: Option<usize>,
}

impl Waiters {
    /// Whether no sender has a slot, on the list or woken.
    pub(super) fn is_unused(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether the sender in this slot was woken.
    pub(super) fn is_woken(&self, slot: usize) -> bool {
        self.slots[slot].waker.is_none()
    }

    /// Since when the first sender on the list has waited.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.first.map(|slot| self.slots[slot].since)
    }

    /// Gives a new sender the last place, and returns its slot.
    pub(super) fn join(&mut self, waker: Waker) -> usize {
        self.latest += 1;
        let (number, since) = (self.latest, Instant::now());
        let slot = self.slots.insert(Waiter { number, since, waker: Some(waker), before: None, behind: None });
        self.link(slot, self.last, None);
        slot
    }

    /// Has the sender in this slot woken by `waker` from now on. Returns a waker that is no longer needed.
    pub(super) fn wait(&mut self, slot: usize, waker: &Waker) -> Option<Waker> {
        let Waiter { number, waker: known, .. } = &mut self.slots[slot];
        if known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            return None;
        }
        let stale = known.replace(waker.clone());
        if stale.is_none() {
            // Behind those that were woken before it and have returned already.
            let number = *number;
            let (mut before, mut behind) = (None, self.first);
            while let Some(at) = behind.filter(|at| self.slots[*at].number < number) {
                (before, behind) = (behind, self.slots[at].behind);
            }
            self.link(slot, before, behind);
        }
        stale
    }

    /// Takes the first sender off the list and returns its waker.
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
