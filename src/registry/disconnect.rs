//! Closing connections from outside of their tasks.

use std::sync::Arc;

use super::audience::Audience;
use super::hub_registry::Registry;

/// Content of the Close message for clients that
/// [`Proxy::disconnect`](crate::hub::Proxy::disconnect) disconnects.
///
/// By default the Close message has no reason and does not allow clients to reconnect.
///
/// ```
/// use signalr::hub::Disconnect;
///
/// let signed_out = Disconnect::new().reason("You were signed out.");
/// let moved = Disconnect::new().allow_reconnect();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disconnect {
    pub(crate) reason: Option<String>,
    pub(crate) allow_reconnect: bool,
}

impl Disconnect {
    /// Creates a `Disconnect` without a reason, which does not allow clients to reconnect.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the reason. Clients receive the text unchanged, as the error of their `onclose`
    /// callback.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Allows clients with `withAutomaticReconnect` to reconnect. They get a new connection, which
    /// is not a member of any group.
    #[must_use]
    pub fn allow_reconnect(mut self) -> Self {
        self.allow_reconnect = true;
        self
    }
}

impl Registry {
    /// Closes the connections of `audience` that exist now.
    pub(crate) fn disconnect(&self, audience: &Audience, disconnect: Disconnect) {
        let mut selected = Vec::new();
        self.for_each(audience, |connection| selected.push(Arc::clone(connection)));
        let disconnect = Arc::new(disconnect);
        // Closed outside of the locks, because closing runs wakers.
        for connection in selected {
            connection.disconnect(&disconnect);
        }
    }
}
