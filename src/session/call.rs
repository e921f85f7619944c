//! Running calls and their completions.

use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::future::BoxFuture;

use super::active_streams::ActiveStream;
use crate::buffer_pool::{self, with_scratch};
use crate::hub::{CallOutput, CallState, HubError, HubResult, Reply, catch_panic, poll_catch_panic};
use crate::quoted::Quoted;
use crate::registry::ConnectionHandle;

/// A call with bound arguments.
pub(super) struct RunningCall {
    pub(super) connection: Arc<ConnectionHandle>,
    pub(super) method: Cow<'static, str>,
    /// Name as the client spells it, if error messages show that spelling.
    pub(super) client_spelling: Option<Box<str>>,
    pub(super) state: Arc<CallState>,
    pub(super) future: BoxFuture<'static, HubResult<Reply>>,
    pub(super) detailed_errors: bool,
    /// Set for a call that occupies no slot.
    pub(super) active: Option<ActiveStream>,
}

impl RunningCall {
    /// Polls the call; ready when its completion is queued. Returns whether the outbound queue is
    /// full then.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        poll_catch_panic(self.future.as_mut(), cx).map(|outcome| {
            self.active = None;
            let Self { connection, method, state, detailed_errors, .. } = self;
            CallResponder { connection, method, id: state.id.as_deref(), detailed_errors: *detailed_errors }
                .complete(outcome)
        })
    }

    /// Runs the call to its end.
    pub(super) async fn finish(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    /// Runs the call to the end of its stream. A cancellation drops the method or the stream at its
    /// current `await` (`aspnet: DefaultHubDispatcher.StreamAsync`).
    pub(super) async fn stream(self) {
        let Self { connection, method, client_spelling, state, future, detailed_errors, active } = self;
        let streamed = state.token().run_until_cancelled(run_stream(future)).await;
        // Removed before the completion is queued: a client that receives the completion can use
        // the id again.
        drop(active);
        let call = CallResponder { connection: &connection, method: &method, id: state.id.as_deref(), detailed_errors };
        match streamed {
            None | Some(StreamOutcome::Ended(Ok(_))) => call.end_stream(),
            Some(StreamOutcome::Ended(Err(error))) => {
                call.fail(&error, "An error occurred on the server while streaming results.");
            }
            Some(StreamOutcome::NotStarted(refused @ (Err(_) | Ok(Reply(CallOutput::Unauthorized))))) => {
                let method = client_spelling.as_deref().unwrap_or(&method);
                CallResponder { method, ..call }.complete(refused);
            }
            Some(StreamOutcome::NotStarted(Ok(_))) => {
                call.complete(Ok(Reply(CallOutput::NoStream)));
            }
        }
    }
}

/// Outcome of a call that returns a stream.
enum StreamOutcome {
    Ended(HubResult<Reply>),
    /// The method returned no stream.
    NotStarted(HubResult<Reply>),
}

async fn run_stream(setup: BoxFuture<'static, HubResult<Reply>>) -> StreamOutcome {
    match catch_panic(setup).await {
        Ok(Reply(CallOutput::Stream(items))) => StreamOutcome::Ended(catch_panic(items).await),
        other => StreamOutcome::NotStarted(other),
    }
}

/// Data for the completion of a call. It is borrowed, because most calls end in their first poll
/// and need no `RunningCall`.
pub(super) struct CallResponder<'a> {
    pub(super) connection: &'a Arc<ConnectionHandle>,
    pub(super) method: &'a str,
    pub(super) id: Option<&'a str>,
    pub(super) detailed_errors: bool,
}

impl CallResponder<'_> {
    /// Queues the completion of the call. Returns whether the outbound queue is full then.
    pub(super) fn complete(&self, outcome: HubResult<Reply>) -> bool {
        let method = self.method;
        match outcome.map(|Reply(output)| output) {
            Ok(CallOutput::Nothing) => false,
            Ok(CallOutput::Value(message)) => {
                let full = self.connection.outbound.enqueue(&message);
                buffer_pool::recycle(message);
                full
            }
            Ok(CallOutput::Unauthorized) => unauthorized(self.connection, method, self.id),
            Ok(CallOutput::Stream(_) | CallOutput::NoStream) => {
                let error = format!(
                    "The value returned by the streaming method '{method}' is not a ChannelReader<> or IAsyncEnumerable<>."
                );
                send_error(self.connection, self.id, &error)
            }
            Err(error) => {
                self.fail(&error, &format!("An unexpected error occurred invoking '{method}' on the server."))
            }
        }
    }

    /// Queues a completion with an error of the hub. Returns whether the outbound queue is full
    /// then.
    fn fail(&self, error: &HubError, base: &str) -> bool {
        let method = self.method;
        if error.is_exposed() {
            tracing::debug!(target: "signalr::hub", method, connection = %self.connection.id, error = %Quoted(error), "call rejected");
        } else {
            tracing::error!(target: "signalr::hub", method, connection = %self.connection.id, error = %Quoted(error), "call failed");
        }
        send_error(self.connection, self.id, &error.client_message(base, self.detailed_errors))
    }

    fn end_stream(&self) {
        let Some(id) = self.id else { return };
        with_scratch(|message| {
            self.connection.protocol.write_completion(message, id);
            self.connection.outbound.enqueue(message);
        });
    }
}

/// Queues a completion for a call that is not authorized. Returns whether the outbound queue is
/// full then.
pub(super) fn unauthorized(connection: &Arc<ConnectionHandle>, method: &str, id: Option<&str>) -> bool {
    tracing::debug!(target: "signalr::hub", method, connection = %connection.id, "call not authorized");
    send_error(connection, id, &format!("Failed to invoke '{method}' because user is unauthorized"))
}

/// Queues a completion with an error if the client waits for one. Returns whether the outbound
/// queue is full then.
pub(super) fn send_error(connection: &Arc<ConnectionHandle>, id: Option<&str>, error: &str) -> bool {
    let Some(id) = id else { return false };
    with_scratch(|message| {
        connection.protocol.write_error(message, id, error);
        connection.outbound.enqueue(message)
    })
}
