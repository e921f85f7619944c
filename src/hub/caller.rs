//! The calling connection.

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

/// Connection that calls a hub method (C#: `Context`, `Clients` and `Groups` of a hub).
///
/// It is cheap to clone, and clones may outlive the call.
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

/// State shared by the callers of one connection.
struct CallerShared<H> {
    hub: Arc<H>,
    connection: Arc<ConnectionHandle>,
    /// Request and user at the start of the call.
    snapshot: ConnectionSnapshot,
    context: HubContext<H>,
}

/// Stage of the connection.
#[derive(Clone)]
enum CallerStage {
    /// In `on_connected`.
    Connecting,
    Calling(Arc<CallState>),
    /// In `on_disconnected`, or between two calls.
    Idle,
}

impl<H: Hub> Caller<H> {
    /// State of this connection that the hub keeps (C#: `Context.Items`).
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

    /// All connections except the caller (C#: `Clients.Others`).
    pub fn others(&self) -> <H::Client as HubClient>::Proxy<Many> {
        self.clients().others()
    }

    /// Members of a group except the caller (C#: `Clients.OthersInGroup`).
    pub fn others_in_group(&self, group: impl AsRef<str>) -> <H::Client as HubClient>::Proxy<Many> {
        self.clients().others_in_group(group.as_ref())
    }
}

impl<H> Caller<H> {
    pub(crate) fn connecting(hub: Arc<H>, connection: Arc<ConnectionHandle>, context: HubContext<H>) -> Self {
        let shared = CallerShared { hub, snapshot: connection.snapshot(), connection, context };
        Self { shared: Arc::new(shared), stage: CallerStage::Connecting }
    }

    /// Caller outside of a call, with the current request and user of the connection.
    pub(crate) fn refreshed(&self) -> Self {
        let CallerShared { hub, connection, context, .. } = &*self.shared;
        let caller = Self::connecting(Arc::clone(hub), Arc::clone(connection), context.clone());
        Self { stage: CallerStage::Idle, ..caller }
    }

    /// Caller in a call.
    pub(crate) fn calling(&self, call: Arc<CallState>) -> Self {
        Self { shared: Arc::clone(&self.shared), stage: CallerStage::Calling(call) }
    }

    /// Selects clients of any type.
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

    /// The current call.
    pub(crate) fn call(&self) -> Option<&Arc<CallState>> {
        match &self.stage {
            CallerStage::Calling(call) => Some(call),
            CallerStage::Connecting | CallerStage::Idle => None,
        }
    }

    /// Id of this connection, for [`Clients::client`]. It is not a secret.
    pub fn connection_id(&self) -> ConnectionId {
        self.shared.connection.id
    }

    /// User of the connection; anonymous if it is not authenticated (C#: `Context.User`).
    ///
    /// After an authentication refresh, new calls see the claims of the new credentials. A running call
    /// and the clones of its caller keep the previous user.
    pub fn user(&self) -> &User {
        &self.shared.snapshot.user
    }

    /// Id by which `clients().user(id)` reaches this connection (C#: `Context.UserIdentifier`). It does not
    /// change during the connection, and differs from [`User::id`] if
    /// [`Builder::user_id`](crate::hosting::Builder::user_id) is set.
    pub fn user_id(&self) -> Option<&str> {
        self.shared.connection.user_id.as_deref()
    }

    /// HTTP request that opened the connection, without its access token (C#:
    /// `Context.GetHttpContext()`). After a stateful reconnect, new calls see the request that resumed
    /// the connection.
    pub fn request(&self) -> &RequestInfo {
        &self.shared.snapshot.request
    }

    /// Transport of the connection.
    pub fn transport(&self) -> TransportType {
        self.shared.connection.transport
    }

    /// Context of the hub, for tasks that outlive the call (C#: `IHubContext<T>`).
    pub fn context(&self) -> &HubContext<H> {
        &self.shared.context
    }

    /// Groups of the hub, to add and remove other connections.
    pub fn groups(&self) -> Groups {
        self.context().groups()
    }

    /// Adds this connection to a group (C#: `Groups.AddToGroupAsync(Context.ConnectionId, group)`).
    ///
    /// # Errors
    ///
    /// None with a single server.
    ///
    /// # Cancel safety
    ///
    /// The connection joins when the future is polled for the first time.
    pub async fn join(&self, group: impl AsRef<str>) -> Result<(), SendError> {
        self.context().shared().registry.join(self.connection(), group.as_ref());
        Ok(())
    }

    /// Removes this connection from a group (C#: `Groups.RemoveFromGroupAsync`).
    ///
    /// # Errors
    ///
    /// None with a single server.
    ///
    /// # Cancel safety
    ///
    /// The connection leaves when the future is polled for the first time.
    pub async fn leave(&self, group: impl AsRef<str>) -> Result<(), SendError> {
        self.context().shared().registry.leave(self.connection(), group.as_ref());
        Ok(())
    }

    /// Aborts the connection (C#: `Context.Abort()`). The Close message does not allow a reconnect; the
    /// results of running calls are dropped.
    pub fn abort(&self) {
        self.connection().abort();
    }

    /// Completes when the connection is aborted or closed (C#: `Context.ConnectionAborted`).
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn aborted(&self) {
        self.connection().aborted().await;
    }

    /// Completes when the client cancels this call, or when the connection is aborted or closed (C#: the
    /// `CancellationToken` parameter of a hub method). Clients cancel ordinary calls since .NET 11.
    ///
    /// A method that does not wait for this future runs to its end. Streams do not need it: they are
    /// dropped when they are cancelled.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn cancelled(&self) {
        cancelled(self.connection(), self.call().map(Arc::as_ref)).await;
    }
}

/// Completes when the call is cancelled or its connection has ended.
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
