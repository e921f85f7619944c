//! The connection on whose behalf a hub method runs.

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

/// The connection on whose behalf a hub method runs (C#: `Context`, `Clients` and `Groups` of a
/// hub).
///
/// Cloning is cheap. A clone can outlive the call.
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
    /// Request and user at the time at which the calls began.
    snapshot: ConnectionSnapshot,
    context: HubContext<H>,
}

/// Stage of the connection in which a caller is used.
#[derive(Clone)]
enum CallerStage {
    /// In `on_connected`.
    Connecting,
    Calling(Arc<CallState>),
    /// In `on_disconnected`, or between two calls.
    Idle,
}

impl<H: Hub> Caller<H> {
    /// Returns the state of this connection (C#: `Context.Items`).
    pub fn items(&self) -> &H::Items {
        self.shared.connection.items.downcast_ref().expect("items of a connection have the type of its hub")
    }

    /// Selects clients of the hub to call (C#: `Clients`).
    pub fn clients(&self) -> Clients<H::Client> {
        self.select()
    }

    /// Returns a proxy for the caller itself (C#: `Clients.Caller`).
    pub fn client(&self) -> <H::Client as HubClient>::Proxy<Single> {
        self.clients().single(Ok(self.connection_id()))
    }

    /// Returns a proxy for every connection except the caller (C#: `Clients.Others`).
    pub fn others(&self) -> <H::Client as HubClient>::Proxy<Many> {
        self.clients().others()
    }

    /// Returns a proxy for the members of a group except the caller (C#: `Clients.OthersInGroup`).
    pub fn others_in_group(&self, group: impl AsRef<str>) -> <H::Client as HubClient>::Proxy<Many> {
        self.clients().others_in_group(group.as_ref())
    }
}

impl<H> Caller<H> {
    pub(crate) fn connecting(hub: Arc<H>, connection: Arc<ConnectionHandle>, context: HubContext<H>) -> Self {
        let shared = CallerShared { hub, snapshot: connection.snapshot(), connection, context };
        Self { shared: Arc::new(shared), stage: CallerStage::Connecting }
    }

    /// Returns a caller for use between calls, with the newest request and user of the connection.
    pub(crate) fn refreshed(&self) -> Self {
        let CallerShared { hub, connection, context, .. } = &*self.shared;
        let caller = Self::connecting(Arc::clone(hub), Arc::clone(connection), context.clone());
        Self { stage: CallerStage::Idle, ..caller }
    }

    /// Returns the caller of one call.
    pub(crate) fn calling(&self, call: Arc<CallState>) -> Self {
        Self { shared: Arc::clone(&self.shared), stage: CallerStage::Calling(call) }
    }

    /// Selects clients, with any contract.
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

    /// Returns the state of the call; `None` outside of a call.
    pub(crate) fn call(&self) -> Option<&Arc<CallState>> {
        match &self.stage {
            CallerStage::Calling(call) => Some(call),
            CallerStage::Connecting | CallerStage::Idle => None,
        }
    }

    /// Returns the public id of this connection (C#: `Context.ConnectionId`). The id is no secret.
    pub fn connection_id(&self) -> ConnectionId {
        self.shared.connection.id
    }

    /// Returns the authenticated user, or an anonymous one (C#: `Context.User`).
    ///
    /// After an authentication refresh, calls that begin later have the new claims. A running call,
    /// and every clone of its caller, keeps the claims that it began with.
    pub fn user(&self) -> &User {
        &self.shared.snapshot.user
    }

    /// Returns the user id, by which `clients().user(id)` selects this connection (C#:
    /// `Context.UserIdentifier`). The id is fixed at the handshake. It differs from [`User::id`] if
    /// [`Builder::user_id`](crate::hosting::Builder::user_id) is set.
    pub fn user_id(&self) -> Option<&str> {
        self.shared.connection.user_id.as_deref()
    }

    /// Returns the HTTP request that opened the connection, without its access token (C#:
    /// `Context.GetHttpContext()`). Calls that begin after a stateful reconnect see the request
    /// that resumed the connection.
    pub fn request(&self) -> &RequestInfo {
        &self.shared.snapshot.request
    }

    /// Returns the transport of the connection.
    pub fn transport(&self) -> TransportType {
        self.shared.connection.transport
    }

    /// Returns the context of the hub, for code that outlives the call.
    pub fn context(&self) -> &HubContext<H> {
        &self.shared.context
    }

    /// Returns the groups of the hub (C#: `Groups`).
    pub fn groups(&self) -> Groups {
        self.context().groups()
    }

    /// Adds this connection to a group (C#: `Groups.AddToGroupAsync(Context.ConnectionId, group)`).
    ///
    /// # Errors
    ///
    /// Never fails on a single server. With a [backplane](crate::backplane), fails with
    /// [`SendError::Backplane`] if it is not connected; the connection is then not a member.
    ///
    /// # Cancel safety
    ///
    /// The connection joins when the future is polled for the first time. If the future is dropped
    /// before it completes, the connection is a member, and may not receive the messages of other
    /// servers yet.
    pub async fn join(&self, group: impl AsRef<str>) -> Result<(), SendError> {
        self.context().shared().join(self.connection(), group.as_ref()).await
    }

    /// Removes this connection from a group (C#: `Groups.RemoveFromGroupAsync(Context.ConnectionId,
    /// group)`).
    ///
    /// # Errors
    ///
    /// Never fails.
    ///
    /// # Cancel safety
    ///
    /// The connection leaves when the future is polled for the first time.
    pub async fn leave(&self, group: impl AsRef<str>) -> Result<(), SendError> {
        self.context().shared().leave(self.connection(), group.as_ref());
        Ok(())
    }

    /// Aborts the connection (C#: `Context.Abort()`). The client receives a Close message that does
    /// not allow it to reconnect; completions of running calls are dropped.
    pub fn abort(&self) {
        self.connection().abort();
    }

    /// Completes when the connection is aborted or has ended (C#: `Context.ConnectionAborted`).
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub async fn aborted(&self) {
        self.connection().aborted().await;
    }

    /// Completes when the client cancels this call, or when its connection is aborted or has ended
    /// (C#: the `CancellationToken` parameter of a hub method). Clients of .NET 11 and later cancel
    /// invocations.
    ///
    /// A cancellation stops no code: a method that does not wait for it runs to its end. Streams
    /// need no check, because a cancelled stream is dropped.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
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
