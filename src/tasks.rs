//! The tasks of a server, and their end.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Owns every task that serves connections, so that a shutdown can wait for them and cut who is left.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// `stop` ends all of them.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self { tracker: TaskTracker::new(), stop }
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            stop.run_until_cancelled_owned(task).await;
        });
    }

    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Waits until all have ended, at most for `grace`; then ends who is left.
    pub(crate) async fn finish(&self, grace: Duration) {
        self.tracker.close();
        // Whether they ended by themselves or not, nobody is left after this.
        let _ = tokio::time::timeout(grace, self.tracker.wait()).await;
        self.stop.cancel();
        self.tracker.wait().await;
    }
}
