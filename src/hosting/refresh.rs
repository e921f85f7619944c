//! Options for refreshing the credentials of open connections.

use super::builder::Builder;
use super::endpoint::EndpointBuilder;
use crate::connections::{AuthenticationRefresh, RefreshCheck};

/// Decision about newer credentials, for all endpoints.
impl Builder {
    /// Sets the function that accepts or rejects newer credentials of an open connection, where
    /// [`enable_authentication_refresh`](Self::enable_authentication_refresh) is on. Default: all
    /// are accepted. (C#: `OnAuthenticationRefresh`)
    ///
    /// If the function returns `false`, a refresh request gets 403 and the connection keeps its
    /// credentials; a poll or a stateful reconnect with the newer credentials ends the connection.
    /// If the function panics, the response is 500 and the credentials stay unchanged.
    ///
    /// The function is called after authentication and authorization of the request. It is not
    /// called for another user, whose credentials are always rejected. It is called again for the
    /// same credentials if they extend the connection.
    ///
    /// ```
    /// use signalr::hosting::AuthenticationRefresh;
    ///
    /// # let builder = signalr::SignalR::builder();
    /// let builder = builder.enable_authentication_refresh(true).on_authentication_refresh(
    ///     async |refresh: AuthenticationRefresh| !refresh.new_user().is_in_role("Suspended"),
    /// );
    /// # let _ = builder;
    /// ```
    pub fn on_authentication_refresh<F, R>(mut self, check: F) -> Self
    where
        F: Fn(AuthenticationRefresh) -> R + Send + Sync + 'static,
        R: Future<Output = bool> + Send + 'static,
    {
        self.settings.refresh_check = Some(RefreshCheck::new(check));
        self
    }
}

/// Decision about newer credentials, for this path only.
impl<T> EndpointBuilder<T> {
    /// See [`Builder::on_authentication_refresh`].
    pub fn on_authentication_refresh<F, R>(mut self, check: F) -> Self
    where
        F: Fn(AuthenticationRefresh) -> R + Send + Sync + 'static,
        R: Future<Output = bool> + Send + 'static,
    {
        self.endpoint.settings.refresh_check = Some(RefreshCheck::new(check));
        self
    }
}
