//! Deadlines of waits in tests.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

/// Deadline of a wait; a missed deadline fails the test.
pub(super) struct Deadline {
    limit: Duration,
    caller: &'static Location<'static>,
    /// `None` until the first poll.
    end: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    #[track_caller]
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, caller: Location::caller(), end: None }
    }

    /// Restarts the deadline for the next wait.
    pub(super) fn renew(&mut self) {
        self.end = None;
    }

    /// Polls the timer.
    ///
    /// # Panics
    ///
    /// Panics when the deadline has passed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, failure: impl FnOnce() -> String) {
        let end = self.end.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.limit)));
        if let Poll::Ready(()) = end.as_mut().poll(cx) {
            self.fail_test(&failure());
        }
    }

    /// Fails the test.
    ///
    /// # Panics
    ///
    /// Always.
    pub(super) fn fail_test(&self, failure: &str) -> ! {
        fail(&format!("{failure} within {:?}", self.limit), self.caller)
    }
}

/// Fails the test with a message that names the line of the caller.
///
/// # Panics
///
/// Always.
pub(super) fn fail(message: &str, caller: &Location<'_>) -> ! {
    panic!("{message}\n  called at {caller}")
}
