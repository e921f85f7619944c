//! One connection of a hub, from its handshake to its end: joins what arrives, the hub, and what is sent.

mod backlog;
mod call;
mod close;
mod dispatch;
mod handshake;
mod hold;
mod intake;
mod open;
mod pulse;
mod sequence;
mod serve;

use std::sync::Arc;

use crate::connections::{Connection, Served, Watched};
use crate::hub::{Caller, Hub, HubContext, HubCore, caught};
use crate::lifetime::{ConnectionHandle, Flags, Registry};
use crate::outbound::Frame;
use crate::protocol::HubProtocol;
use crate::quoted::Quoted;
use crate::scratch::with_scratch;
use close::End;
use handshake::Shaken;
use pulse::Pulse;
use sequence::Sequence;
use serve::Session;

/// Serves one connection. Whatever ends it, its end runs once and in order: no more is read, the Close message goes out,
/// `on_disconnected` runs while the groups are still there, and the registry forgets it.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn would hold its arguments twice, as long as the connection lives"
)]
pub(crate) fn run<H: Hub>(
    core: Arc<HubCore<H>>,
    mut connection: Connection,
) -> impl Future<Output = Served> + Send + 'static {
    async move {
        let faulted = match handshake::shake(&core, &mut connection).await {
            Some(shaken) => serve_hub(&core, shaken, &mut connection).await,
            None => false,
        };
        Served { incoming: connection.incoming, faulted }
    }
}

/// What follows a handshake. `true`: the end itself failed.
async fn serve_hub<H: Hub>(core: &Arc<HubCore<H>>, shaken: Shaken, connection: &mut Connection) -> bool {
    let Shaken { protocol, user_id, may_resume } = shaken;
    let sequence = (may_resume && connection.incoming.allow_resume(&connection.entry)).then(|| {
        keep_messages(connection, protocol, core.options.stateful_reconnect_buffer_size);
        Arc::new(Sequence::new())
    });
    let outbound = &connection.outbound;
    let handle = handle_of::<H>(protocol, user_id, connection);
    let pulse: Arc<dyn Watched> = Arc::new(Pulse::new(Arc::clone(&handle), &core.options, sequence.clone()));
    connection.entry.watch(Arc::downgrade(&pulse));
    let _registered = Registered::new(&core.shared.registry, &handle);
    let context = HubContext::new(Arc::clone(&core.shared));
    let mut caller = Caller::connecting(Arc::clone(&core.hub), Arc::clone(&handle), context);
    tracing::debug!(target: "signalr::connection", connection = %handle.id, protocol = protocol.format().name(), "connected");

    let (end, running) = match outbound.drive(caught(core.on_connected(&caller))).await {
        Ok(()) => {
            let mut session = Session::new(core, &caller, &connection.entry, sequence);
            let end = session.serve(&mut connection.incoming).await;
            (end, session.end())
        }
        Err(error) => (End::NotConnected(error), None),
    };

    connection.incoming.refuse_resume();
    with_scratch(|message| {
        end.write_close(protocol, core.options.enable_detailed_errors, message);
        outbound.last_words(message);
    });
    handle.set(Flags::ABORTED);
    handle.cancel();
    if let Some(running) = running {
        // It runs to its end, as in ASP.NET: no half-done writes because a client left.
        core.tasks.spawn(running.finish());
    }
    let reason = end.reason();
    caller = caller.renewed();
    let mut faulted = false;
    if let End::NotConnected(error) = &end {
        tracing::error!(target: "signalr::connection", connection = %handle.id, error = %Quoted(error), "on_connected failed");
    } else if let Err(error) = outbound.drive(caught(core.on_disconnected(&caller, reason.as_ref()))).await {
        tracing::error!(target: "signalr::connection", connection = %handle.id, error = %Quoted(&error), "on_disconnected failed");
        faulted = true;
    }
    let reason = reason.map(|reason| tracing::field::display(Quoted(reason)));
    tracing::debug!(target: "signalr::connection", connection = %handle.id, reason, "disconnected");
    faulted
}

/// Messages are kept from now on, for the socket that the client may come back with.
fn keep_messages(connection: &Connection, protocol: HubProtocol, limit: usize) {
    connection.outbound.keep(limit, move |sequence_id| {
        Frame::written(protocol.format().is_binary(), |message| protocol.write_sequence(message, sequence_id))
    });
}

fn handle_of<H: Hub>(
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
struct Registered<'a> {
    registry: &'a Registry,
    handle: &'a ConnectionHandle,
}

impl<'a> Registered<'a> {
    fn new(registry: &'a Registry, handle: &'a Arc<ConnectionHandle>) -> Self {
        registry.add(handle);
        Self { registry, handle }
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.handle.abort();
        self.registry.remove(self.handle);
    }
}
