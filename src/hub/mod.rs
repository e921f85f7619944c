//! Hubs: methods that clients call, the calling connection, clients and groups, errors, filters.

mod any_caller;
mod arguments;
mod call_state;
mod caller;
mod catch_panic;
mod client_results;
mod clients;
mod context;
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

pub use any_caller::AnyCaller;
pub use arguments::{Param, Params};
pub(crate) use call_state::{CallState, Slot};
pub use caller::Caller;
pub(crate) use catch_panic::{catch_panic, catch_panic_sync, poll_catch_panic};
pub use client_results::InvokeError;
pub use clients::Clients;
pub(crate) use context::HubShared;
pub use context::{Groups, HubContext, SendError};
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
pub use crate::protocol::Arguments;
pub use crate::registry::Disconnect;

/// Type whose methods clients call (C#: `Hub<T>`).
///
/// The attribute [`#[hub]`](macro@crate::hub) implements it. Without the macro, [`methods`](Self::methods)
/// adds the methods:
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
/// All connections share one value of a hub, whereas C# creates one for each call. State of a connection
/// belongs into [`Items`](Self::Items).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a hub",
    note = "put `#[hub]` on an impl block of it, or implement `signalr::Hub`"
)]
pub trait Hub: Send + Sync + Sized + 'static {
    /// Methods of the clients: a type that [`#[hub_client]`](macro@crate::hub_client) generates, or [`AnyClient`]
    /// to call them by name.
    type Client: HubClient;

    /// State of each connection, from its handshake to its end (C#: `Context.Items`).
    type Items: Default + Send + Sync + 'static;

    /// Adds the methods that clients can call.
    fn methods(methods: &mut Methods<Self>);

    /// Authorization rules for connections (C#: `[Authorize]` on the class). All must allow the user.
    fn authorize() -> Vec<Authorize> {
        Vec::new()
    }

    /// Whether anonymous users may connect whatever the rules of the hub and of its paths are (C#:
    /// `[AllowAnonymous]` on the class). Rules of methods still apply.
    fn allow_anonymous() -> bool {
        false
    }

    /// Runs when a client has connected (C#: `OnConnectedAsync`). No message of the client is read before it
    /// returns; an error closes the connection.
    fn on_connected(&self, caller: &Caller<Self>) -> impl Future<Output = HubResult> + Send {
        let _ = caller;
        async { Ok(()) }
    }

    /// Runs after an authentication refresh (C#: `OnAuthenticationRefreshedAsync`), if
    /// [`enable_authentication_refresh`](crate::hosting::Builder::enable_authentication_refresh) is set.
    ///
    /// `caller` and all later calls see the new claims. The [`user_id`](Caller::user_id) and the groups of
    /// the connection do not change; change groups here if they depend on claims. The method runs in the
    /// order of calls, once for several refreshes in a row. An error is logged and does not close the
    /// connection.
    fn on_authentication_refreshed(&self, caller: &Caller<Self>) -> impl Future<Output = HubResult> + Send {
        let _ = caller;
        async { Ok(()) }
    }

    /// Runs once after a connection has ended (C#: `OnDisconnectedAsync`), if
    /// [`on_connected`](Self::on_connected) succeeded. `reason` is `None` if the client closed it without an error.
    /// The connection is still a member of its groups and counts there, but receives no messages.
    fn on_disconnected(
        &self,
        caller: &Caller<Self>,
        reason: Option<&DisconnectReason>,
    ) -> impl Future<Output = HubResult> + Send {
        let _ = (caller, reason);
        async { Ok(()) }
    }
}
