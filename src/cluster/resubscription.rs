//! Channels whose subscription failed while connections were accepted without the backplane.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Channels to subscribe to once the backplane is connected.
#[derive(Debug)]
pub(super) struct Resubscription {
    is_enabled: bool,
    state: Mutex<ResubscriptionState>,
}

#[derive(Debug, Default)]
struct ResubscriptionState {
    channels: HashSet<String>,
    has_task: bool,
}

impl Resubscription {
    pub(super) fn new(is_enabled: bool) -> Self {
        Self { is_enabled, state: Mutex::default() }
    }

    /// Whether failed subscriptions are repeated.
    pub(super) fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    /// Adds a channel. Returns whether the caller has to start the task that subscribes.
    pub(super) fn add(&self, channel: String) -> bool {
        let mut state = self.lock();
        state.channels.insert(channel);
        !std::mem::replace(&mut state.has_task, true)
    }

    /// Removes a channel that is subscribed or not needed any more.
    pub(super) fn remove(&self, channel: &str) {
        if self.is_enabled {
            self.lock().channels.remove(channel);
        }
    }

    /// Returns all channels. `None` ends the task.
    pub(super) fn channels(&self) -> Option<Vec<String>> {
        let mut state = self.lock();
        state.has_task = !state.channels.is_empty();
        state.has_task.then(|| state.channels.iter().cloned().collect())
    }

    fn lock(&self) -> MutexGuard<'_, ResubscriptionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
