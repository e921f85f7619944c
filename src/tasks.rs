//! The tasks of a server, and their end.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// Owns every task that serves connections, so that a shutdown can wait for them and cut who is left.
///
/// The tasks themselves know nothing of it: nothing is polled beside them.
#[derive(Clone)]
pub(crate) struct Tasks {
    inner: Arc<Inner>,
}

struct Inner {
    running: Mutex<Running>,
    next: AtomicU64,
    none_left: Notify,
    stop: CancellationToken,
}

#[derive(Default)]
struct Running {
    /// `None` while one is being started.
    tasks: HashMap<u64, Option<AbortHandle>>,
    /// They were aborted; who comes now is not started any more.
    closed: bool,
}

impl Tasks {
    /// `stop` is for the tasks of the server itself, which are not among these.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        let inner = Inner { running: Mutex::default(), next: AtomicU64::new(0), none_left: Notify::new(), stop };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let leave = Leave { inner: Arc::clone(&self.inner), id };
        let mut running = self.inner.running();
        if running.closed {
            // Dropping it runs its guards, which look for themselves on the list.
            drop(running);
            return drop((task, leave));
        }
        // Before it is started, so that a task that ends at once finds itself on the list. The lock is not held while it
        // is: a runtime that goes down drops it there and then, and its guards want the list.
        running.tasks.insert(id, None);
        drop(running);
        let handle = tokio::spawn(async move {
            let _leave = leave;
            task.await;
        });
        let mut running = self.inner.running();
        if let Some(started) = running.tasks.get_mut(&id) {
            *started = Some(handle.abort_handle());
        }
        let closed = running.closed;
        drop(running);
        if closed {
            handle.abort();
        }
    }

    /// How many run.
    pub(crate) fn len(&self) -> usize {
        self.inner.running().tasks.len()
    }

    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.inner.stop
    }

    /// Waits until all have ended, at most for `grace`; then ends who is left.
    pub(crate) async fn finish(&self, grace: Duration) {
        // Whether they ended by themselves or not, nobody is left after this.
        let _ = tokio::time::timeout(grace, self.inner.ended()).await;
        self.inner.stop.cancel();
        self.abort();
        self.inner.ended().await;
    }

    /// Ends all of them, and lets nobody in any more.
    pub(crate) fn abort(&self) {
        let mut running = self.inner.running();
        running.closed = true;
        let tasks: Vec<_> = running.tasks.values().flatten().cloned().collect();
        drop(running);
        for task in tasks {
            task.abort();
        }
    }
}

impl Inner {
    async fn ended(&self) {
        loop {
            let none_left = self.none_left.notified();
            if self.running().tasks.is_empty() {
                return;
            }
            none_left.await;
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a task off the list, however it ends.
struct Leave {
    inner: Arc<Inner>,
    id: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut running = self.inner.running();
        running.tasks.remove(&self.id);
        let none_left = running.tasks.is_empty();
        drop(running);
        if none_left {
            self.inner.none_left.notify_waiters();
        }
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("running", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_ends_in_time_is_waited_for_and_the_others_are_cut() {
        let tasks = Tasks::new(CancellationToken::new());
        let (done, cut) = (Arc::new(()), Arc::new(()));
        let held = Arc::clone(&done);
        tasks.spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(held);
        });
        let held = Arc::clone(&cut);
        tasks.spawn(async move {
            pending::<()>().await;
            drop(held);
        });
        let started = tokio::time::Instant::now();
        tasks.finish(Duration::from_secs(5)).await;
        assert_eq!(started.elapsed(), Duration::from_secs(5));
        assert_eq!((Arc::strong_count(&done), Arc::strong_count(&cut)), (1, 1));
        assert!(tasks.stop().is_cancelled());
    }

    #[tokio::test]
    async fn nobody_starts_behind_the_end() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.finish(Duration::ZERO).await;
        let late = Arc::new(());
        let held = Arc::clone(&late);
        tasks.spawn(async move {
            pending::<()>().await;
            drop(held);
        });
        assert_eq!(Arc::strong_count(&late), 1);
        tasks.finish(Duration::ZERO).await;
    }

    #[tokio::test(start_paused = true)]
    async fn without_tasks_the_end_comes_at_once() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.spawn(async {});
        let started = tokio::time::Instant::now();
        tasks.finish(Duration::from_secs(5)).await;
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
