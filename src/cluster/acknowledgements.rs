//! Requests to other servers that wait for answers (`aspnet: AckHandler.cs`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Requests of one hub type of this server by their ids.
#[derive(Debug, Default)]
pub(super) struct PendingAnswers {
    latest_id: AtomicI32,
    pending: Mutex<HashMap<i32, mpsc::Sender<Bytes>>>,
}

/// A request, which is forgotten when it is dropped.
pub(super) struct PendingAnswer<'a> {
    answers: &'a PendingAnswers,
    pub(super) id: i32,
    pub(super) received: mpsc::Receiver<Bytes>,
}

impl PendingAnswers {
    /// Begins a request that expects at most `count` answers; more are dropped.
    pub(super) fn begin(&self, count: usize) -> PendingAnswer<'_> {
        let (tx, received) = mpsc::channel(count.max(1));
        let id = self.latest_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.lock().insert(id, tx);
        PendingAnswer { answers: self, id, received }
    }

    /// Passes the payload of an answer on. Unknown ids are ignored.
    pub(super) fn answer(&self, id: i32, payload: Bytes) {
        if let Some(tx) = self.lock().get(&id) {
            // An answer beyond the expected number is dropped.
            let _ = tx.try_send(payload);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, mpsc::Sender<Bytes>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PendingAnswer<'_> {
    fn drop(&mut self) {
        self.answers.lock().remove(&self.id);
    }
}
