//! Waiting that has an end.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

/// How long something is waited for, and who waits.
pub(super) struct Deadline {
    limit: Duration,
    caller: &'static Location<'static>,
    /// There once the waiting has begun.
    end: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    #[track_caller]
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, caller: Location::caller(), end: None }
    }

    /// What was waited for has come; the next wait has all of the time again.
    pub(super) fn renew(&mut self) {
        self.end = None;
    }

    /// Waits on.
    ///
    /// # Panics
    ///
    /// When the time is up.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, missed: impl FnOnce() -> String) {
        let end = self.end.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.limit)));
        if let Poll::Ready(()) = end.as_mut().poll(cx) {
            self.fail_test(&missed());
        }
    }

    /// # Panics
    ///
    /// Always.
    pub(super) fn fail_test(&self, missed: &str) -> ! {
        fail(&format!("{missed} within {:?}", self.limit), self.caller)
    }
}

/// Fails the test, on behalf of the line that asked.
///
/// # Panics
///
/// Always.
pub(super) fn fail(why: &str, caller: &Location<'_>) -> ! {
    panic!("{why}\n  asked at {caller}")
}
