//! One connection of a hub, from its handshake to its end: joins what arrives, the hub, and what is sent.

mod call;
mod close;
mod dispatch;
mod handshake;
mod pulse;
mod serve;

use std::sync::{Arc, Weak};

use crate::connections::{Connection, Served, Watched};
use crate::hub::{Caller, Hub, HubContext, HubCore};
use crate::lifetime::{ConnectionHandle, Flags, Registry};
use crate::outbound::with_scratch;
use call::caught;
use close::End;
use pulse::Pulse;
use serve::Session;

/// Serves one connection. Whatever ends it, its end runs once and in order: no more is read, the Close message goes out,
/// `on_disconnected` runs while the groups are still there, and the registry forgets it.
pub(crate) async fn run<H: Hub>(core: Arc<HubCore<H>>, connection: Connection) -> Served {
    let Connection { id, transport, user, request, mut incoming, outbound, entry } = connection;
    let Some((protocol, early)) = handshake::shake(&core.options, transport, &mut incoming, &outbound).await else {
        return Served { incoming, faulted: false };
    };
    let user_id = core.user_id.of(&user);
    let items = Arc::new(H::Items::default());
    let handle = ConnectionHandle::new(id, user, user_id, protocol, transport, request, Arc::clone(&outbound), items);
    let pulse: Arc<dyn Watched> = Arc::new(Pulse::new(Arc::clone(&handle), &core.options));
    let watched: Weak<dyn Watched> = Arc::downgrade(&pulse);
    entry.watch(watched);
    let _registered = Registered::new(&core.shared.registry, &handle);
    let caller = Caller::new(Arc::clone(&handle), HubContext::new(Arc::clone(&core.shared)));
    tracing::debug!(target: "signalr::connection", connection = %id, protocol = protocol.format().name(), "connected");

    let (end, running) = match outbound.drive(caught(Box::pin(core.hub.on_connected(&caller)))).await {
        Ok(()) => Session::new(&core, &caller, early).serve(&mut incoming).await,
        Err(error) => (End::NotConnected(error), None),
    };

    let mut faulted = false;
    let reason = end.reason();
    with_scratch(|message| {
        end.write_close(protocol, core.options.enable_detailed_errors, message);
        outbound.last_words(message);
    });
    handle.set(Flags::ABORTED);
    handle.cancel();
    if let Some(running) = running {
        match &end {
            End::Shutdown => outbound.drive(running.finish()).await,
            // It runs to its end, as in ASP.NET: no half-done writes because a client left.
            _ => core.tasks.spawn(running.finish()),
        }
    }
    if let End::NotConnected(error) = &end {
        tracing::error!(target: "signalr::connection", connection = %id, %error, "on_connected failed");
    } else if let Err(error) = outbound.drive(caught(Box::pin(core.hub.on_disconnected(&caller, reason.as_ref())))).await {
        tracing::error!(target: "signalr::connection", connection = %id, %error, "on_disconnected failed");
        faulted = true;
    }
    tracing::debug!(target: "signalr::connection", connection = %id, reason = reason.map(tracing::field::display), "disconnected");
    Served { incoming, faulted }
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
