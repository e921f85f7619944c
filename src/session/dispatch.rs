//! Dispatch of received messages: lookup, authorization, binding and order of calls.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_core::future::BoxFuture;

use super::active_streams::ActiveStreams;
use super::call::{CallResponder, RunningCall, send_error, unauthorized};
use super::close_reason::CloseReason;
use super::hold::Hold;
use crate::auth::{AuthorizationRules, Resource, User};
use crate::hub::{
    BoundCall, CallOutput, CallState, Caller, Hub, HubError, HubResult, HubRuntime, Method, MethodKind, Reply, Slot,
    UploadSender, catch_panic_sync, poll_catch_panic,
};
use crate::outbound::FullReason;
use crate::protocol::{self, HubMessage, ProtocolError, RawValue, ReadError};
use crate::quoted::Quoted;
use crate::registry::{ConnectionHandle, Flags};

/// Dispatches messages in order. Calls with one result and no uploads need a slot; the first
/// without one waits here and blocks messages (`aspnet: DefaultHubDispatcher.ProcessInvocation`).
pub(super) struct Dispatcher<'a, H: Hub> {
    runtime: &'a Arc<HubRuntime<H>>,
    connection: &'a Arc<ConnectionHandle>,
    /// Caller from which the callers of calls are cloned.
    caller: Caller<H>,
    /// Running call of a connection with a single slot; the connection task polls it.
    running: Option<RunningCall>,
    /// Number of occupied slots if the connection has several; each call then runs in its own task.
    spawned_calls: Arc<AtomicUsize>,
    waiting_call: Option<RunningCall>,
    /// Calls that need no slot; created with the first one.
    active_streams: Option<Arc<ActiveStreams>>,
    /// Upload with a full buffer.
    full_upload: Option<Arc<dyn UploadSender>>,
    /// The outbound queue was full after the last completion, or after a call without a slot began.
    outbound_full: bool,
}

/// Looks up methods. Caches the last one, because parser and dispatcher usually need the same.
pub(super) struct Lookup<'a, H: Hub> {
    runtime: &'a HubRuntime<H>,
    connection: &'a ConnectionHandle,
    found: Cell<Option<&'a (Method<H>, AuthorizationRules)>>,
}

impl<'a, H: Hub> Lookup<'a, H> {
    pub(super) fn parse<'f>(&self, frame: &'f [u8]) -> Result<Option<HubMessage<'f>>, ProtocolError> {
        self.connection.protocol.parse(frame, |name| self.find(name).is_some())
    }

    fn find(&self, name: &str) -> Option<&'a (Method<H>, AuthorizationRules)> {
        if self.found.get().is_none_or(|(method, _)| method.name != name) {
            self.found.set(self.runtime.methods.find(name));
        }
        self.found.get()
    }
}

impl<'a, H: Hub> Dispatcher<'a, H> {
    pub(super) fn new(runtime: &'a Arc<HubRuntime<H>>, caller: &'a Caller<H>) -> Self {
        Self {
            runtime,
            connection: caller.connection(),
            caller: caller.refreshed(),
            running: None,
            spawned_calls: Arc::default(),
            waiting_call: None,
            active_streams: None,
            full_upload: None,
            outbound_full: false,
        }
    }

    pub(super) fn lookup(&self) -> Lookup<'a, H> {
        Lookup { runtime: self.runtime, connection: self.connection, found: Cell::new(None) }
    }

    /// Makes later calls see the newest request and user of the connection.
    pub(super) fn refresh_caller(&mut self) {
        self.caller = self.caller.refreshed();
    }

    /// Runs the refresh callback in the order of calls (`aspnet:
    /// HubConnectionHandler.OnUserRefreshed`).
    pub(super) fn refresh_user(&mut self, cx: &mut Context<'_>) {
        self.refresh_caller();
        let state = Arc::new(CallState::new(None));
        let future = self.runtime.on_authentication_refreshed(self.caller.calling(Arc::clone(&state)));
        self.start_in_slot(cx, &Cow::Borrowed("on_authentication_refreshed"), state, future);
    }

    /// Polls the running call, and starts the call that waits for its slot.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(running) = &mut self.running {
            let polled = running.poll(cx);
            if let Poll::Ready(full) = polled {
                self.running = None;
                self.outbound_full |= full;
            } else if running.state.has_requested_client_result()
                && let Some(call) = self.running.take()
            {
                self.spawn(call);
            }
        }
        if self.full_upload.as_ref().is_some_and(|upload| upload.poll_capacity(cx).is_ready()) {
            self.full_upload = None;
        }
        if self.has_slot()
            && let Some(call) = self.waiting_call.take()
        {
            self.start_waiting(cx, call);
        }
        if self.outbound_full {
            self.outbound_full = self.connection.outbound.is_full();
        }
    }

    /// Returns the reason why the next message is not dispatched.
    pub(super) fn hold(&self) -> Option<Hold> {
        if self.waiting_call.is_some() {
            Some(Hold::Call)
        } else if self.full_upload.is_some() {
            Some(Hold::Upload)
        } else if self.outbound_full {
            self.connection.outbound.full_reason().map(|full| match full {
                FullReason::Bytes => Hold::Capacity,
                FullReason::Unacknowledged => Hold::Acknowledgement,
            })
        } else {
            None
        }
    }

    /// Returns whether further messages have to wait for an acknowledgement by the client.
    pub(super) fn awaits_acknowledgement(&self) -> bool {
        self.connection.outbound.full_reason() == Some(FullReason::Unacknowledged)
    }

    /// Id of the call that waits for a slot.
    pub(super) fn waiting_call_id(&self) -> Option<&str> {
        self.waiting_call.as_ref()?.state.id.as_deref()
    }

    /// Returns the running call at the end of the connection.
    pub(super) fn take_running(&mut self) -> Option<RunningCall> {
        self.running.take()
    }

    /// Dispatches one message, which `lookup` parsed. An error is the reason why the connection ends.
    pub(super) fn take(
        &mut self,
        cx: &mut Context<'_>,
        message: HubMessage<'_>,
        lookup: &Lookup<'a, H>,
    ) -> Result<(), CloseReason> {
        let connection = self.connection;
        match message {
            HubMessage::Invocation(invocation) => {
                let method = lookup.find(&invocation.target);
                self.invoke(cx, &invocation, method)?;
            }
            HubMessage::Close { error, .. } => return Err(CloseReason::ClientClosed(error.map(Cow::into_owned))),
            HubMessage::StreamItem { id, item, item_first } => self.on_item(cx, &id, item, item_first)?,
            HubMessage::Completion { id, result, error } => self.on_completion(&id, result, error)?,
            HubMessage::CancelInvocation { id } => self.cancel(&id),
            // Not part of the order of messages, and handled when they arrived.
            HubMessage::Ping | HubMessage::Ack { .. } | HubMessage::Sequence { .. } => {}
        }
        if connection.flags().has(Flags::ABORTED) { Err(CloseReason::aborted(connection)) } else { Ok(()) }
    }

    /// Follows the order of ASP.NET Core, except that authorization precedes argument binding.
    fn invoke(
        &mut self,
        cx: &mut Context<'_>,
        call: &protocol::InvocationMessage<'_>,
        found: Option<&(Method<H>, AuthorizationRules)>,
    ) -> Result<(), CloseReason> {
        let target = &*call.target;
        let Some((method, rules)) = found else {
            tracing::debug!(target: "signalr::hub", method = truncated(target), connection = %self.connection.id, "unknown method called");
            self.reject(
                call,
                &format!(
                    "Failed to invoke '{target}' due to an error on the server. HubException: Method does not exist."
                ),
            );
            return Ok(());
        };
        // The registered spelling, as ASP.NET Core shows it; its MessagePack reader does not look
        // up the methods of streaming invocations.
        let name = if call.streaming && self.connection.protocol.kind().is_binary() { target } else { &method.name };
        if self.has_too_many_active(method.kind == MethodKind::Stream || !call.stream_ids.is_empty()) {
            let limit = self.runtime.options.max_streams;
            self.reject_with(call, name, &HubError::new(format!("The connection has {limit} streams open already.")));
            return Ok(());
        }
        let id = call.id.as_deref();
        let state = Arc::new(match method.kind {
            MethodKind::Call => CallState::new(id),
            MethodKind::Stream => CallState::bound_to_connection(id, self.connection.token()),
        });
        let caller = self.caller.calling(Arc::clone(&state));
        let invocation = self.runtime.invocation(method, rules, caller, &call.arguments);
        // Policies and `Deserialize` are application code: a panic in them fails only this call.
        let bound = catch_panic_sync(|| {
            let resource = invocation.resource();
            let allowed = rules.check_call(self.caller.user(), resource.as_ref());
            // Asynchronous requirements are evaluated as a part of the call, in its slot.
            let waits = allowed.is_none().then(|| (rules.clone(), self.caller.user().clone(), resource));
            (allowed != Some(false)).then(|| {
                method.bind(invocation, call.arguments.clone()).map(|bound| match waits {
                    Some(waits) => BoundCall { future: after_authorization(waits, bound.future), ..bound },
                    None => bound,
                })
            })
        });
        let BoundCall { future, uploads } = match bound {
            Ok(Some(Ok(bound))) => bound,
            Ok(None) => {
                self.outbound_full |= unauthorized(self.connection, name, call.id.as_deref());
                return Ok(());
            }
            Ok(Some(Err(ReadError::Malformed(error)))) => return Err(CloseReason::Failed(error)),
            Ok(Some(Err(error))) => {
                let error = error.into_inner();
                tracing::debug!(target: "signalr::hub", method = name, connection = %self.connection.id, error = %Quoted(&error), "argument binding failed");
                let mut text = format!("Failed to invoke '{name}' due to an error on the server.");
                if self.runtime.options.enable_detailed_errors {
                    text = format!("{text} {}: {error}", error.type_name());
                }
                self.reject(call, &text);
                return Ok(());
            }
            Err(panicked) => {
                tracing::error!(target: "signalr::hub", method = name, connection = %self.connection.id, error = %Quoted(&panicked), "call failed");
                self.reject_with(call, name, &panicked);
                return Ok(());
            }
        };
        let (sent, taken) = (call.stream_ids.len(), uploads.0.len());
        match (method.kind, call.streaming) {
            (MethodKind::Call, true) => self.reject(
                call,
                &format!(
                    "The client attempted to invoke the non-streaming '{name}' method with a streaming invocation."
                ),
            ),
            (MethodKind::Stream, false) => self.reject(
                call,
                &format!(
                    "The client attempted to invoke the streaming '{name}' method with a non-streaming invocation."
                ),
            ),
            _ if sent != taken => {
                let error = HubError::new(format!("Client sent {sent} stream(s), Hub method expects {taken}."));
                self.reject_with(call, name, &error);
            }
            (MethodKind::Call, false) if taken == 0 => self.start_in_slot(cx, &method.name, state, future),
            _ => {
                let mut running = self.running_call(&method.name, state, future);
                running.client_spelling = (name != method.name).then(|| name.into());
                self.start_beside_slots(cx, call, method.kind, running, uploads.0);
            }
        }
        Ok(())
    }

    /// Starts a call that needs a slot.
    #[expect(clippy::ptr_arg, reason = "a cloned `Cow` stays borrowed, and most names are static")]
    fn start_in_slot(
        &mut self,
        cx: &mut Context<'_>,
        method: &Cow<'static, str>,
        state: Arc<CallState>,
        mut future: BoxFuture<'static, HubResult<Reply>>,
    ) {
        let has_slot = self.has_slot();
        if has_slot && let Poll::Ready(outcome) = poll_catch_panic(future.as_mut(), cx) {
            let (connection, id) = (self.connection, state.id.as_deref());
            let detailed_errors = self.runtime.options.enable_detailed_errors;
            self.outbound_full |= CallResponder { connection, method, id, detailed_errors }.complete(outcome);
            return;
        }
        let call = self.running_call(method, state, future);
        if has_slot { self.park(call) } else { self.waiting_call = Some(call) }
    }

    /// Starts a call that needs no slot, because it returns a stream or reads uploads.
    fn start_beside_slots(
        &mut self,
        cx: &mut Context<'_>,
        call: &protocol::InvocationMessage<'_>,
        kind: MethodKind,
        mut running: RunningCall,
        uploads: Vec<Arc<dyn UploadSender>>,
    ) {
        if let Some(duplicate) = duplicate_id(&call.stream_ids) {
            let error = HubError::new(format!("Client sent the stream '{duplicate}' twice."));
            let name = running.client_spelling.as_deref().unwrap_or(&running.method);
            return self.reject_with(call, name, &error);
        }
        let streams = self.active_streams.get_or_insert_default();
        let active = match kind {
            MethodKind::Call => Some(streams.add_call(&running.state)),
            MethodKind::Stream => streams.add_stream(&running.state),
        };
        let Some(mut active) = active else {
            let id = call.id.as_deref().unwrap_or_default();
            return self.reject(call, &format!("Invocation ID '{id}' is already in use."));
        };
        // Added before the method starts and more is read, so that later items find their stream.
        let capacity = self.runtime.options.stream_buffer_capacity;
        active.add_uploads(call.stream_ids.iter().map(|id| &**id), uploads, capacity);
        running.active = Some(active);
        let mut task: BoxFuture<'static, ()> = match kind {
            MethodKind::Call => Box::pin(running.finish()),
            MethodKind::Stream => Box::pin(running.stream()),
        };
        if task.as_mut().poll(cx).is_pending() {
            self.runtime.tasks.spawn(task);
        }
        self.check_outbound_full();
    }

    /// Holds further calls while the outbound queue is full, as after a completion.
    fn check_outbound_full(&mut self) {
        self.outbound_full |= self.connection.outbound.is_full();
    }

    /// Passes an item to its upload. An item of an unknown stream is ignored, unless it precedes
    /// its id in a JSON message: then the connection ends.
    fn on_item(&mut self, cx: &Context<'_>, id: &str, item: RawValue<'_>, item_first: bool) -> Result<(), CloseReason> {
        let Some(upload) = self.active_streams.as_ref().and_then(|streams| streams.upload(id)) else {
            return if item_first { Err(CloseReason::Failed(ProtocolError::unknown_stream(id))) } else { Ok(()) };
        };
        if let Err(panicked) = catch_panic_sync(|| upload.push_item(item, self.runtime.options.enable_detailed_errors))
        {
            upload.finish(Some(panicked));
        }
        if upload.poll_capacity(cx).is_pending() {
            self.full_upload = Some(upload);
        }
        Ok(())
    }

    /// Ends an upload, or completes a client result.
    fn on_completion(
        &self,
        id: &str,
        result: Option<RawValue<'_>>,
        error: Option<Cow<'_, str>>,
    ) -> Result<(), CloseReason> {
        if let Some(upload) = self.active_streams.as_ref().and_then(|streams| streams.take_upload(id)) {
            upload.finish(error.map(HubError::new));
            return Ok(());
        }
        let results = &self.runtime.shared.registry.results;
        results.complete(self.connection.id, id, result, error.as_deref()).map_err(CloseReason::Failed)
    }

    fn cancel(&self, id: &str) {
        match &self.running {
            Some(running) if running.state.id.as_deref() == Some(id) => running.state.cancel(),
            _ => {
                if let Some(streams) = &self.active_streams {
                    streams.cancel(id);
                }
            }
        }
    }

    /// Polls a call that waited for a slot for the first time.
    fn start_waiting(&mut self, cx: &mut Context<'_>, mut call: RunningCall) {
        match call.poll(cx) {
            Poll::Ready(full) => self.outbound_full |= full,
            Poll::Pending => self.park(call),
        }
    }

    /// Keeps a call that is pending after its first poll.
    fn park(&mut self, call: RunningCall) {
        if call.state.has_requested_client_result() {
            self.spawn(call);
        } else if self.slots() == 1 {
            self.running = Some(call);
        } else {
            call.state.set_slot(Slot::new(&self.spawned_calls));
            self.spawn(call);
        }
    }

    fn spawn(&mut self, mut call: RunningCall) {
        call.active = Some(self.active_streams.get_or_insert_default().add_call(&call.state));
        let (connection, state) = (Arc::clone(self.connection), Arc::clone(&call.state));
        self.runtime.tasks.spawn(async move {
            call.finish().await;
            // The slot is released after the completion has found capacity.
            connection.outbound.capacity().await;
            state.release_slot();
            connection.outbound.wake_owner();
        });
        self.check_outbound_full();
    }

    #[expect(clippy::ptr_arg, reason = "a cloned `Cow` stays borrowed, and most names are static")]
    fn running_call(
        &self,
        method: &Cow<'static, str>,
        state: Arc<CallState>,
        future: BoxFuture<'static, HubResult<Reply>>,
    ) -> RunningCall {
        RunningCall {
            connection: Arc::clone(self.connection),
            method: method.clone(),
            client_spelling: None,
            state,
            future,
            detailed_errors: self.runtime.options.enable_detailed_errors,
            active: None,
        }
    }

    /// Returns whether one more call would exceed `max_streams`. Calls with one result count only
    /// after they have released their slots, because they wait for a client result.
    fn has_too_many_active(&self, is_streaming: bool) -> bool {
        let limit = self.runtime.options.max_streams;
        self.active_streams.as_ref().is_some_and(|streams| match streams.counts() {
            (streams, calls) if is_streaming => streams + calls >= limit,
            (_, calls) => calls >= limit.saturating_add(self.slots()),
        })
    }

    fn has_slot(&self) -> bool {
        match self.slots() {
            1 => self.running.is_none(),
            slots => self.spawned_calls.load(Ordering::Acquire) < slots,
        }
    }

    fn slots(&self) -> usize {
        self.runtime.options.maximum_parallel_invocations_per_client
    }

    fn reject(&mut self, call: &protocol::InvocationMessage<'_>, error: &str) {
        self.outbound_full |= send_error(self.connection, call.id.as_deref(), error);
    }

    /// Rejects a call as if its method had failed.
    fn reject_with(&mut self, call: &protocol::InvocationMessage<'_>, name: &str, error: &HubError) {
        let base = format!("An unexpected error occurred invoking '{name}' on the server.");
        self.reject(call, &error.client_message(&base, self.runtime.options.enable_detailed_errors));
    }
}

impl<H: Hub> Drop for Dispatcher<'_, H> {
    /// Ends the uploads of methods that still run.
    fn drop(&mut self) {
        if let Some(streams) = &self.active_streams {
            streams.end_uploads();
        }
    }
}

/// Runs a call after its asynchronous requirements, if they are met.
fn after_authorization(
    (rules, user, resource): (AuthorizationRules, User, Option<Resource>),
    call: BoxFuture<'static, HubResult<Reply>>,
) -> BoxFuture<'static, HubResult<Reply>> {
    Box::pin(async move {
        if rules.check_call_async(&user, resource.as_ref()).await {
            call.await
        } else {
            Ok(Reply(CallOutput::Unauthorized))
        }
    })
}

/// Returns the first id that occurs twice.
fn duplicate_id<'a>(ids: &'a [Cow<'_, str>]) -> Option<&'a str> {
    ids.iter().enumerate().find(|(at, id)| ids[..*at].contains(id)).map(|(_, id)| &**id)
}

/// Maximum number of characters of a client text in a log message.
const MAX_LOGGED_CHARS: usize = 100;

fn truncated(text: &str) -> &str {
    text.char_indices().nth(MAX_LOGGED_CHARS).map_or(text, |(end, _)| &text[..end])
}
