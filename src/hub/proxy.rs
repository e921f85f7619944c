//! Calling selected clients, by name or by contract.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use super::context::{SendError, Shared};
use crate::lifetime::Audience;
use crate::protocol::Arguments;

/// Any number of connections.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Many;

/// Exactly one connection.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Single;

/// What the clients of a hub offer; made by [`#[hub_client]`](macro@crate::hub_client).
pub trait HubClient: 'static {
    /// The clients that were selected: [`Many`] or a [`Single`] one.
    type Proxy<T>: From<Proxy<T>> + Deref<Target = Proxy<T>> + Send + Sync;
}

/// Clients that were selected, to be called by the names of their methods (C#: `IClientProxy`).
pub struct Proxy<T = Many> {
    shared: Arc<Shared>,
    audience: Audience,
    _target: PhantomData<fn() -> T>,
}

impl<T> Proxy<T> {
    pub(super) fn new(shared: Arc<Shared>, audience: Audience) -> Self {
        Self { shared, audience, _target: PhantomData }
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
}

/// Clients without a contract: methods by name only.
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
