//! The connection that is calling.

use std::fmt;
use std::sync::Arc;

use super::Hub;
use super::call_state::CallState;
use super::client_results::ClientResultRequester;
use super::clients::Clients;
use super::context::{Groups, HubContext, SendError};
use super::proxy::{HubClient, Many, Single};
use crate::auth::User;
use crate::connection_info::{ConnectionId, RequestInfo, TransportType};
use crate::registry::{ConnectionHandle, ConnectionSnapshot};

/// The connection that is calling (C#: `Context`, `Clients` and `Groups` of a hub). A cheap clone, which may outlive the
/// call.
///
/// ```
/// use signalr::{Caller, HubResult, hub};
///
/// struct Lobby;
///
/// #[hub]
/// impl Lobby {
///     async fn enter(&self, caller: &Caller<Self>, room: String) -> HubResult {
///         caller.join(&room).await?;
///         caller.others_in_group(&room).send("Entered", (caller.user().name(),)).await?;
///         Ok(())
///     }
/// }
/// ```
pub struct Caller<H> {
    shared: Arc<CallerShared<H>>,
    stage: CallerStage,
}

/// Both ends of the calls of one connection, which share it.
struct CallerShared<H> {
    hub: Arc<H>,
    connection: Arc<ConnectionHandle>,
    /// As it was when the calls began.
    snapshot: ConnectionSnapshot,
    context: HubContext<H>,
}

/// Where in its connection's life a caller is.
#[derive(Clone)]
enum CallerStage {
    /// In `on_connected`.
    Connecting,
    Calling(Arc<CallState>),
    /// In `on_disconnected`, or between two calls.
    Idle,
}

impl<H: Hub> Caller<H> {
    /// What the hub remembers of this connection (C#: `Context.Items`).
    pub fn items(&self) -> &H::Items {
        self.shared.connection.items.downcast_ref().expect("a connection's items are made for its hub")
    }

    /// Selects clients of this hub.
    pub fn clients(&self) -> Clients<H::Client> {
        self.select()
    }

    /// The caller itself (C#: `Clients.Caller`).
    pub fn client(&self) -> <H::Client as HubClient>::Proxy<Single> {
        self.clients().single(Ok(self.connection_id()))
    }

    /// Every connection but the caller (C#: `Clients.Others`).
    pub fn others(&self) -> <H::Client as HubClient>::Proxy<Many> {
        self.clients().others()
    }

    /// The members of a group, but for the caller (C#: `Clients.OthersInGroup`).
    pub fn others_in_group(&self, group: impl AsRef<str>) -> <H::Client as HubClient>::Proxy<Many> {
        self.clients().others_in_group(group.as_ref())
    }
}

impl<H> Caller<H> {
    pub(crate) fn connecting(hub: Arc<H>, connection: Arc<ConnectionHandle>, context: HubContext<H>) -> Self {
        let shared = CallerShared { hub, snapshot: connection.snapshot(), connection, context };
        Self { shared: Arc::new(shared), stage: CallerStage::Connecting }
    }

    /// The same outside of a call, with the newest request and user of its connection.
    pub(crate) fn refreshed(&self) -> Self {
        let CallerShared { hub, connection, context, .. } = &*self.shared;
        let caller = Self::connecting(Arc::clone(hub), Arc::clone(connection), context.clone());
        Self { stage: CallerStage::Idle, ..caller }
    }

    /// The same in a call.
    pub(crate) fn calling(&self, call: Arc<CallState>) -> Self {
        Self { shared: Arc::clone(&self.shared), stage: CallerStage::Calling(call) }
    }

    /// Selects clients, under whatever contract.
    pub(super) fn select<C: HubClient>(&self) -> Clients<C> {
        let requester = match &self.stage {
            CallerStage::Connecting => ClientResultRequester::Connecting,
            CallerStage::Calling(call) => {
                ClientResultRequester::Call(Arc::clone(call), Arc::clone(&self.shared.connection))
            }
            CallerStage::Idle => ClientResultRequester::Outside,
        };
        Clients::new(Arc::clone(self.context().shared()), Some(self.connection_id()), requester)
    }

    pub(crate) fn hub(&self) -> &Arc<H> {
        &self.shared.hub
    }

    pub(crate) fn connection(&self) -> &Arc<ConnectionHandle> {
        &self.shared.connection
    }

    /// The call that this is the caller of.
    pub(crate) fn call(&self) -> Option<&Arc<CallState>> {
        match &self.stage {
            CallerStage::Calling(call) => Some(call),
            CallerStage::Connecting | CallerStage::Idle => None,
        }
    }

    /// The id by which others may address this connection; no secret.
    pub fn connection_id(&self) -> ConnectionId {
        self.shared.connection.id
    }

    /// Who is calling; anonymous if nobody signed in. (C#: `Context.User`)
    ///
    /// Calls that begin after the client has brought newer credentials see the claims of those; one that runs, and every
    /// clone of its caller, goes on with what it began with.
    pub fn user(&self) -> &User {
        &self.shared.snapshot.user
    }

    /// The id that `clients().user(id)` reaches this connection by (C#: `Context.UserIdentifier`); the same from the
    /// handshake to the end.
    pub fn user_id(&self) -> Option<&str> {
        self.shared.connection.user_id.as_deref()
    }

    /// The HTTP request that opened the connection (C#: `Context.GetHttpContext()`), without its access token. Calls that
    /// begin after a stateful reconnect see the request that resumed it.
    pub fn request(&self) -> &RequestInfo {
        &self.shared.snapshot.request
    }

    /// What carries the connection.
    pub fn transport(&self) -> TransportType {
        self.shared.connection.transport
    }

    /// The hub seen from outside, for what outlives the call.
    pub fn context(&self) -> &HubContext<H> {
        &self.shared.context
    }

    /// Puts other connections into groups.
    pub fn groups(&self) -> Groups {
        self.context().groups()
    }

    /// Adds this connection to a group (C#: `Groups.AddToGroupAsync(Context.ConnectionId, group)`).
    ///
    /// # Errors
    ///
    /// None on a single server.
    ///
    /// # Cancel safety
    ///
    /// Either it joined or not.
    pub async fn join(&self, group: impl AsRef<str>) -> Result<(), SendError> {
        self.context().shared().registry.join(self.connection(), group.as_ref());
        Ok(())
    }

    /// Takes this connection out of a group.
    ///
    /// # Errors
    ///
    /// None on a single server.
    ///
    /// # Cancel safety
    ///
    /// Either it left or not.
    pub async fn leave(&self, group: impl AsRef<str>) -> Result<(), SendError> {
        self.context().shared().registry.leave(self.connection(), group.as_ref());
        Ok(())
    }

    /// Ends the connection (C#: `Context.Abort()`). The client is told not to reconnect; answers of running calls are
    /// dropped.
    pub fn abort(&self) {
        self.connection().abort();
    }

    /// Ready when the connection is aborted or has ended (C#: `Context.ConnectionAborted`).
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn aborted(&self) {
        self.connection().aborted().await;
    }

    /// Ready when the client has cancelled this call, or when its connection is aborted or has ended (C#: the
    /// `CancellationToken` parameter of a hub method). Clients cancel what they call since .NET 11's.
    ///
    /// Nothing is stopped by it: a method that does not look runs to its end. Streams need none of this, since they are
    /// dropped.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn cancelled(&self) {
        cancelled(self.connection(), self.call().map(Arc::as_ref)).await;
    }
}

/// Ready when the call is cancelled, or its connection has ended.
pub(super) async fn cancelled(connection: &ConnectionHandle, call: Option<&CallState>) {
    match call {
        Some(call) => drop(call.token().run_until_cancelled(connection.aborted()).await),
        None => connection.aborted().await,
    }
}

impl<H> Clone for Caller<H> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), stage: self.stage.clone() }
    }
}

impl<H> fmt::Debug for Caller<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("connection", self.connection()).finish_non_exhaustive()
    }
}
