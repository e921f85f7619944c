//! Session of one hub connection, from its handshake to its end: reads messages, dispatches them to
//! the hub, and writes completions.

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

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use crate::buffer_pool::with_scratch;
use crate::connections::{Completed, Connection, SessionMonitor};
use crate::hub::{Caller, Hub, HubContext, HubRuntime, HubShared, catch_panic};
use crate::outbound::EncodedMessage;
use crate::protocol::HubProtocol;
use crate::quoted::Quoted;
use crate::registry::{ConnectionHandle, Flags};
use close_reason::CloseReason;
use handshake::HandshakeOutcome;
use keep_alive::KeepAliveTimers;
use message_loop::Session;
use message_sequence::MessageSequence;

/// Serves one connection. Whatever ends the connection, the steps of its end run once and in this
/// order: reading stops, the Close message is queued, `on_disconnected` runs while the connection
/// is still in its groups, and the registry removes the connection.
#[expect(
    clippy::manual_async_fn,
    reason = "the future of an async fn would store its arguments twice for the life of the connection"
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

/// Serves the hub after the handshake. Returns `true` if the backplane or `on_disconnected` failed.
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
    connection.entry.set_monitor(Arc::downgrade(&monitor));
    let _registered = RegistrationGuard::new(&runtime.shared, &handle);
    if let Some(cluster) = runtime.shared.cluster.get() {
        // Boxed, since most servers have no backplane.
        let connected = Box::pin(cluster.connect(&handle)).await;
        poll_fn(|cx| {
            outbound.end_batch(cx);
            Poll::Ready(())
        })
        .await;
        if let Err(error) = connected {
            // As in ASP.NET Core, without a Close message and before `on_connected`.
            tracing::error!(target: "signalr::connection", connection = %handle.id, %error, "connection rejected: backplane is not connected");
            return true;
        }
    }
    let context = HubContext::new(Arc::clone(&runtime.shared));
    let mut caller = Caller::connecting(Arc::clone(&runtime.hub), Arc::clone(&handle), context);
    tracing::debug!(target: "signalr::connection", connection = %handle.id, protocol = protocol.kind().name(), "connected");

    let (close_reason, running) = match outbound.drive(catch_panic(runtime.on_connected(&caller))).await {
        Ok(()) => {
            let mut session = Session::new(runtime, &caller, &connection.entry, sequence);
            let close_reason = session.serve(&mut connection.incoming).await;
            (close_reason, session.into_running_call())
        }
        Err(error) => (CloseReason::ConnectFailed(error), None),
    };

    connection.incoming.refuse_resume();
    with_scratch(|message| {
        close_reason.write_close(protocol, runtime.options.enable_detailed_errors, message);
        outbound.enqueue_close_message(message);
    });
    handle.set(Flags::ABORTED);
    handle.cancel();
    if let Some(running) = running {
        // Runs to its end, as in ASP.NET Core, so that a disconnect does not interrupt writes of
        // the application.
        runtime.tasks.spawn(running.finish());
    }
    let reason = close_reason.disconnect_reason();
    caller = caller.refreshed();
    let mut failed = false;
    if let CloseReason::ConnectFailed(error) = &close_reason {
        tracing::error!(target: "signalr::connection", connection = %handle.id, error = %Quoted(error), "on_connected failed");
    } else if let Err(error) = outbound.drive(catch_panic(runtime.on_disconnected(&caller, reason.as_ref()))).await {
        tracing::error!(target: "signalr::connection", connection = %handle.id, error = %Quoted(&error), "on_disconnected failed");
        failed = true;
    }
    let reason = reason.map(|reason| tracing::field::display(Quoted(reason)));
    tracing::debug!(target: "signalr::connection", connection = %handle.id, reason, "disconnected");
    failed
}

/// Keeps messages from now on until they are acknowledged, for a stateful reconnect.
fn enable_message_buffer(connection: &Connection, protocol: HubProtocol, limit: usize) {
    connection.outbound.enable_replay(limit, move |sequence_id| {
        EncodedMessage::encode(protocol.kind().is_binary(), |message| protocol.write_sequence(message, sequence_id))
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

/// Keeps a connection registered until it is dropped, also if the connection task is aborted.
struct RegistrationGuard<'a> {
    shared: &'a HubShared,
    handle: &'a ConnectionHandle,
}

impl<'a> RegistrationGuard<'a> {
    fn new(shared: &'a HubShared, handle: &'a Arc<ConnectionHandle>) -> Self {
        shared.registry.add(handle);
        Self { shared, handle }
    }
}

impl Drop for RegistrationGuard<'_> {
    fn drop(&mut self) {
        self.handle.abort();
        self.shared.remove(self.handle);
    }
}
