//! Calling selected clients, by name or by contract.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::client_results::{ClientResultRequester, InvokeError, request_client_result};
use super::context::{HubShared, SendError};
use crate::protocol::Arguments;
use crate::registry::{Audience, Disconnect};

/// Any number of connections.
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

/// Exactly one connection.
///
/// ```
/// # use signalr::hub::{AnyClient, Single};
/// # use signalr::{Caller, Hub};
/// fn asker<H: Hub<Client = AnyClient>>(caller: &Caller<H>) -> AnyClient<Single> {
///     caller.client()
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Single;

/// What the clients of a hub offer; made by [`#[hub_client]`](macro@crate::hub_client).
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
    /// The clients that were selected: [`Many`] or a [`Single`] one.
    type Proxy<T>: From<Proxy<T>> + Deref<Target = Proxy<T>> + Send + Sync;
}

/// Clients that were selected, to be called by the names of their methods (C#: `IClientProxy`).
///
/// ```
/// # use signalr::hub::{AnyClient, Proxy, SendError};
/// # use signalr::{Caller, Hub};
/// async fn alarm(whom: &Proxy) -> Result<(), SendError> {
///     whom.send("Alarm", ("bed 3",)).await
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

    /// Calls a method of the selected clients; they give no answer (C#: `SendAsync`).
    ///
    /// `arguments` is a tuple: `("text", 1)`, `(value,)`, or `()` for none. It is encoded once for each format in use.
    /// Complete when every receiver's queue has taken the message, or the receiver has been given up; not when the
    /// clients have it.
    ///
    /// # Errors
    ///
    /// When an argument cannot be encoded. A receiver that ends is no error.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is complete, the message has reached those receivers that had room for it.
    pub async fn send(&self, method: &str, arguments: impl Arguments) -> Result<(), SendError> {
        self.shared.send(&self.audience, method, &arguments).await
    }

    /// Ends the selected connections that there are on this server now, whatever they are doing (C# has no way to do so
    /// from outside).
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
    /// What was sent before still goes out, then a Close message with the reason; what is sent later is dropped. Calls
    /// that run go on to their end, streams stop, [`Caller::aborted`](crate::Caller::aborted) is ready, and
    /// [`on_disconnected`](crate::Hub::on_disconnected) is given the reason. A client that is away, to come back by a
    /// stateful reconnect, finds its connection gone. Of several ends the first one counts.
    ///
    /// Clients may connect again as anybody may: to keep them out is for authentication and rules.
    ///
    /// # Errors
    ///
    /// None on a single server.
    ///
    /// # Cancel safety
    ///
    /// Either they were ended or not.
    pub async fn disconnect(&self, disconnect: Disconnect) -> Result<(), SendError> {
        self.shared.registry.disconnect(&self.audience, disconnect);
        Ok(())
    }
}

impl Proxy<Single> {
    /// Calls a method of one client and waits for what it returns (C#: `InvokeAsync<T>`).
    ///
    /// ```
    /// # use signalr::{Caller, Hub, HubResult};
    /// # async fn ask<H: Hub>(caller: Caller<H>, id: String) -> HubResult<u32> {
    /// let age: u32 = caller.clients().client(id).invoke("AskAge", ("How old are you?",)).await?;
    /// # Ok(age)
    /// # }
    /// ```
    ///
    /// There is no time-out but your own, such as `tokio::time::timeout`. A hub method that asks lets the next call of its
    /// client begin, for good: the answer would stand behind it. In `on_connected` nobody can be asked, since nothing is
    /// read before it is done.
    ///
    /// # Errors
    ///
    /// Why there is no answer: [`InvokeError`]. Turned into a [`HubError`](crate::HubError) by `?`, the client's own error
    /// is told to the one that called the hub, and the others are hidden, as with C#'s exceptions.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the client may have been asked; its answer is ignored.
    pub async fn invoke<R: DeserializeOwned>(&self, method: &str, arguments: impl Arguments) -> Result<R, InvokeError> {
        request_client_result(&self.shared, &self.audience, &self.requester, method, &arguments).await?.read()
    }
}

/// Clients without a contract: methods by name only.
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
