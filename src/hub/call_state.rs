//! What a running call, its method and its connection know of each other.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio_util::sync::CancellationToken;

/// One call that runs.
#[derive(Debug, Default)]
pub(crate) struct CallState {
    /// `None`: the client awaits no answer.
    pub(crate) id: Option<Box<str>>,
    /// Made when somebody looks at it: most calls are never cancelled.
    cancelled: OnceLock<CancellationToken>,
    client_result_requested: AtomicBool,
    slot: Mutex<Option<Slot>>,
}

impl CallState {
    pub(crate) fn new(id: Option<&str>) -> Self {
        Self { id: id.map(Into::into), ..Self::default() }
    }

    /// The same for a call that ends with its connection, as streams do.
    pub(crate) fn bound_to_connection(id: Option<&str>, connection: &CancellationToken) -> Self {
        Self { cancelled: OnceLock::from(connection.child_token()), ..Self::new(id) }
    }

    /// The client wants the call to stop.
    pub(crate) fn cancel(&self) {
        self.token().cancel();
    }

    /// Cancelled with the call.
    pub(crate) fn token(&self) -> &CancellationToken {
        self.cancelled.get_or_init(CancellationToken::new)
    }

    /// The call waits for a client from now on. It gives its slot back for good, since the answer could stand behind
    /// calls that wait for that slot (`aspnet: HubCallerClients.cs`). `true` at the first time.
    pub(crate) fn mark_client_result_requested(&self) -> bool {
        let first = !self.client_result_requested.swap(true, Ordering::AcqRel);
        self.release_slot();
        first
    }

    pub(crate) fn has_requested_client_result(&self) -> bool {
        self.client_result_requested.load(Ordering::Acquire)
    }

    /// The call runs in this slot; in none if it has asked already.
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

/// One of the calls of a connection that run side by side.
#[derive(Debug)]
pub(crate) struct Slot(Arc<AtomicUsize>);

impl Slot {
    /// One more of those that `taken` counts.
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
