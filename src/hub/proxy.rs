//! Proxies for selected clients, called by method name or by contract.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::client_results::{ClientResultRequester, InvokeError, request_client_result};
use super::context::{HubShared, SendError};
use crate::protocol::Arguments;
use crate::registry::{Audience, Disconnect};

/// Marks a proxy for any number of connections.
///
/// ```
/// # use signalr::hub::{AnyClient, Many};
/// # use signalr::{Caller, Hub};
/// fn ward<H: Hub<Client = AnyClient>>(caller: &Caller<H>) -> AnyClient<Many> {
///     caller.clients().group("ward:7")
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Many;

/// Marks a proxy for exactly one connection, which can return client results.
///
/// ```
/// # use signalr::hub::{AnyClient, Single};
/// # use signalr::{Caller, Hub};
/// fn caller_proxy<H: Hub<Client = AnyClient>>(caller: &Caller<H>) -> AnyClient<Single> {
///     caller.client()
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Single;

/// Methods that the server can call on the clients of a hub (C#: the `T` of `Hub<T>`). Implemented
/// by [`#[hub_client]`](macro@crate::hub_client).
///
/// ```
/// use signalr::hub::SendError;
/// use signalr::{Caller, Hub, hub_client};
///
/// #[hub_client]
/// trait Nurse {
///     fn alarm(&self, text: &str);
/// }
///
/// async fn alarm<H: Hub<Client = Nurse>>(caller: &Caller<H>) -> Result<(), SendError> {
///     caller.others().alarm("bed 3").await
/// }
/// ```
pub trait HubClient: 'static {
    /// Proxy for the selected clients; `T` is [`Many`] or [`Single`].
    type Proxy<T>: From<Proxy<T>> + Deref<Target = Proxy<T>> + Send + Sync;
}

/// Selected clients, called by method name (C#: `IClientProxy`, `ISingleClientProxy`).
///
/// ```
/// # use signalr::hub::{AnyClient, Proxy, SendError};
/// # use signalr::{Caller, Hub};
/// async fn alarm(receivers: &Proxy) -> Result<(), SendError> {
///     receivers.send("Alarm", ("bed 3",)).await
/// }
///
/// async fn alarm_all<H: Hub<Client = AnyClient>>(caller: &Caller<H>) -> Result<(), SendError> {
///     alarm(&caller.clients().all()).await
/// }
/// ```
pub struct Proxy<T = Many> {
    shared: Arc<HubShared>,
    audience: Audience,
    requester: ClientResultRequester,
    _target: PhantomData<fn() -> T>,
}

impl<T> Proxy<T> {
    pub(super) fn new(shared: Arc<HubShared>, audience: Audience, requester: ClientResultRequester) -> Self {
        Self { shared, audience, requester, _target: PhantomData }
    }

    /// Calls a method of the selected clients without a result (C#: `SendAsync`).
    ///
    /// `arguments` is a tuple: `("text", 1)`, `(value,)`, or `()` for none. It is encoded once for
    /// each hub protocol in use.
    ///
    /// Completes when the message is in the outbound queue of every receiver; receivers that end in
    /// the meantime are skipped. Completion does not mean that the clients have received the
    /// message. A full queue makes `send` wait for capacity.
    ///
    /// # Errors
    ///
    /// Fails if an argument cannot be encoded, if one of several group names is empty, or if the
    /// server is not built yet, or if the [backplane](crate::backplane) is not connected: see
    /// [`SendError`]. A receiver that ends is no error.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, the message has reached the receivers whose
    /// queues had capacity.
    pub async fn send(&self, method: &str, arguments: impl Arguments) -> Result<(), SendError> {
        self.shared.send(&self.audience, method, &arguments).await
    }

    pub(super) fn selected(&self) -> (&HubShared, &Audience) {
        (&self.shared, &self.audience)
    }

    /// Closes the selected connections that exist on this server at the time of the call. C# has no
    /// counterpart: its `Context.Abort()` needs the hub method of the connection itself.
    ///
    /// ```
    /// # use signalr::hub::{Disconnect, SendError};
    /// # use signalr::{Hub, HubContext};
    /// # async fn sign_out<H: Hub>(context: HubContext<H>) -> Result<(), SendError> {
    /// context.clients().user("7").disconnect(Disconnect::new().reason("You were signed out.")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Messages that are already queued are still written, then a Close message with the reason.
    /// Later messages are dropped. Running calls continue to their end, streams stop,
    /// [`Caller::aborted`](crate::Caller::aborted) completes, and
    /// [`on_disconnected`](crate::Hub::on_disconnected) receives the reason. A connection that
    /// waits for a stateful reconnect cannot be resumed any more. If a connection is closed more
    /// than once, the first reason counts.
    ///
    /// The clients can connect again. To keep them out, use authentication and authorization rules.
    ///
    /// # Errors
    ///
    /// Never fails on a single server.
    ///
    /// # Cancel safety
    ///
    /// The connections are closed when the future is polled for the first time.
    pub async fn disconnect(&self, disconnect: Disconnect) -> Result<(), SendError> {
        self.shared.registry.disconnect(&self.audience, disconnect);
        Ok(())
    }
}

impl Proxy<Single> {
    /// Calls a method of one client and waits for its result (C#: `InvokeAsync<T>`).
    ///
    /// ```
    /// # use signalr::{Caller, Hub, HubResult};
    /// # async fn ask<H: Hub>(caller: Caller<H>, id: String) -> HubResult<u32> {
    /// let age: u32 = caller.clients().client(id).invoke("AskAge", ("How old are you?",)).await?;
    /// # Ok(age)
    /// # }
    /// ```
    ///
    /// The wait has no time limit; set one with `tokio::time::timeout`. A hub method that waits for
    /// a client result no longer occupies one of the client's [parallel
    /// invocations](crate::hosting::Builder::maximum_parallel_invocations_per_client), because the
    /// result could otherwise be queued behind an invocation that waits for this method. Client
    /// results are not available in `on_connected`, because no message is read before it completes.
    ///
    /// # Errors
    ///
    /// Fails with an [`InvokeError`] if the client returns no result. If `?` converts it into a
    /// [`HubError`](crate::HubError), the error that the client returned is sent to the caller and
    /// other errors are hidden, as with exceptions in C#.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, the client may have received the invocation;
    /// its result is ignored.
    pub async fn invoke<R: DeserializeOwned>(&self, method: &str, arguments: impl Arguments) -> Result<R, InvokeError> {
        request_client_result(&self.shared, &self.audience, &self.requester, method, &arguments).await?.read()
    }
}

/// Clients without a contract, called by method name only.
///
/// ```
/// use signalr::{Caller, HubResult, hub};
///
/// struct Chat;
///
/// #[hub] // without `client = ..`
/// impl Chat {
///     async fn say(&self, caller: &Caller<Self>, text: String) -> HubResult {
///         caller.clients().all().send("Said", (text,)).await?;
///         Ok(())
///     }
/// }
/// ```
#[derive(Debug)]
pub struct AnyClient<T = Many>(Proxy<T>);

impl HubClient for AnyClient {
    type Proxy<T> = AnyClient<T>;
}

impl<T> From<Proxy<T>> for AnyClient<T> {
    fn from(proxy: Proxy<T>) -> Self {
        Self(proxy)
    }
}

impl<T> Deref for AnyClient<T> {
    type Target = Proxy<T>;

    fn deref(&self) -> &Proxy<T> {
        &self.0
    }
}

impl<T> fmt::Debug for Proxy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("audience", &self.audience).finish_non_exhaustive()
    }
}
