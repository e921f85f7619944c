//! State shared by a stream and the requests and responses on it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::keep_alive::{KeepAlive, Phase};
use super::timer::LazyTimer;

/// Pending writes, body chunks and requests of one socket.
#[derive(Debug)]
pub(crate) struct Activity {
    state: Mutex<ActivityState>,
}

#[derive(Debug, Default)]
struct ActivityState {
    is_aborted: bool,
    /// The task that polls the stream.
    task: Option<Waker>,
    /// Runs while a write or a chunk is pending.
    timer: LazyTimer,
    /// Time at which each chunk of a response body was handed to the HTTP server, oldest first.
    chunks: BTreeMap<u64, Instant>,
    next_chunk: u64,
    keep_alive: Option<KeepAlive>,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default() }
    }

    /// Tracks requests from now on.
    pub(super) fn keep_alive(&self) {
        self.lock().keep_alive = Some(KeepAlive::new());
    }

    /// Ready after an abort, and once a chunk or a write (pending since `blocked`) has taken longer
    /// than `timeout`.
    pub(super) fn poll_stalled(&self, cx: &mut Context<'_>, blocked: Option<Instant>, timeout: Duration) -> Poll<()> {
        let mut state = self.lock();
        if state.is_aborted {
            return Poll::Ready(());
        }
        if !state.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            state.task = Some(cx.waker().clone());
        }
        let oldest = state.chunks.first_key_value().map(|(_, since)| *since);
        let since = blocked.into_iter().chain(oldest).min();
        ready!(state.timer.poll(cx, since.and_then(|since| since.checked_add(timeout))));
        state.is_aborted = true;
        Poll::Ready(())
    }

    /// Makes every read and write fail from now on.
    pub(super) fn abort(&self) {
        let mut state = self.lock();
        state.is_aborted = true;
        wake(state);
    }

    /// Tracks a chunk that is handed to the HTTP server, until [`end_chunk`](Self::end_chunk).
    pub(super) fn begin_chunk(&self) -> u64 {
        let mut state = self.lock();
        let number = state.next_chunk;
        state.next_chunk += 1;
        state.chunks.insert(number, Instant::now());
        // A running timer fires before this chunk is overdue, and is reset then.
        if !state.timer.is_running() {
            wake(state);
        }
        number
    }

    pub(super) fn end_chunk(&self, number: u64) {
        self.lock().chunks.remove(&number);
    }

    pub(super) fn begin_request(&self, has_body: bool) {
        if let Some(keep_alive) = &mut self.lock().keep_alive {
            keep_alive.begin(has_body);
        }
    }

    pub(super) fn end_request(&self) {
        let mut state = self.lock();
        if let Some(keep_alive) = &mut state.keep_alive {
            keep_alive.end();
            wake(state);
        }
    }

    pub(super) fn read(&self, bytes: &[u8]) {
        if let Some(keep_alive) = &mut self.lock().keep_alive {
            keep_alive.read(bytes);
        }
    }

    /// Completes when a phase has lasted longer than its limit. The task that polls the stream must
    /// poll this future after it.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub(crate) async fn overdue(&self, limit: impl Fn(Phase) -> Duration) -> Phase {
        let mut timer = LazyTimer::default();
        poll_fn(|cx| {
            let waiting = self.lock().keep_alive.as_ref().and_then(KeepAlive::waiting);
            let Some((phase, since)) = waiting else { return Poll::Pending };
            timer.poll(cx, Some(since + limit(phase))).map(|()| phase)
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, ActivityState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the task that polls the stream, after releasing the lock.
fn wake(state: MutexGuard<'_, ActivityState>) {
    let task = state.task.clone();
    drop(state);
    if let Some(task) = task {
        task.wake();
    }
}
