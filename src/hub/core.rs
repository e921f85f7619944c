//! What a hub is at run time: frozen when the server is built.

use std::fmt;
use std::sync::Arc;

use super::context::Shared;
use super::methods::MethodTable;
use crate::auth::{Rules, User};
use crate::options::HubOptions;
use crate::tasks::Tasks;

/// A hub at one path: its value, its methods, and the rules and options that hold there.
pub(crate) struct HubCore<H> {
    pub(crate) hub: Arc<H>,
    pub(crate) methods: MethodTable<H, Rules>,
    pub(crate) options: HubOptions,
    pub(crate) shared: Arc<Shared>,
    pub(crate) user_id: UserId,
    /// Runs calls that outlive their connection's turn.
    pub(crate) tasks: Tasks,
}

/// Tells the id of a user (C#: `IUserIdProvider`).
#[derive(Clone)]
pub(crate) struct UserId(Arc<TellUserId>);

type TellUserId = dyn Fn(&User) -> Option<String> + Send + Sync;

impl UserId {
    pub(crate) fn new(tell: impl Fn(&User) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(crate) fn of(&self, user: &User) -> Option<Box<str>> {
        (self.0)(user).map(Into::into)
    }
}

impl Default for UserId {
    /// The first claim of type `nameidentifier` (`aspnet: DefaultUserIdProvider`).
    fn default() -> Self {
        Self::new(|user| user.id().map(str::to_owned))
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId")
    }
}
