//! The connection that is calling, whatever its hub.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::Hub;
use super::call_state::CallState;
use super::caller::{Caller, cancelled};
use super::clients::Clients;
use super::context::Groups;
use super::proxy::AnyClient;
use crate::auth::User;
use crate::connection_info::{ConnectionId, RequestInfo, TransportType};
use crate::registry::ConnectionHandle;

/// The connection that is calling a hub of any type, as [filters](crate::Filter) see it (C#: `Context` of a
/// `HubInvocationContext` or a `HubLifetimeContext`). [`typed`](Self::typed) is the [`Caller`] of one hub.
///
/// ```
/// use signalr::hub::AnyCaller;
/// use signalr::{Filter, HubError, HubResult, Next};
///
/// /// Lets nobody in who comes without a header.
/// struct Clients;
///
/// impl Filter for Clients {
///     async fn on_connected(&self, caller: &AnyCaller, next: Next<'_, ()>) -> HubResult {
///         match caller.request().header("x-client") {
///             Some(_) => next.run().await,
///             None => Err(HubError::new("Who are you?")),
///         }
///     }
/// }
/// ```
pub struct AnyCaller(Box<dyn Erased>);

/// A caller whose hub is forgotten.
trait Erased: Any + Send + Sync {
    fn connection(&self) -> &Arc<ConnectionHandle>;
    fn user(&self) -> &User;
    fn request(&self) -> &RequestInfo;
    fn call(&self) -> Option<&Arc<CallState>>;
    fn clients(&self) -> Clients<AnyClient>;
    fn groups(&self) -> Groups;
}

impl<H: Hub> Erased for Caller<H> {
    fn connection(&self) -> &Arc<ConnectionHandle> {
        self.connection()
    }

    fn user(&self) -> &User {
        self.user()
    }

    fn request(&self) -> &RequestInfo {
        self.request()
    }

    fn call(&self) -> Option<&Arc<CallState>> {
        self.call()
    }

    fn clients(&self) -> Clients<AnyClient> {
        self.select()
    }

    fn groups(&self) -> Groups {
        self.groups()
    }
}

impl AnyCaller {
    pub(super) fn new<H: Hub>(caller: Caller<H>) -> Self {
        Self(Box::new(caller))
    }

    /// The same with the type of its hub; `None` if it calls another one.
    ///
    /// ```
    /// # use signalr::hub::{AnyCaller, AnyClient, Methods};
    /// # use signalr::Hub;
    /// # #[derive(Default)]
    /// # struct Session { name: String }
    /// # struct Chat;
    /// # impl Hub for Chat {
    /// #     type Client = AnyClient;
    /// #     type Items = Session;
    /// #     fn methods(_: &mut Methods<Self>) {}
    /// # }
    /// fn name(caller: &AnyCaller) -> &str {
    ///     caller.typed::<Chat>().map_or("", |caller| &caller.items().name)
    /// }
    /// ```
    pub fn typed<H: Hub>(&self) -> Option<&Caller<H>> {
        let caller: &dyn Any = &*self.0;
        caller.downcast_ref()
    }

    /// The id by which others may address this connection; no secret.
    pub fn connection_id(&self) -> ConnectionId {
        self.0.connection().id
    }

    /// Who is calling; see [`Caller::user`].
    pub fn user(&self) -> &User {
        self.0.user()
    }

    /// The id that `clients().user(id)` reaches this connection by (C#: `Context.UserIdentifier`).
    pub fn user_id(&self) -> Option<&str> {
        self.0.connection().user_id.as_deref()
    }

    /// The HTTP request that opened the connection; see [`Caller::request`].
    pub fn request(&self) -> &RequestInfo {
        self.0.request()
    }

    /// What carries the connection.
    pub fn transport(&self) -> TransportType {
        self.0.connection().transport
    }

    /// Selects clients of the hub, to be called by the names of their methods.
    pub fn clients(&self) -> Clients<AnyClient> {
        self.0.clients()
    }

    /// Puts connections into groups.
    pub fn groups(&self) -> Groups {
        self.0.groups()
    }

    /// Ends the connection; see [`Caller::abort`].
    pub fn abort(&self) {
        self.0.connection().abort();
    }

    /// Ready when the connection is aborted or has ended (C#: `Context.ConnectionAborted`).
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn aborted(&self) {
        self.0.connection().aborted().await;
    }

    /// Ready when the client has cancelled this call, or when its connection is aborted or has ended; see
    /// [`Caller::cancelled`].
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn cancelled(&self) {
        cancelled(self.0.connection(), self.0.call().map(Arc::as_ref)).await;
    }

    pub(super) fn connection(&self) -> &Arc<ConnectionHandle> {
        self.0.connection()
    }

    pub(super) fn call(&self) -> Option<&Arc<CallState>> {
        self.0.call()
    }
}

impl fmt::Debug for AnyCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyCaller").field("connection", self.connection()).finish_non_exhaustive()
    }
}
