//! Ending connections from outside.

use std::sync::Arc;

use super::audience::Audience;
use super::hub_registry::Registry;

/// What clients are told whose connections the server ends, for [`Proxy::disconnect`](crate::hub::Proxy::disconnect).
///
/// By default they are given no reason, and told not to reconnect.
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
    /// Without a reason and for good.
    pub fn new() -> Self {
        Self::default()
    }

    /// Why; clients get the text as it is, as the error of their `onclose`.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Lets clients come back that reconnect by themselves (`withAutomaticReconnect`). They come with a new connection,
    /// which is in no group.
    #[must_use]
    pub fn allow_reconnect(mut self) -> Self {
        self.allow_reconnect = true;
        self
    }
}

impl Registry {
    /// Ends everyone in `audience` that is there now.
    pub(crate) fn disconnect(&self, audience: &Audience, disconnect: Disconnect) {
        let mut selected = Vec::new();
        self.for_each(audience, |connection| selected.push(Arc::clone(connection)));
        let disconnect = Arc::new(disconnect);
        // Outside the locks, since it wakes whoever waits for one of them.
        for connection in selected {
            connection.disconnect(&disconnect);
        }
    }
}
