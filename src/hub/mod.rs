//! What a hub is and what it may do: methods by name, the caller, the clients, errors.

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

/// A hub: what clients may call, and what happens when they come and go (C#: `Hub<T>`).
///
/// Usually written by [`#[hub]`](macro@crate::hub). By hand, [`methods`](Self::methods) lists the methods:
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
/// There is one value of a hub, shared by all of its connections; C# makes one a call. What differs by connection belongs
/// into [`Items`](Self::Items), what differs by call into the arguments.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a hub",
    note = "put `#[hub]` on an impl block of it, or implement `signalr::Hub`"
)]
pub trait Hub: Send + Sync + Sized + 'static {
    /// What the clients offer to the server: a contract made by [`#[hub_client]`](macro@crate::hub_client), or
    /// [`AnyClient`] to call them by name only.
    type Client: HubClient;

    /// What the hub remembers of each connection, from its handshake to its end (C#: `Context.Items`).
    type Items: Default + Send + Sync + 'static;

    /// Lists the methods that clients may call.
    fn methods(methods: &mut Methods<Self>);

    /// Who may connect: `[Authorize]` on the class. All rules must hold.
    fn authorize() -> Vec<Authorize> {
        Vec::new()
    }

    /// Whether everybody may connect, whatever the rules of the hub and of its paths say: `[AllowAnonymous]` on the class.
    /// Rules of methods hold all the same.
    fn allow_anonymous() -> bool {
        false
    }

    /// A client has connected. Nothing it sent is read until this is done; an error ends the connection.
    fn on_connected(&self, caller: &Caller<Self>) -> impl Future<Output = HubResult> + Send {
        let _ = caller;
        async { Ok(()) }
    }

    /// The client has brought newer credentials of its user, without a new connection (C#:
    /// `OnAuthenticationRefreshedAsync`). `caller` sees the new claims, as all calls do that begin after it; its
    /// [`user_id`](Caller::user_id) is as before; so are its groups, to be changed here if they depend on claims. It takes
    /// its turn as a call does, and several refreshes may be told at once. An error is logged, and the connection lives on.
    ///
    /// Only where [`enable_authentication_refresh`](crate::hosting::Builder::enable_authentication_refresh) is on.
    fn on_authentication_refreshed(&self, caller: &Caller<Self>) -> impl Future<Output = HubResult> + Send {
        let _ = caller;
        async { Ok(()) }
    }

    /// A connection has ended, in whatever way; called once for each that [`on_connected`](Self::on_connected) let in.
    /// `reason` is there when it did not go well. The connection is still in its groups, but hears nothing any more.
    fn on_disconnected(
        &self,
        caller: &Caller<Self>,
        reason: Option<&DisconnectReason>,
    ) -> impl Future<Output = HubResult> + Send {
        let _ = (caller, reason);
        async { Ok(()) }
    }
}
