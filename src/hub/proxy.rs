//! Calls of the methods of selected clients.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::client_results::{ClientResultRequester, InvokeError, ask};
use super::context::{HubShared, SendError};
use crate::protocol::Arguments;
use crate::registry::{Audience, Disconnect};

/// Marker of a [`Proxy`] for any number of connections.
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

/// Marker of a [`Proxy`] for exactly one connection, which can return client results.
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

/// Methods that the clients of a hub offer (C#: the interface `T` of `Hub<T>`); implemented by
/// [`#[hub_client]`](macro@crate::hub_client).
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
    /// Typed proxy of [`Many`] connections or of a [`Single`] one.
    type Proxy<T>: From<Proxy<T>> + Deref<Target = Proxy<T>> + Send + Sync;
}

/// Selected clients, whose methods are called by name (C#: `IClientProxy`, `ISingleClientProxy`).
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
    /// `arguments` is a tuple: `("text", 1)`, `(value,)`, or `()` for none. It is encoded once for each
    /// hub protocol in use. The future completes when the outbound queue of every receiver has accepted
    /// the message or the receiver was disconnected; clients may receive it later.
    ///
    /// # Errors
    ///
    /// If an argument cannot be encoded. A receiver that disconnects is not an error.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, only the receivers whose queues had capacity get the message.
    pub async fn send(&self, method: &str, arguments: impl Arguments) -> Result<(), SendError> {
        self.shared.send(&self.audience, method, &arguments).await
    }

    /// Closes the selected connections of this server (C# has no counterpart).
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
    /// Queued messages are written, followed by a Close message with the reason; later messages are
    /// dropped. Running calls run to their end, streams stop,
    /// [`Caller::aborted`](crate::Caller::aborted) completes, and
    /// [`on_disconnected`](crate::Hub::on_disconnected) receives the reason. A client within its
    /// reconnect window (stateful reconnect) cannot resume. If a connection is closed several times,
    /// the first reason counts.
    ///
    /// The clients may connect again; authentication and authorization rules can prevent that.
    ///
    /// # Errors
    ///
    /// None with a single server.
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
    /// There is no timeout; use `tokio::time::timeout`. A hub method that waits for a client result gives
    /// up its place in the order of calls: the next call of its caller starts, since the result could not
    /// be read otherwise. In `on_connected` client results are not available, because no message is read
    /// before it completes.
    ///
    /// # Errors
    ///
    /// [`InvokeError`] if there is no result. `?` converts it into a [`HubError`](crate::HubError): an
    /// error text of the client is sent to the caller of the hub method, other errors are hidden, as
    /// C#'s exceptions are.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the client may have received the invocation; its result is ignored.
    pub async fn invoke<R: DeserializeOwned>(&self, method: &str, arguments: impl Arguments) -> Result<R, InvokeError> {
        ask(&self.shared, &self.audience, &self.requester, method, &arguments).await?.read()
    }
}

/// Clients without `#[hub_client]`: their methods are called by name only.
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
