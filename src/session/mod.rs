//! One connection of a hub, from its handshake to its end: joins what arrives, the hub, and what is sent.

mod active_streams;
mod call;
mod close_reason;
mod dispatch;
mod handshake;
mod hold;
mod intake;
mod keep_alive;
mod message_loop;
mod message_sequence;
mod receive_buffer;

use std::sync::Arc;

use crate::buffer_pool::with_scratch;
use crate::connections::{Completed, Connection, SessionMonitor};
use crate::hub::{Caller, Hub, HubContext, HubRuntime, catch_panic};
use crate::outbound::EncodedMessage;
use crate::protocol::HubProtocol;
use crate::quoted::Quoted;
use crate::registry::{ConnectionHandle, Flags, Registry};
use close_reason::CloseReason;
use handshake::HandshakeOutcome;
use keep_alive::KeepAliveTimers;
use message_loop::Session;
use message_sequence::MessageSequence;

/// Serves one connection. Whatever ends it, its end runs once and in order: no more is read, the Close message goes out,
/// `on_disconnected` runs while the groups are still there, and the registry forgets it.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn would hold its arguments twice, as long as the connection lives"
)]
pub(crate) fn run<H: Hub>(
    runtime: Arc<HubRuntime<H>>,
    mut connection: Connection,
) -> impl Future<Output = Completed> + Send + 'static {
    async move {
        let failed = match handshake::perform_handshake(&runtime, &mut connection).await {
            Some(outcome) => serve_hub(&runtime, outcome, &mut connection).await,
            None => false,
        };
        Completed { incoming: connection.incoming, failed }
    }
}

/// What follows a handshake. `true`: the end itself failed.
async fn serve_hub<H: Hub>(
    runtime: &Arc<HubRuntime<H>>,
    outcome: HandshakeOutcome,
    connection: &mut Connection,
) -> bool {
    let HandshakeOutcome { protocol, user_id, supports_reconnect } = outcome;
    let sequence = (supports_reconnect && connection.incoming.allow_resume(&connection.entry)).then(|| {
        enable_message_buffer(connection, protocol, runtime.options.stateful_reconnect_buffer_size);
        Arc::new(MessageSequence::new())
    });
    let outbound = &connection.outbound;
    let handle = new_handle::<H>(protocol, user_id, connection);
    let monitor: Arc<dyn SessionMonitor> =
        Arc::new(KeepAliveTimers::new(Arc::clone(&handle), &runtime.options, sequence.clone()));
    connection.entry.watch(Arc::downgrade(&monitor));
    let _registered = RegistrationGuard::new(&runtime.shared.registry, &handle);
    let context = HubContext::new(Arc::clone(&runtime.shared));
    let mut caller = Caller::connecting(Arc::clone(&runtime.hub), Arc::clone(&handle), context);
    tracing::debug!(target: "signalr::connection", connection = %handle.id, protocol = protocol.kind().name(), "connected");

    let (end, running) = match outbound.drive(catch_panic(runtime.on_connected(&caller))).await {
        Ok(()) => {
            let mut session = Session::new(runtime, &caller, &connection.entry, sequence);
            let end = session.serve(&mut connection.incoming).await;
            (end, session.into_running_call())
        }
        Err(error) => (CloseReason::ConnectFailed(error), None),
    };

    connection.incoming.refuse_resume();
    with_scratch(|message| {
        end.write_close(protocol, runtime.options.enable_detailed_errors, message);
        outbound.last_words(message);
    });
    handle.set(Flags::ABORTED);
    handle.cancel();
    if let Some(running) = running {
        // It runs to its end, as in ASP.NET: no half-done writes because a client left.
        runtime.tasks.spawn(running.finish());
    }
    let reason = end.disconnect_reason();
    caller = caller.refreshed();
    let mut failed = false;
    if let CloseReason::ConnectFailed(error) = &end {
        tracing::error!(target: "signalr::connection", connection = %handle.id, error = %Quoted(error), "on_connected failed");
    } else if let Err(error) = outbound.drive(catch_panic(runtime.on_disconnected(&caller, reason.as_ref()))).await {
        tracing::error!(target: "signalr::connection", connection = %handle.id, error = %Quoted(&error), "on_disconnected failed");
        failed = true;
    }
    let reason = reason.map(|reason| tracing::field::display(Quoted(reason)));
    tracing::debug!(target: "signalr::connection", connection = %handle.id, reason, "disconnected");
    failed
}

/// Messages are kept from now on, for the socket that the client may come back with.
fn enable_message_buffer(connection: &Connection, protocol: HubProtocol, limit: usize) {
    connection.outbound.keep(limit, move |sequence_id| {
        EncodedMessage::written(protocol.kind().is_binary(), |message| protocol.write_sequence(message, sequence_id))
    });
}

fn new_handle<H: Hub>(
    protocol: HubProtocol,
    user_id: Option<Box<str>>,
    connection: &Connection,
) -> Arc<ConnectionHandle> {
    ConnectionHandle::new(
        connection.id,
        connection.entry.user(),
        user_id,
        protocol,
        connection.transport,
        Arc::clone(&connection.request),
        Arc::clone(&connection.outbound),
        Arc::new(H::Items::default()),
    )
}

/// Keeps a connection registered as long as it lives, also when its task is cut.
struct RegistrationGuard<'a> {
    registry: &'a Registry,
    handle: &'a ConnectionHandle,
}

impl<'a> RegistrationGuard<'a> {
    fn new(registry: &'a Registry, handle: &'a Arc<ConnectionHandle>) -> Self {
        registry.add(handle);
        Self { registry, handle }
    }
}

impl Drop for RegistrationGuard<'_> {
    fn drop(&mut self) {
        self.handle.abort();
        self.registry.remove(self.handle);
    }
}
