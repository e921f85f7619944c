//! One message in: which call it is, whether it may be made, and when.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_core::future::BoxFuture;

use super::active_streams::ActiveStreams;
use super::call::{CallResponder, RunningCall, fail, unauthorized};
use super::close_reason::CloseReason;
use super::hold::Hold;
use crate::auth::{AuthorizationRules, Resource, User};
use crate::hub::{
    BoundCall, CallOutput, CallState, Caller, Hub, HubError, HubResult, HubRuntime, Method, MethodKind, Reply, Slot,
    UploadSender, catch_panic_sync, poll_catch_panic,
};
use crate::outbound::Full;
use crate::protocol::{self, HubMessage, ProtocolError, RawValue, ReadError};
use crate::quoted::Quoted;
use crate::registry::{ConnectionHandle, Flags};

/// Takes messages one after another. Ordinary calls need a slot; the first that finds none is kept here and holds the
/// connection (`aspnet: DefaultHubDispatcher.ProcessInvocation`).
pub(super) struct Dispatcher<'a, H: Hub> {
    core: &'a Arc<HubRuntime<H>>,
    connection: &'a Arc<ConnectionHandle>,
    /// What every call is made from.
    caller: Caller<H>,
    /// The one call of a connection that runs them one after another; it is driven by the connection's task.
    running: Option<RunningCall>,
    /// Calls that run side by side, in tasks of their own.
    spawned: Arc<AtomicUsize>,
    waiting: Option<RunningCall>,
    /// Calls that need no slot, from the first one on.
    open: Option<Arc<ActiveStreams>>,
    /// A stream whose method has not read enough for the next item.
    uploading: Option<Arc<dyn UploadSender>>,
    /// The queue was full after the last answer, or when the last call went on beside the slots.
    full: bool,
}

/// Looks up the methods that one message names: parsing asks for the one that is called then.
pub(super) struct Lookup<'a, H: Hub> {
    core: &'a HubRuntime<H>,
    connection: &'a ConnectionHandle,
    found: Cell<Option<&'a (Method<H>, AuthorizationRules)>>,
}

impl<'a, H: Hub> Lookup<'a, H> {
    pub(super) fn parse<'f>(&self, frame: &'f [u8]) -> Result<Option<HubMessage<'f>>, ProtocolError> {
        self.connection.protocol.parse(frame, |name| self.find(name).is_some())
    }

    fn find(&self, name: &str) -> Option<&'a (Method<H>, AuthorizationRules)> {
        if self.found.get().is_none_or(|(method, _)| method.name != name) {
            self.found.set(self.core.methods.find(name));
        }
        self.found.get()
    }
}

impl<'a, H: Hub> Dispatcher<'a, H> {
    pub(super) fn new(core: &'a Arc<HubRuntime<H>>, caller: &'a Caller<H>) -> Self {
        Self {
            core,
            connection: caller.connection(),
            caller: caller.refreshed(),
            running: None,
            spawned: Arc::default(),
            waiting: None,
            open: None,
            uploading: None,
            full: false,
        }
    }

    pub(super) fn lookup(&self) -> Lookup<'a, H> {
        Lookup { core: self.core, connection: self.connection, found: Cell::new(None) }
    }

    /// Calls that come now see the newest request and user of the connection.
    pub(super) fn reset_turn(&mut self) {
        self.caller = self.caller.refreshed();
    }

    /// There is a newer user, of whom the hub hears in the order of calls (`aspnet: HubConnectionHandler.OnUserRefreshed`).
    pub(super) fn refresh(&mut self, cx: &mut Context<'_>) {
        self.reset_turn();
        let state = Arc::new(CallState::new(None));
        let future = self.core.on_authentication_refreshed(self.caller.calling(Arc::clone(&state)));
        self.call(cx, &Cow::Borrowed("on_authentication_refreshed"), state, future);
    }

    /// Goes on with the running call, and with the one that waits for its slot.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(running) = &mut self.running {
            let polled = running.poll(cx);
            if let Poll::Ready(full) = polled {
                self.running = None;
                self.full |= full;
            } else if running.state.has_asked()
                && let Some(call) = self.running.take()
            {
                self.spawn(call);
            }
        }
        if self.uploading.as_ref().is_some_and(|upload| upload.poll_room(cx).is_ready()) {
            self.uploading = None;
        }
        if self.has_slot()
            && let Some(call) = self.waiting.take()
        {
            self.start(cx, call);
        }
        if self.full {
            self.full = self.connection.outbound.is_full();
        }
    }

    /// Why the next message is not taken.
    pub(super) fn hold(&self) -> Option<Hold> {
        if self.waiting.is_some() {
            Some(Hold::Call)
        } else if self.uploading.is_some() {
            Some(Hold::Upload)
        } else if self.full {
            self.connection.outbound.full().map(|full| match full {
                Full::Bytes => Hold::Capacity,
                Full::Unacknowledged => Hold::Acknowledgement,
            })
        } else {
            None
        }
    }

    /// Whether the client has to acknowledge messages before more are sent.
    pub(super) fn awaits_acknowledgement(&self) -> bool {
        self.connection.outbound.full() == Some(Full::Unacknowledged)
    }

    /// Id of the call that waits for a slot.
    pub(super) fn waiting_call_id(&self) -> Option<&str> {
        self.waiting.as_ref()?.state.id.as_deref()
    }

    /// The call that still runs when the connection ends.
    pub(super) fn take_running(&mut self) -> Option<RunningCall> {
        self.running.take()
    }

    /// Takes one message, which `lookup` parsed.
    ///
    /// # Errors
    ///
    /// The end of the connection.
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
            HubMessage::StreamItem { id, item, item_first } => self.item(cx, &id, item, item_first)?,
            HubMessage::Completion { id, result, error } => self.completed(&id, result, error)?,
            HubMessage::CancelInvocation { id } => self.cancel(&id),
            // They have no order, and were dealt with when they arrived.
            HubMessage::Ping | HubMessage::Ack { .. } | HubMessage::Sequence { .. } => {}
        }
        if connection.flags().has(Flags::ABORTED) { Err(CloseReason::aborted(connection)) } else { Ok(()) }
    }

    /// In ASP.NET's order but for one thing: authorization comes before the arguments are read.
    fn invoke(
        &mut self,
        cx: &mut Context<'_>,
        call: &protocol::InvocationMessage<'_>,
        found: Option<&(Method<H>, AuthorizationRules)>,
    ) -> Result<(), CloseReason> {
        let target = &*call.target;
        let Some((method, rules)) = found else {
            tracing::debug!(target: "signalr::hub", method = shortened(target), connection = %self.connection.id, "unknown method");
            self.refuse(
                call,
                &format!(
                    "Failed to invoke '{target}' due to an error on the server. HubException: Method does not exist."
                ),
            );
            return Ok(());
        };
        // The registered spelling, as ASP.NET shows it; its MessagePack reader does not look streams up.
        let name = if call.streaming && self.connection.protocol.kind().is_binary() { target } else { &method.name };
        if self.has_too_many_open(method.kind == MethodKind::Stream || !call.stream_ids.is_empty()) {
            let limit = self.core.options.max_streams;
            self.refuse_with(call, name, &HubError::new(format!("The connection has {limit} streams open already.")));
            return Ok(());
        }
        let id = call.id.as_deref();
        let state = Arc::new(match method.kind {
            MethodKind::Call => CallState::new(id),
            MethodKind::Stream => CallState::tied(id, self.connection.token()),
        });
        let caller = self.caller.calling(Arc::clone(&state));
        let invocation = self.core.invocation(method, rules, caller, &call.arguments);
        // Policies and `Deserialize` are the user's code: a panic in them fails this call alone, as one in the method.
        let bound = catch_panic_sync(|| {
            let resource = invocation.resource();
            let allowed = rules.check_call(self.caller.user(), resource.as_ref());
            // What takes time waits with the call, in its slot.
            let waits = allowed.is_none().then(|| (rules.clone(), self.caller.user().clone(), resource));
            (allowed != Some(false)).then(|| {
                method.bind(invocation, call.arguments.clone()).map(|bound| match waits {
                    Some(waits) => BoundCall { future: authorized(waits, bound.future), ..bound },
                    None => bound,
                })
            })
        });
        let BoundCall { future, uploads } = match bound {
            Ok(Some(Ok(bound))) => bound,
            Ok(None) => {
                self.full |= unauthorized(self.connection, name, call.id.as_deref());
                return Ok(());
            }
            Ok(Some(Err(ReadError::Malformed(error)))) => return Err(CloseReason::Failed(error)),
            Ok(Some(Err(error))) => {
                let error = error.into_inner();
                tracing::debug!(target: "signalr::hub", method = name, connection = %self.connection.id, error = %Quoted(&error), "arguments do not fit");
                let mut text = format!("Failed to invoke '{name}' due to an error on the server.");
                if self.core.options.enable_detailed_errors {
                    text = format!("{text} {}: {error}", error.type_name());
                }
                self.refuse(call, &text);
                return Ok(());
            }
            Err(panicked) => {
                tracing::error!(target: "signalr::hub", method = name, connection = %self.connection.id, error = %Quoted(&panicked), "call failed");
                self.refuse_with(call, name, &panicked);
                return Ok(());
            }
        };
        let (sent, taken) = (call.stream_ids.len(), uploads.0.len());
        match (method.kind, call.streaming) {
            (MethodKind::Call, true) => self.refuse(
                call,
                &format!(
                    "The client attempted to invoke the non-streaming '{name}' method with a streaming invocation."
                ),
            ),
            (MethodKind::Stream, false) => self.refuse(
                call,
                &format!(
                    "The client attempted to invoke the streaming '{name}' method with a non-streaming invocation."
                ),
            ),
            _ if sent != taken => {
                let error = HubError::new(format!("Client sent {sent} stream(s), Hub method expects {taken}."));
                self.refuse_with(call, name, &error);
            }
            (MethodKind::Call, false) if taken == 0 => self.call(cx, &method.name, state, future),
            _ => {
                let mut running = self.running_call(&method.name, state, future);
                running.spelled = (name != method.name).then(|| name.into());
                self.open(cx, call, method.kind, running, uploads.0);
            }
        }
        Ok(())
    }

    /// A call that needs a slot.
    #[expect(clippy::ptr_arg, reason = "names of methods are mostly static, and kept so")]
    fn call(
        &mut self,
        cx: &mut Context<'_>,
        method: &Cow<'static, str>,
        state: Arc<CallState>,
        mut future: BoxFuture<'static, HubResult<Reply>>,
    ) {
        let has_slot = self.has_slot();
        if has_slot && let Poll::Ready(outcome) = poll_catch_panic(future.as_mut(), cx) {
            let (connection, id) = (self.connection, state.id.as_deref());
            let detailed_errors = self.core.options.enable_detailed_errors;
            self.full |= CallResponder { connection, method, id, detailed_errors }.answer(outcome);
            return;
        }
        let call = self.running_call(method, state, future);
        if has_slot { self.park(call) } else { self.waiting = Some(call) }
    }

    /// A call that needs none: one that answers with a stream, or takes streams.
    fn open(
        &mut self,
        cx: &mut Context<'_>,
        call: &protocol::InvocationMessage<'_>,
        kind: MethodKind,
        mut running: RunningCall,
        uploads: Vec<Arc<dyn UploadSender>>,
    ) {
        if let Some(twice) = duplicate_id(&call.stream_ids) {
            let error = HubError::new(format!("Client sent the stream '{twice}' twice."));
            let name = running.spelled.as_deref().unwrap_or(&running.method);
            return self.refuse_with(call, name, &error);
        }
        let open = self.open.get_or_insert_default();
        let opened = match kind {
            MethodKind::Call => Some(open.call(&running.state)),
            MethodKind::Stream => open.stream(&running.state),
        };
        let Some(mut opened) = opened else {
            let id = call.id.as_deref().unwrap_or_default();
            return self.refuse(call, &format!("Invocation ID '{id}' is already in use."));
        };
        // Before the method begins, and before more is read: an item behind the call finds its stream.
        opened.take_uploads(call.stream_ids.iter().map(|id| &**id), uploads, self.core.options.stream_buffer_capacity);
        running.open = Some(opened);
        let mut task: BoxFuture<'static, ()> = match kind {
            MethodKind::Call => Box::pin(running.finish()),
            MethodKind::Stream => Box::pin(running.stream()),
        };
        if task.as_mut().poll(cx).is_pending() {
            self.core.tasks.spawn(task);
        }
        self.wait_for_capacity();
    }

    /// What was just begun is answered whenever it ends, so its client has to read before it begins more.
    fn wait_for_capacity(&mut self) {
        self.full |= self.connection.outbound.is_full();
    }

    /// An item of a stream that the client sends; those of streams that are not open are ignored.
    fn item(&mut self, cx: &Context<'_>, id: &str, item: RawValue<'_>, item_first: bool) -> Result<(), CloseReason> {
        let Some(upload) = self.open.as_ref().and_then(|open| open.upload(id)) else {
            return if item_first { Err(CloseReason::Failed(ProtocolError::unknown_stream(id))) } else { Ok(()) };
        };
        if let Err(panicked) = catch_panic_sync(|| upload.item(item, self.core.options.enable_detailed_errors)) {
            upload.end(Some(panicked));
        }
        if upload.poll_room(cx).is_pending() {
            self.uploading = Some(upload);
        }
        Ok(())
    }

    /// The end of such a stream, or the answer to a question.
    fn completed(
        &self,
        id: &str,
        result: Option<RawValue<'_>>,
        error: Option<Cow<'_, str>>,
    ) -> Result<(), CloseReason> {
        if let Some(upload) = self.open.as_ref().and_then(|open| open.take_upload(id)) {
            upload.end(error.map(HubError::new));
            return Ok(());
        }
        let results = &self.core.shared.registry.results;
        results.complete(self.connection.id, id, result, error.as_deref()).map_err(CloseReason::Failed)
    }

    fn cancel(&self, id: &str) {
        match &self.running {
            Some(running) if running.state.id.as_deref() == Some(id) => running.state.cancel(),
            _ => {
                if let Some(open) = &self.open {
                    open.cancel(id);
                }
            }
        }
    }

    /// The first poll of a call that had to wait.
    fn start(&mut self, cx: &mut Context<'_>, mut call: RunningCall) {
        match call.poll(cx) {
            Poll::Ready(full) => self.full |= full,
            Poll::Pending => self.park(call),
        }
    }

    /// Keeps a call that goes on after its first poll.
    fn park(&mut self, call: RunningCall) {
        if call.state.has_asked() {
            self.spawn(call);
        } else if self.slots() == 1 {
            self.running = Some(call);
        } else {
            call.state.take_slot(Slot::new(&self.spawned));
            self.spawn(call);
        }
    }

    fn spawn(&mut self, mut call: RunningCall) {
        call.open = Some(self.open.get_or_insert_default().call(&call.state));
        let (connection, state) = (Arc::clone(self.connection), Arc::clone(&call.state));
        self.core.tasks.spawn(async move {
            call.finish().await;
            // The slot is given back when the answer has found room.
            connection.outbound.capacity().await;
            state.free_slot();
            connection.outbound.wake_owner();
        });
        self.wait_for_capacity();
    }

    #[expect(clippy::ptr_arg, reason = "names of methods are mostly static, and kept so")]
    fn running_call(
        &self,
        method: &Cow<'static, str>,
        state: Arc<CallState>,
        future: BoxFuture<'static, HubResult<Reply>>,
    ) -> RunningCall {
        RunningCall {
            connection: Arc::clone(self.connection),
            method: method.clone(),
            spelled: None,
            state,
            future,
            detailed_errors: self.core.options.enable_detailed_errors,
            open: None,
        }
    }

    /// Whether one more call would be beyond the limit of what may be open. Calls with one answer are so only when they
    /// have given their slots back, and wait for a client that does not answer.
    fn has_too_many_open(&self, streams: bool) -> bool {
        let limit = self.core.options.max_streams;
        self.open.as_ref().is_some_and(|open| match open.counts() {
            (opened, calls) if streams => opened + calls >= limit,
            (_, calls) => calls >= limit.saturating_add(self.slots()),
        })
    }

    fn has_slot(&self) -> bool {
        match self.slots() {
            1 => self.running.is_none(),
            slots => self.spawned.load(Ordering::Acquire) < slots,
        }
    }

    fn slots(&self) -> usize {
        self.core.options.maximum_parallel_invocations_per_client
    }

    fn refuse(&mut self, call: &protocol::InvocationMessage<'_>, error: &str) {
        self.full |= fail(self.connection, call.id.as_deref(), error);
    }

    /// The same as if the method had failed.
    fn refuse_with(&mut self, call: &protocol::InvocationMessage<'_>, name: &str, error: &HubError) {
        let base = format!("An unexpected error occurred invoking '{name}' on the server.");
        self.refuse(call, &error.explain(&base, self.core.options.enable_detailed_errors));
    }
}

impl<H: Hub> Drop for Dispatcher<'_, H> {
    /// Nothing more comes for the methods that read streams.
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            open.end_uploads();
        }
    }
}

/// A call whose rules take time: it begins when they let it pass.
fn authorized(
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

/// The first of these ids that was there before.
fn duplicate_id<'a>(ids: &'a [Cow<'_, str>]) -> Option<&'a str> {
    ids.iter().enumerate().find(|(at, id)| ids[..*at].contains(id)).map(|(_, id)| &**id)
}

/// So many characters of a peer's text go to a log.
const MAX_LOGGED_BYTES: usize = 100;

fn shortened(text: &str) -> &str {
    text.char_indices().nth(MAX_LOGGED_BYTES).map_or(text, |(end, _)| &text[..end])
}
