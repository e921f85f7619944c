//! Hubs: their methods, the caller, the clients, groups, filters and errors.

mod any_caller;
mod arguments;
mod call_state;
mod caller;
mod catch_panic;
mod client_results;
mod clients;
mod cluster_queries;
mod context;
mod emitter;
mod error;
mod filter;
mod hub_runtime;
mod invocation_context;
#[doc(hidden)]
pub mod macro_support;
mod methods;
mod proxy;
mod stream;
mod upload;

pub use crate::protocol::Arguments;
pub use crate::registry::Disconnect;
pub use any_caller::AnyCaller;
pub use arguments::{Param, Params};
pub(crate) use call_state::{CallState, Slot};
pub use caller::Caller;
pub(crate) use catch_panic::{catch_panic, catch_panic_sync, poll_catch_panic};
pub use client_results::InvokeError;
pub use clients::Clients;
pub use cluster_queries::{ClusterAnswer, ClusterQueries};
pub(crate) use context::HubShared;
pub use context::{Groups, HubContext, SendError};
pub use emitter::{Emitter, EmitterHub};
pub use error::{DisconnectReason, Expose, HubError, HubResult};
pub(crate) use filter::Filters;
pub use filter::{Filter, Next};
pub(crate) use hub_runtime::HubRuntime;
pub use invocation_context::InvocationContext;
pub(crate) use methods::{BoundCall, CallOutput, Method, MethodKind, MethodTable, TableError};
pub use methods::{MethodInvocation, MethodOptions, Methods, Reply};
pub use proxy::{AnyClient, HubClient, Many, Proxy, Single};
pub(crate) use upload::UploadSender;
pub use upload::UploadStream;

use crate::auth::Authorize;

/// A type whose methods clients call (C#: `Hub<T>`).
///
/// Usually implemented by [`#[hub]`](macro@crate::hub). A manual implementation registers its
/// methods in [`methods`](Self::methods):
///
/// ```
/// use std::sync::Arc;
/// use signalr::hub::{AnyClient, Methods};
/// use signalr::{Caller, Hub};
///
/// struct Chat {
///     room: String,
/// }
///
/// impl Hub for Chat {
///     type Client = AnyClient;
///     type Items = ();
///
///     fn methods(methods: &mut Methods<Self>) {
///         methods.method("SendMessage", |hub: Arc<Chat>, caller: Caller<Chat>, (text,): (String,)| async move {
///             caller.clients().group(&hub.room).send("ReceiveMessage", (text,)).await?;
///             Ok(())
///         });
///     }
/// }
/// ```
///
/// All connections share one value of the hub; C# creates one for each call. State of a connection
/// belongs in [`Items`](Self::Items), state of a call in its arguments.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a hub",
    note = "put `#[hub]` on an impl block of it, or implement `signalr::Hub`"
)]
pub trait Hub: Send + Sync + Sized + 'static {
    /// Methods that the server can call on clients: a trait with
    /// [`#[hub_client]`](macro@crate::hub_client), or [`AnyClient`] to call them by name only.
    type Client: HubClient;

    /// State of one connection, from its handshake until it is closed (C#: `Context.Items`).
    type Items: Default + Send + Sync + 'static;

    /// Registers the methods that clients can invoke.
    fn methods(methods: &mut Methods<Self>);

    /// Returns the rules for connecting to the hub (C#: `[Authorize]` on the class). A user has to
    /// meet all of them. The default is none.
    fn authorize() -> Vec<Authorize> {
        Vec::new()
    }

    /// Returns whether every client can connect, regardless of the rules of the hub and of its path
    /// (C#: `[AllowAnonymous]` on the class). Rules of methods still apply. The default is `false`.
    fn allow_anonymous() -> bool {
        false
    }

    /// Runs after the handshake of a connection, before any invocation (C#: `OnConnectedAsync`).
    ///
    /// Messages of the client are not read until the future completes.
    ///
    /// # Errors
    ///
    /// An error closes the connection, without [`on_disconnected`](Self::on_disconnected).
    fn on_connected(&self, caller: &Caller<Self>) -> impl Future<Output = HubResult> + Send {
        let _ = caller;
        async { Ok(()) }
    }

    /// Runs after an authentication refresh: the client replaced its credentials on the open
    /// connection (C#: `OnAuthenticationRefreshedAsync`).
    ///
    /// `caller` has the new claims, as has every call that begins later. The
    /// [`user_id`](Caller::user_id) and the groups stay the same; update groups here if they depend
    /// on claims. The callback is queued like a call of the client; several refreshes can lead to
    /// one callback.
    ///
    /// Called only if
    /// [`enable_authentication_refresh`](crate::hosting::Builder::enable_authentication_refresh) is
    /// on.
    ///
    /// # Errors
    ///
    /// An error is logged; the connection stays open.
    fn on_authentication_refreshed(&self, caller: &Caller<Self>) -> impl Future<Output = HubResult> + Send {
        let _ = caller;
        async { Ok(()) }
    }

    /// Runs after a connection has ended for any reason, once for each successful
    /// [`on_connected`](Self::on_connected) (C#: `OnDisconnectedAsync`).
    ///
    /// `reason` describes the error that ended the connection; it is `None` if there was no error.
    /// The connection is still a member of its groups, but receives no more messages.
    ///
    /// # Errors
    ///
    /// An error is logged.
    fn on_disconnected(
        &self,
        caller: &Caller<Self>,
        reason: Option<&DisconnectReason>,
    ) -> impl Future<Output = HubResult> + Send {
        let _ = (caller, reason);
        async { Ok(()) }
    }
}
