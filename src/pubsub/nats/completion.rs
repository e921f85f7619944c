//! Results of calls.

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::BackplaneError;

/// Completes a call. Dropping it tells the call that the connection was lost.
pub(super) struct NatsCompletion(oneshot::Sender<Result<(), BackplaneError>>);

/// Result of a call, which has to be there by a deadline.
pub(super) struct PendingCall {
    pub(super) result: oneshot::Receiver<Result<(), BackplaneError>>,
    pub(super) deadline: Instant,
}

impl NatsCompletion {
    pub(super) fn new(deadline: Instant) -> (Self, PendingCall) {
        let (tx, result) = oneshot::channel();
        (Self(tx), PendingCall { result, deadline })
    }

    pub(super) fn complete(self, result: Result<(), BackplaneError>) {
        // Fails when the caller does not wait any more.
        let _ = self.0.send(result);
    }
}

/// Completes calls.
pub(super) fn complete_all(completions: Vec<NatsCompletion>, result: &Result<(), BackplaneError>) {
    completions.into_iter().for_each(|completion| completion.complete(result.clone()));
}
