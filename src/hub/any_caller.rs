//! The caller without the type of its hub.

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

/// The caller of a hub of any type, as [filters](crate::Filter) receive it (C#: `Context` of a
/// `HubInvocationContext` or a `HubLifetimeContext`).
///
/// ```
/// use signalr::hub::AnyCaller;
/// use signalr::{Filter, HubError, HubResult, Next};
///
/// /// Rejects connections without an `x-client` header.
/// struct RequireClientHeader;
///
/// impl Filter for RequireClientHeader {
///     async fn on_connected(&self, caller: &AnyCaller, next: Next<'_, ()>) -> HubResult {
///         match caller.request().header("x-client") {
///             Some(_) => next.run().await,
///             None => Err(HubError::new("The header x-client is missing.")),
///         }
///     }
/// }
/// ```
pub struct AnyCaller(Box<dyn Erased>);

/// A caller without the type of its hub.
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

    /// Returns the caller with the type of its hub; `None` if it calls another hub.
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

    /// Returns the public id of this connection; see [`Caller::connection_id`].
    pub fn connection_id(&self) -> ConnectionId {
        self.0.connection().id
    }

    /// Returns the user; see [`Caller::user`].
    pub fn user(&self) -> &User {
        self.0.user()
    }

    /// Returns the user id; see [`Caller::user_id`].
    pub fn user_id(&self) -> Option<&str> {
        self.0.connection().user_id.as_deref()
    }

    /// Returns the HTTP request that opened the connection; see [`Caller::request`].
    pub fn request(&self) -> &RequestInfo {
        self.0.request()
    }

    /// Returns the transport of the connection.
    pub fn transport(&self) -> TransportType {
        self.0.connection().transport
    }

    /// Selects clients of the hub, to be called by method name.
    pub fn clients(&self) -> Clients<AnyClient> {
        self.0.clients()
    }

    /// Returns the groups of the hub.
    pub fn groups(&self) -> Groups {
        self.0.groups()
    }

    /// Aborts the connection; see [`Caller::abort`].
    pub fn abort(&self) {
        self.0.connection().abort();
    }

    /// Completes when the connection is aborted or has ended; see [`Caller::aborted`].
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub async fn aborted(&self) {
        self.0.connection().aborted().await;
    }

    /// Completes when the client cancels this call, or when its connection is aborted or has ended;
    /// see [`Caller::cancelled`].
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
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
