//! One message in: which call it is, whether it may be made, and when.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use super::call::{Call, RunningCall, fail, guarded, poll_caught};
use super::close::End;
use super::sequence::Sequence;
use crate::auth::Rules;
use crate::hub::{Caller, Hub, HubCore, Invocation, Kind, Method};
use crate::lifetime::{ConnectionHandle, Flags};
use crate::protocol::{self, HubMessage, ProtocolError, ReadError};

/// Takes messages one after another. Ordinary calls need a slot; the first that finds none is kept here and holds back
/// everything behind it (`aspnet: DefaultHubDispatcher.ProcessInvocation`).
pub(super) struct Dispatcher<'a, H: Hub> {
    core: &'a Arc<HubCore<H>>,
    caller: &'a Caller<H>,
    /// What every call is made from. It is there from the first one on: connections that never call need none.
    origin: Option<Invocation<H>>,
    /// The one call of a connection that runs them one after another; it is driven by the connection's task.
    running: Option<RunningCall>,
    /// Calls that run side by side, in tasks of their own.
    spawned: Arc<AtomicUsize>,
    waiting: Option<RunningCall>,
    /// The queue was full after the last answer.
    full: bool,
    /// For a connection that may go on with another socket.
    sequence: Option<Arc<Sequence>>,
}

impl<'a, H: Hub> Dispatcher<'a, H> {
    pub(super) fn new(core: &'a Arc<HubCore<H>>, caller: &'a Caller<H>, sequence: Option<Arc<Sequence>>) -> Self {
        Self {
            core,
            caller,
            origin: None,
            running: None,
            spawned: Arc::default(),
            waiting: None,
            full: false,
            sequence,
        }
    }

    /// Whether the connection may go on with another socket.
    pub(super) fn may_resume(&self) -> bool {
        self.sequence.is_some()
    }

    /// Calls that come now see the newest request of the connection.
    pub(super) fn renew(&mut self) {
        self.origin = Some(Invocation::new(Arc::clone(&self.core.hub), self.caller.renewed()));
    }

    /// Goes on with the running call, and with the one that waits for its slot.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        if let Some(running) = &mut self.running
            && let Poll::Ready(full) = running.poll(cx)
        {
            self.running = None;
            self.full |= full;
        }
        if self.has_slot()
            && let Some(call) = self.waiting.take()
        {
            self.start(cx, call);
        }
        if self.full {
            self.full = self.connection().outbound.is_full();
        }
    }

    /// Whether no further message may be taken now.
    pub(super) fn is_held(&self) -> bool {
        self.waiting.is_some() || self.full
    }

    /// Whether a full queue alone holds messages back.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// The call that still runs when the connection ends.
    pub(super) fn into_running(self) -> Option<RunningCall> {
        self.running
    }

    /// Takes one message. `Err` ends the connection.
    pub(super) fn message(&mut self, cx: &mut Context<'_>, frame: &[u8]) -> Result<(), End> {
        let connection = self.connection();
        let protocol = connection.protocol;
        // What parsing has to look up is, but for odd messages, what is called then.
        let found = Cell::new(None);
        let find = |name: &str| {
            if found.get().is_none_or(|(method, _): &(Method<H>, Rules)| method.name != name) {
                found.set(self.core.methods.find(name));
            }
            found.get()
        };
        let message = protocol.parse(frame, |name| find(name).is_some()).map_err(End::Failed)?;
        if let (Some(sequence), Some(message)) = (&self.sequence, &message)
            && !sequence.receive(message)
        {
            tracing::trace!(target: "signalr::hub", connection = %connection.id, "a message came again");
            return Ok(());
        }
        match message {
            Some(HubMessage::Invocation(invocation)) => {
                let method = find(&invocation.target);
                self.invoke(cx, &invocation, method)?;
            }
            Some(HubMessage::Ping) => connection.set(Flags::PINGED),
            Some(HubMessage::Close { error, .. }) => return Err(End::ClientClosed(error.map(Cow::into_owned))),
            Some(HubMessage::StreamItem { id, item_first: true, .. }) => {
                return Err(End::Failed(ProtocolError::unknown_stream(&id)));
            }
            Some(HubMessage::Ack { sequence_id }) => connection.outbound.acknowledge(sequence_id),
            Some(HubMessage::Sequence { sequence_id }) => {
                if let Some(sequence) = &self.sequence {
                    sequence.go_on_at(sequence_id).map_err(End::Failed)?;
                }
            }
            // Items, completions and cancellations of what is not open, and messages of a type that is newer
            // than this server: ignored.
            Some(_) | None => {}
        }
        if connection.flags().has(Flags::ABORTED) { Err(End::Aborted) } else { Ok(()) }
    }

    /// In ASP.NET's order but for one thing: authorization comes before the arguments are read.
    fn invoke(
        &mut self,
        cx: &mut Context<'_>,
        call: &protocol::Invocation<'_>,
        found: Option<&(Method<H>, Rules)>,
    ) -> Result<(), End> {
        let target = &*call.target;
        let Some((method, rules)) = found else {
            tracing::debug!(target: "signalr::hub", method = shortened(target), connection = %self.connection().id, "unknown method");
            self.refuse(
                call,
                &format!(
                    "Failed to invoke '{target}' due to an error on the server. HubException: Method does not exist."
                ),
            );
            return Ok(());
        };
        // The registered spelling, as ASP.NET shows it; its MessagePack reader does not look streams up.
        let name =
            if call.streaming && self.connection().protocol.format().is_binary() { target } else { &method.name };
        let origin =
            self.origin.get_or_insert_with(|| Invocation::new(Arc::clone(&self.core.hub), self.caller.clone()));
        // Policies and `Deserialize` are the user's code: a panic in them fails this call alone, as one in the method.
        let bound = guarded(|| {
            let allowed = rules.check(self.caller.user());
            allowed.then(|| method.bind(origin.with_id(call.id.as_deref()), call.arguments.clone()))
        });
        let mut future = match bound {
            Ok(Some(Ok(future))) => future,
            Ok(None) => {
                tracing::debug!(target: "signalr::hub", method = name, connection = %self.connection().id, "call not authorized");
                self.refuse(call, &format!("Failed to invoke '{name}' because user is unauthorized"));
                return Ok(());
            }
            Ok(Some(Err(ReadError::Malformed(error)))) => return Err(End::Failed(error)),
            Ok(Some(Err(error))) => {
                let error = error.into_inner();
                tracing::debug!(target: "signalr::hub", method = name, connection = %self.connection().id, %error, "arguments do not fit");
                let mut text = format!("Failed to invoke '{name}' due to an error on the server.");
                if self.core.options.enable_detailed_errors {
                    text = format!("{text} {}: {error}", error.type_name());
                }
                self.refuse(call, &text);
                return Ok(());
            }
            Err(panicked) => {
                tracing::error!(target: "signalr::hub", method = name, connection = %self.connection().id, error = %panicked, "call failed");
                let base = format!("An unexpected error occurred invoking '{name}' on the server.");
                self.refuse(call, &panicked.explain(&base, self.core.options.enable_detailed_errors));
                return Ok(());
            }
        };
        match method.kind {
            Kind::Call if call.streaming => {
                self.refuse(
                    call,
                    &format!(
                        "The client attempted to invoke the non-streaming '{name}' method with a streaming invocation."
                    ),
                );
            }
            Kind::Call if !call.stream_ids.is_empty() => {
                let sent = call.stream_ids.len();
                self.refuse(call, &format!(
                    "An unexpected error occurred invoking '{name}' on the server. HubException: Client sent {sent} stream(s), Hub method expects 0."
                ));
            }
            Kind::Call => {
                let (connection, id) = (self.connection(), call.id.as_deref());
                let detailed_errors = self.core.options.enable_detailed_errors;
                let has_slot = self.has_slot();
                if has_slot && let Poll::Ready(outcome) = poll_caught(future.as_mut(), cx) {
                    self.full |= Call { connection, method: &method.name, id, detailed_errors }.answer(outcome);
                    return Ok(());
                }
                let (connection, method, id) = (Arc::clone(connection), method.name.clone(), id.map(Into::into));
                let call = RunningCall { connection, method, id, future, detailed_errors };
                if has_slot { self.keep(call) } else { self.waiting = Some(call) }
            }
        }
        Ok(())
    }

    /// The first poll of a call that had to wait.
    fn start(&mut self, cx: &mut Context<'_>, mut call: RunningCall) {
        match call.poll(cx) {
            Poll::Ready(full) => self.full |= full,
            Poll::Pending => self.keep(call),
        }
    }

    /// Keeps a call that goes on after its first poll.
    fn keep(&mut self, call: RunningCall) {
        if self.slots() == 1 {
            self.running = Some(call);
        } else {
            self.spawn(call);
        }
    }

    fn spawn(&self, call: RunningCall) {
        self.spawned.fetch_add(1, Ordering::AcqRel);
        let (slot, connection) = (Slot(Arc::clone(&self.spawned)), Arc::clone(self.connection()));
        self.core.tasks.spawn(async move {
            call.finish().await;
            // The slot is given back when the answer has found room.
            std::future::poll_fn(|cx| connection.outbound.poll_room(cx)).await;
            drop(slot);
            connection.outbound.wake_owner();
        });
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

    fn refuse(&mut self, call: &protocol::Invocation<'_>, error: &str) {
        self.full |= fail(self.connection(), call.id.as_deref(), error);
    }

    fn connection(&self) -> &'a Arc<ConnectionHandle> {
        &self.caller.connection
    }
}

/// One of the calls that run side by side.
struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// So many characters of a peer's text go to a log.
const LOGGED: usize = 100;

fn shortened(text: &str) -> &str {
    text.char_indices().nth(LOGGED).map_or(text, |(end, _)| &text[..end])
}
