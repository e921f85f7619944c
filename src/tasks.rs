//! Tasks of a server, and their shutdown.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// Owns every task that serves connections, so that a shutdown can wait for them and abort the
/// rest.
///
/// `tokio_util::task::TaskTracker` can wait for tasks but not abort them, and
/// `tokio::task::JoinSet` needs one owner that polls it, whereas tasks are spawned from many places
/// here. Tasks are not wrapped in a future that watches a cancellation token either: aborting costs
/// nothing per poll.
#[derive(Clone)]
pub(crate) struct Tasks {
    shared: Arc<SharedTasks>,
}

struct SharedTasks {
    running: Mutex<RunningTasks>,
    next_id: AtomicU64,
    all_ended: Notify,
    stop: CancellationToken,
}

#[derive(Default)]
struct RunningTasks {
    /// `None` while the task is being spawned.
    tasks: HashMap<u64, Option<AbortHandle>>,
    /// All tasks were aborted, and new ones are dropped.
    is_closed: bool,
}

impl Tasks {
    /// `stop` ends the tasks of the server itself, such as the sweep, which are not counted here.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        let shared =
            SharedTasks { running: Mutex::default(), next_id: AtomicU64::new(0), all_ended: Notify::new(), stop };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let guard = RemoveOnDrop { shared: Arc::clone(&self.shared), id };
        let mut running = self.shared.running();
        if running.is_closed {
            // The lock is released first: the drop runs the guard, which takes the lock.
            drop(running);
            return drop((task, guard));
        }
        // Registered before the spawn, so that a task that ends at once can be removed. The spawn
        // runs without the lock: a runtime that shuts down drops the task inside `spawn`, and the
        // guard takes the lock.
        running.tasks.insert(id, None);
        drop(running);
        let handle = tokio::spawn(async move {
            let _guard = guard;
            task.await;
        });
        let mut running = self.shared.running();
        if let Some(started) = running.tasks.get_mut(&id) {
            *started = Some(handle.abort_handle());
        }
        let is_closed = running.is_closed;
        drop(running);
        if is_closed {
            handle.abort();
        }
    }

    /// Number of running tasks.
    pub(crate) fn len(&self) -> usize {
        self.shared.running().tasks.len()
    }

    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.shared.stop
    }

    /// Waits at most `grace` for all tasks to end, then aborts the rest and waits for those.
    pub(crate) async fn finish(&self, grace: Duration) {
        // The result does not matter: an abort without tasks does nothing.
        let _ = tokio::time::timeout(grace, self.shared.ended()).await;
        self.shared.stop.cancel();
        self.abort();
        self.shared.ended().await;
    }

    /// Aborts all tasks and drops new ones from now on.
    pub(crate) fn abort(&self) {
        let mut running = self.shared.running();
        running.is_closed = true;
        let tasks: Vec<_> = running.tasks.values().flatten().cloned().collect();
        drop(running);
        for task in tasks {
            task.abort();
        }
    }
}

impl SharedTasks {
    async fn ended(&self) {
        loop {
            let all_ended = self.all_ended.notified();
            if self.running().tasks.is_empty() {
                return;
            }
            all_ended.await;
        }
    }

    fn running(&self) -> MutexGuard<'_, RunningTasks> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a task when it ends, panics or is aborted.
struct RemoveOnDrop {
    shared: Arc<SharedTasks>,
    id: u64,
}

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        let mut running = self.shared.running();
        running.tasks.remove(&self.id);
        let is_last = running.tasks.is_empty();
        drop(running);
        if is_last {
            self.shared.all_ended.notify_waiters();
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
    async fn tasks_are_aborted_after_the_grace_period() {
        let tasks = Tasks::new(CancellationToken::new());
        let (in_time, too_late) = (Arc::new(()), Arc::new(()));
        let owned = Arc::clone(&in_time);
        tasks.spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(owned);
        });
        let owned = Arc::clone(&too_late);
        tasks.spawn(async move {
            pending::<()>().await;
            drop(owned);
        });
        let started = tokio::time::Instant::now();
        tasks.finish(Duration::from_secs(5)).await;
        assert_eq!(started.elapsed(), Duration::from_secs(5));
        assert_eq!((Arc::strong_count(&in_time), Arc::strong_count(&too_late)), (1, 1));
        assert!(tasks.stop().is_cancelled());
    }

    #[tokio::test]
    async fn tasks_spawned_after_the_end_are_dropped() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.finish(Duration::ZERO).await;
        let late = Arc::new(());
        let owned = Arc::clone(&late);
        tasks.spawn(async move {
            pending::<()>().await;
            drop(owned);
        });
        assert_eq!(Arc::strong_count(&late), 1);
        tasks.finish(Duration::ZERO).await;
    }

    #[tokio::test(start_paused = true)]
    async fn finish_returns_at_once_without_running_tasks() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.spawn(async {});
        let started = tokio::time::Instant::now();
        tasks.finish(Duration::from_secs(5)).await;
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
