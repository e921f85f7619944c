//! Flusher: writes messages that were enqueued by other tasks than the connection task.
//!
//! Each shard has a list of connections with messages to write, and one task that writes them.

use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Outbound;

/// Number of connections after which a flusher yields to other tasks. Otherwise one broadcast to
/// 10,000 receivers would occupy a core for a tenth of a second.
const YIELD_EVERY: usize = 128;

/// Connections of one shard with messages to write that no other task is writing.
#[derive(Debug, Default)]
pub(crate) struct Flusher {
    dirty: Mutex<Vec<Arc<Outbound>>>,
    wake: Notify,
}

impl Flusher {
    pub(super) fn schedule(&self, outbound: Arc<Outbound>) {
        let mut dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
        dirty.push(outbound);
        let first = dirty.len() == 1;
        drop(dirty);
        if first {
            self.wake.notify_one();
        }
    }

    async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                () = stop.cancelled() => return,
            }
            mem::swap(&mut batch, &mut *self.dirty.lock().unwrap_or_else(PoisonError::into_inner));
            for (n, outbound) in batch.drain(..).enumerate() {
                if n % YIELD_EVERY == YIELD_EVERY - 1 {
                    tokio::task::yield_now().await;
                }
                outbound.flush();
            }
            batch.shrink_to(YIELD_EVERY);
        }
    }
}

/// All shards of a server. A connection belongs to the same shard for its lifetime.
#[derive(Debug)]
pub(crate) struct Flushers {
    shards: Box<[Arc<Flusher>]>,
    next: AtomicUsize,
}

impl Flushers {
    /// Creates one shard per core. [`start`](Self::start) spawns their tasks.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { shards: (0..cores).map(|_| Arc::default()).collect(), next: AtomicUsize::new(0) }
    }

    /// Spawns the flushers on the current runtime, until `stop` is cancelled.
    pub(crate) fn start(&self, stop: &CancellationToken) {
        for shard in &self.shards {
            tokio::spawn(Arc::clone(shard).run(stop.clone()));
        }
    }

    /// Returns the shard for the next new connection.
    pub(crate) fn next(&self) -> Arc<Flusher> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        Arc::clone(&self.shards[n % self.shards.len()])
    }
}
