//! Users that the host has authenticated already.

use std::fmt;
use std::marker::PhantomData;

use super::request::AuthRequest;
use super::scheme::{Authentication, Authenticator};
use super::user::User;

/// [`Authenticator`] for users that the host has authenticated: it reads a `T` from the extensions of
/// the request, where an axum middleware has put it.
///
/// ```
/// use signalr::SignalR;
/// use signalr::auth::{ExtensionUser, User};
///
/// /// Account that the middleware of the application has authenticated.
/// #[derive(Clone)]
/// struct Account {
///     id: u64,
///     is_admin: bool,
/// }
///
/// let accounts = ExtensionUser::new(|account: &Account| {
///     let user = User::builder().id(account.id.to_string());
///     if account.is_admin { user.role("Admin").build() } else { user.build() }
/// });
/// let builder = SignalR::builder().scheme("Accounts", accounts);
/// # let _ = builder;
/// ```
///
/// Clients cannot set extensions; only code of the host can. The user may be
/// [anonymous](User::anonymous).
pub struct ExtensionUser<T, F> {
    user: F,
    _extension: PhantomData<fn(&T)>,
}

impl<T, F> ExtensionUser<T, F>
where
    T: Send + Sync + 'static,
    F: Fn(&T) -> User + Send + Sync + 'static,
{
    /// `user` converts the extension.
    pub fn new(user: F) -> Self {
        Self { user, _extension: PhantomData }
    }
}

impl<T, F> Authenticator for ExtensionUser<T, F>
where
    T: Send + Sync + 'static,
    F: Fn(&T) -> User + Send + Sync + 'static,
{
    async fn authenticate(&self, request: &AuthRequest<'_>) -> Authentication {
        match request.extension() {
            Some(known) => Authentication::Authenticated((self.user)(known)),
            None => Authentication::Anonymous,
        }
    }
}

impl<T, F> fmt::Debug for ExtensionUser<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExtensionUser")
    }
}
