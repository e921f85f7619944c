//! A hub on its path: the one place where its type is erased.

use std::fmt;
use std::sync::Arc;

use super::SignalR;
use super::builder::{Builder, Parts};
use super::error::BuildError;
use super::settings::Settings;
use crate::auth::{Authorize, Rules};
use crate::connections::{Accept, Connection, Endpoint, Served};
use crate::future::BoxFuture;
use crate::hub::{Hub, HubContext, HubCore, MethodTable, Methods, Shared, TableError};
use crate::session;

/// A hub was just added: what follows is set for it alone.
#[must_use = "call `build`"]
pub struct EndpointBuilder<H: Hub> {
    rest: Builder,
    pub(super) endpoint: HubEndpoint<H>,
}

/// A hub and its settings, until the server is built.
pub(super) struct HubEndpoint<H: Hub> {
    path: String,
    hub: Arc<H>,
    shared: Arc<Shared>,
    authorize: Vec<Authorize>,
    pub(super) settings: Settings,
}

/// A hub whose type is forgotten.
pub(super) trait AnyEndpoint: Send {
    fn build(self: Box<Self>, index: usize, parts: &Parts<'_>) -> Result<BuiltEndpoint, BuildError>;
}

/// A hub that can be served.
pub(super) struct BuiltEndpoint {
    pub(super) path: String,
    pub(super) rules: Rules,
    pub(super) connections: Arc<Endpoint>,
}

/// What can be mapped as a hub: the hub itself, or one that is shared by several paths.
pub trait IntoHub {
    /// The type of the hub.
    type Hub: Hub;

    /// Makes it sharable.
    fn into_hub(self) -> Arc<Self::Hub>;
}

impl<H: Hub> IntoHub for H {
    type Hub = H;

    fn into_hub(self) -> Arc<H> {
        Arc::new(self)
    }
}

impl<H: Hub> IntoHub for Arc<H> {
    type Hub = H;

    fn into_hub(self) -> Self {
        self
    }
}

impl<H: Hub> EndpointBuilder<H> {
    pub(super) fn new(rest: Builder, path: String, hub: Arc<H>, shared: Arc<Shared>) -> Self {
        let settings = Settings::default();
        Self { rest, endpoint: HubEndpoint { path, hub, shared, authorize: H::authorize(), settings } }
    }

    /// Who may connect here, besides the hub's own rules (C#: `RequireAuthorization(policy)`): negotiate and every request
    /// of a transport get 401 or 403 otherwise.
    pub fn require_authorization(self, policy: impl Into<String>) -> Self {
        self.authorize(Authorize::from(policy.into()))
    }

    /// The same for any rule; all that are added must hold.
    pub fn authorize(mut self, rule: Authorize) -> Self {
        self.endpoint.authorize.push(rule);
        self
    }

    /// Maps another hub; see [`Builder::hub`].
    pub fn hub<T: IntoHub>(self, path: impl Into<String>, hub: T) -> EndpointBuilder<T::Hub> {
        self.done().hub(path, hub)
    }

    /// Sends to the clients of a hub; see [`Builder::context`].
    pub fn context<T: Hub>(&mut self) -> HubContext<T> {
        self.rest.context()
    }

    /// Makes the server; see [`Builder::build`].
    ///
    /// # Errors
    ///
    /// Those of [`Builder::build`].
    pub fn build(self) -> Result<SignalR, BuildError> {
        self.done().build()
    }

    fn done(mut self) -> Builder {
        self.rest.endpoints.push(Box::new(self.endpoint));
        self.rest
    }
}

impl<H: Hub> AnyEndpoint for HubEndpoint<H> {
    fn build(self: Box<Self>, index: usize, parts: &Parts<'_>) -> Result<BuiltEndpoint, BuildError> {
        let path = self.path;
        let (options, transport) = match self.settings.options(parts.settings) {
            Ok(options) => options,
            Err(option) => return Err(BuildError::Zero { path, option }),
        };
        let refused = |source| BuildError::Rule { path: path.clone(), source };
        let rules = parts.policies.endpoint_rules(&self.authorize).map_err(refused)?;
        let methods = MethodTable::new(Methods::<H>::list(), |method| {
            tracing::debug!(target: "signalr::hub", hub = path, method = &*method.name, "hub method bound");
            parts.policies.method_rules(&method.authorize).map_err(|source| BindError::Build(refused(source)))
        })
        .map_err(|error| error.at(&path))?;
        if !parts.authenticates && (!rules.is_open() || methods.iter().any(|method| !method.authorize.is_empty())) {
            return Err(BuildError::NoAuthentication(path));
        }
        // The first of a type's endpoints decides; `naming` of one type cannot differ by path, since its messages are
        // shared by all.
        let naming = *self.shared.naming.get_or_init(|| options.naming);
        let core = HubCore {
            hub: self.hub,
            methods,
            options: crate::options::HubOptions { naming, ..options },
            shared: self.shared,
            user_id: parts.user_id.clone(),
            tasks: parts.tasks.clone(),
        };
        let accept = Arc::new(Hubs(Arc::new(core)));
        let connections = Arc::new(Endpoint::new(index, transport, Arc::clone(parts.table), accept));
        Ok(BuiltEndpoint { path, rules, connections })
    }
}

/// What goes wrong while the methods of a hub are listed.
enum BindError {
    Build(BuildError),
    Table(TableError),
}

impl From<TableError> for BindError {
    fn from(error: TableError) -> Self {
        Self::Table(error)
    }
}

impl BindError {
    fn at(self, path: &str) -> BuildError {
        match self {
            Self::Build(error) => error,
            Self::Table(error) => BuildError::DuplicateMethod { path: path.to_owned(), method: error.name },
        }
    }
}

/// Gives new connections to their hub.
struct Hubs<H: Hub>(Arc<HubCore<H>>);

impl<H: Hub> Accept for Hubs<H> {
    fn accept(&self, connection: Connection) -> BoxFuture<'static, Served> {
        Box::pin(session::run(Arc::clone(&self.0), connection))
    }
}

impl<H: Hub> fmt::Debug for EndpointBuilder<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointBuilder").field("path", &self.endpoint.path).finish_non_exhaustive()
    }
}
