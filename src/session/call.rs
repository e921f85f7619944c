//! One running call.

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

/// A call whose arguments are bound.
pub(super) struct RunningCall {
    pub(super) connection: Arc<ConnectionHandle>,
    pub(super) method: Cow<'static, str>,
    /// The method as the client spells it, where errors show that.
    pub(super) client_spelling: Option<Box<str>>,
    pub(super) state: Arc<CallState>,
    pub(super) future: BoxFuture<'static, HubResult<Reply>>,
    pub(super) detailed_errors: bool,
    /// For a call that runs beside the slots.
    pub(super) active: Option<ActiveStream>,
}

impl RunningCall {
    /// Goes on with the call; ready when it is done and answered. Says whether the queue is full now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        poll_catch_panic(self.future.as_mut(), cx).map(|outcome| {
            self.active = None;
            let Self { connection, method, state, detailed_errors, .. } = self;
            CallResponder { connection, method, id: state.id.as_deref(), detailed_errors: *detailed_errors }
                .answer(outcome)
        })
    }

    /// Runs it to its end.
    pub(super) async fn finish(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    /// Runs it to the end of the stream that it answers with, unless that is cancelled: then whatever it is doing is
    /// dropped (`aspnet: DefaultHubDispatcher.StreamAsync`).
    pub(super) async fn stream(self) {
        let Self { connection, method, client_spelling, state, future, detailed_errors, active } = self;
        let streamed = state.token().run_until_cancelled(run_stream(future)).await;
        // The id may be used again by whoever reads the end.
        drop(active);
        let call = CallResponder { connection: &connection, method: &method, id: state.id.as_deref(), detailed_errors };
        match streamed {
            None | Some(StreamOutcome::Ended(Ok(_))) => call.end_stream(),
            Some(StreamOutcome::Ended(Err(error))) => {
                call.fail(&error, "An error occurred on the server while streaming results.");
            }
            Some(StreamOutcome::NotStarted(refused @ (Err(_) | Ok(Reply(CallOutput::Unauthorized))))) => {
                let method = client_spelling.as_deref().unwrap_or(&method);
                CallResponder { method, ..call }.answer(refused);
            }
            Some(StreamOutcome::NotStarted(Ok(_))) => {
                call.answer(Ok(Reply(CallOutput::NoStream)));
            }
        }
    }
}

/// What came of a stream.
enum StreamOutcome {
    Ended(HubResult<Reply>),
    /// There was none.
    NotStarted(HubResult<Reply>),
}

async fn run_stream(setup: BoxFuture<'static, HubResult<Reply>>) -> StreamOutcome {
    match catch_panic(setup).await {
        Ok(Reply(CallOutput::Stream(items))) => StreamOutcome::Ended(catch_panic(items).await),
        other => StreamOutcome::NotStarted(other),
    }
}

/// What a call needs to be answered. Most calls end in their first poll, and nothing of them has to be kept.
pub(super) struct CallResponder<'a> {
    pub(super) connection: &'a Arc<ConnectionHandle>,
    pub(super) method: &'a str,
    pub(super) id: Option<&'a str>,
    pub(super) detailed_errors: bool,
}

impl CallResponder<'_> {
    /// Answers the call. Says whether the queue is full now.
    pub(super) fn answer(&self, outcome: HubResult<Reply>) -> bool {
        let method = self.method;
        match outcome.map(|Reply(answer)| answer) {
            Ok(CallOutput::Nothing) => false,
            Ok(CallOutput::Value(message)) => {
                let full = self.connection.outbound.write(&message);
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

    /// Answers with an error of the hub. Says whether the queue is full now.
    fn fail(&self, error: &HubError, base: &str) -> bool {
        let method = self.method;
        if error.is_exposed() {
            tracing::debug!(target: "signalr::hub", method, connection = %self.connection.id, error = %Quoted(error), "call refused");
        } else {
            tracing::error!(target: "signalr::hub", method, connection = %self.connection.id, error = %Quoted(error), "call failed");
        }
        send_error(self.connection, self.id, &error.client_message(base, self.detailed_errors))
    }

    fn end_stream(&self) {
        let Some(id) = self.id else { return };
        with_scratch(|message| {
            self.connection.protocol.write_completion(message, id);
            self.connection.outbound.write(message);
        });
    }
}

/// Answers a call that its caller may not make. Says whether the queue is full now.
pub(super) fn unauthorized(connection: &Arc<ConnectionHandle>, method: &str, id: Option<&str>) -> bool {
    tracing::debug!(target: "signalr::hub", method, connection = %connection.id, "call not authorized");
    send_error(connection, id, &format!("Failed to invoke '{method}' because user is unauthorized"))
}

/// Answers a call with an error, if the client waits for an answer. Says whether the queue is full now.
pub(super) fn send_error(connection: &Arc<ConnectionHandle>, id: Option<&str>, error: &str) -> bool {
    let Some(id) = id else { return false };
    with_scratch(|message| {
        connection.protocol.write_error(message, id, error);
        connection.outbound.write(message)
    })
}
