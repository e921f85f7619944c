//! Who may go on with newer credentials.

use super::builder::Builder;
use super::endpoint::EndpointBuilder;
use crate::connections::{AuthenticationRefresh, RefreshCheck};

/// What is asked before a connection goes on with newer credentials.
impl Builder {
    /// Looks at newer credentials before their connection goes on with them, where
    /// [`enable_authentication_refresh`](Self::enable_authentication_refresh) is on: `false` refuses them. The request to
    /// refresh is then answered 403, and the connection keeps what it has; a poll or a stateful reconnect that brings them
    /// ends its connection. Asked after who the user is and whether they may connect, and never for another user, who is
    /// refused anyway; for the same credentials once more where they prolong the connection. A panic is an answer of 500, and nothing changes. (C#: `OnAuthenticationRefresh`)
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

/// The same for this path alone.
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
