//! The connection that is calling.

use std::fmt;
use std::sync::Arc;

use super::Hub;
use super::clients::Clients;
use super::context::{Groups, HubContext, SendError};
use super::proxy::{HubClient, Many, Single};
use crate::auth::User;
use crate::lifetime::ConnectionHandle;
use crate::origin::{ConnectionId, RequestInfo, TransportType};

/// The connection that is calling (C#: `Context`, `Clients` and `Groups` of a hub). A cheap clone, which may outlive the
/// call.
pub struct Caller<H> {
    pub(crate) connection: Arc<ConnectionHandle>,
    request: Arc<RequestInfo>,
    context: HubContext<H>,
}

impl<H: Hub> Caller<H> {
    /// What the hub remembers of this connection (C#: `Context.Items`).
    pub fn items(&self) -> &H::Items {
        self.connection.items.downcast_ref().expect("a connection's items are made for its hub")
    }

    /// Selects clients of this hub.
    pub fn clients(&self) -> Clients<H::Client> {
        Clients::new(Arc::clone(self.context.shared()), Some(self.connection.id))
    }

    /// The caller itself (C#: `Clients.Caller`).
    pub fn client(&self) -> <H::Client as HubClient>::Proxy<Single> {
        self.clients().single(Some(self.connection.id))
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
    pub(crate) fn new(connection: Arc<ConnectionHandle>, context: HubContext<H>) -> Self {
        Self { request: connection.request(), connection, context }
    }

    /// The same, with the newest request of its connection.
    pub(crate) fn renewed(&self) -> Self {
        Self::new(Arc::clone(&self.connection), self.context.clone())
    }

    /// The id by which others may address this connection; no secret.
    pub fn connection_id(&self) -> ConnectionId {
        self.connection.id
    }

    /// Who is calling; anonymous if nobody signed in.
    pub fn user(&self) -> &User {
        &self.connection.user
    }

    /// The id that `clients().user(id)` reaches this connection by (C#: `Context.UserIdentifier`).
    pub fn user_id(&self) -> Option<&str> {
        self.connection.user_id.as_deref()
    }

    /// The HTTP request that opened the connection (C#: `Context.GetHttpContext()`), without its access token. Calls that
    /// begin after a stateful reconnect see the request that resumed it.
    pub fn request(&self) -> &RequestInfo {
        &self.request
    }

    /// What carries the connection.
    pub fn transport(&self) -> TransportType {
        self.connection.transport
    }

    /// The hub seen from outside, for what outlives the call.
    pub fn context(&self) -> &HubContext<H> {
        &self.context
    }

    /// Puts other connections into groups.
    pub fn groups(&self) -> Groups {
        self.context.groups()
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
        self.context.shared().registry.join(&self.connection, group.as_ref());
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
        self.context.shared().registry.leave(&self.connection, group.as_ref());
        Ok(())
    }

    /// Ends the connection (C#: `Context.Abort()`). The client is told not to reconnect; answers of running calls are
    /// dropped.
    pub fn abort(&self) {
        self.connection.abort();
    }

    /// Ready when the connection is aborted or has ended (C#: `Context.ConnectionAborted`).
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn aborted(&self) {
        self.connection.aborted().await;
    }
}

impl<H> Clone for Caller<H> {
    fn clone(&self) -> Self {
        Self {
            connection: Arc::clone(&self.connection),
            request: Arc::clone(&self.request),
            context: self.context.clone(),
        }
    }
}

impl<H> fmt::Debug for Caller<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("connection", &self.connection).finish_non_exhaustive()
    }
}
