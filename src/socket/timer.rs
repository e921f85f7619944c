//! Timer whose deadline moves often and is rarely reached.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is not reset when its deadline is postponed, but when it fires, so that progress
/// costs no timer operation.
#[derive(Debug, Default)]
pub(super) struct LazyTimer(Option<Pin<Box<Sleep>>>);

impl LazyTimer {
    /// Whether the timer will wake its task.
    pub(super) fn is_running(&self) -> bool {
        self.0.is_some()
    }

    /// Ready at `deadline`; never ready without one.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        loop {
            let sleep = match (&mut self.0, deadline) {
                (Some(sleep), _) => sleep,
                (None, Some(deadline)) => self.0.insert(Box::pin(sleep_until(deadline))),
                (None, None) => return Poll::Pending,
            };
            if let Some(deadline) = deadline
                && deadline < sleep.deadline()
            {
                sleep.as_mut().reset(deadline);
            }
            ready!(sleep.as_mut().poll(cx));
            match deadline {
                Some(deadline) if deadline > sleep.deadline() => sleep.as_mut().reset(deadline),
                Some(_) => return Poll::Ready(()),
                None => self.0 = None,
            }
        }
    }
}
