//! State that a running call shares with its method and its connection.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio_util::sync::CancellationToken;

/// State of one running call.
#[derive(Debug, Default)]
pub(crate) struct CallState {
    /// `None` if the client waits for no completion.
    pub(crate) id: Option<Box<str>>,
    /// Created on first use, because most calls are never cancelled.
    cancelled: OnceLock<CancellationToken>,
    client_result_requested: AtomicBool,
    slot: Mutex<Option<Slot>>,
}

impl CallState {
    pub(crate) fn new(id: Option<&str>) -> Self {
        Self { id: id.map(Into::into), ..Self::default() }
    }

    /// Creates the state of a call that is cancelled when its connection ends, as streams are.
    pub(crate) fn bound_to_connection(id: Option<&str>, connection: &CancellationToken) -> Self {
        Self { cancelled: OnceLock::from(connection.child_token()), ..Self::new(id) }
    }

    /// Cancels the call at the request of the client.
    pub(crate) fn cancel(&self) {
        self.token().cancel();
    }

    /// Returns the token that is cancelled with the call.
    pub(crate) fn token(&self) -> &CancellationToken {
        self.cancelled.get_or_init(CancellationToken::new)
    }

    /// Records that the call waits for a client result, and releases its slot for good: the result
    /// can be queued behind calls that wait for that slot (`aspnet: HubCallerClients.cs`). Returns
    /// `true` the first time.
    pub(crate) fn mark_client_result_requested(&self) -> bool {
        let first = !self.client_result_requested.swap(true, Ordering::AcqRel);
        self.release_slot();
        first
    }

    pub(crate) fn has_requested_client_result(&self) -> bool {
        self.client_result_requested.load(Ordering::Acquire)
    }

    /// Assigns a slot to the call, unless it has requested a client result before.
    pub(crate) fn set_slot(&self, slot: Slot) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(slot);
        if self.has_requested_client_result() {
            self.release_slot();
        }
    }

    pub(crate) fn release_slot(&self) {
        drop(self.slot.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Place of one call among the parallel invocations of a connection; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Slot(Arc<AtomicUsize>);

impl Slot {
    /// Occupies a slot; `in_use` counts the occupied slots.
    pub(crate) fn new(in_use: &Arc<AtomicUsize>) -> Self {
        in_use.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(in_use))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
