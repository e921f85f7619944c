//! Targets of mapped paths. The types of hubs and connection handlers are erased here only.

use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::builder::BuildContext;
use super::error::BuildError;
use super::settings::Settings;
use crate::auth::Authorize;
use crate::connections::{Accept, Completed, Connection};
use crate::hub::{Hub, HubRuntime, HubShared, MethodTable, Methods, TableError};
use crate::options::HubOptions;
use crate::raw::RawHandler;
use crate::session;
use crate::tasks::Tasks;

/// A hub or a connection handler, with its type erased.
pub(super) trait Target: Send {
    /// Authorization rules of the hub, and whether the hub allows anonymous clients.
    fn hub_rules(&self) -> (Vec<Authorize>, bool) {
        (Vec::new(), false)
    }

    /// Builds the acceptor of the connections of the path.
    fn build(self: Box<Self>, path: &str, settings: &Settings, context: &BuildContext<'_>)
    -> Result<Built, BuildError>;
}

/// A target with validated options.
pub(super) struct Built {
    pub(super) accept: Arc<dyn Accept>,
    /// Whether methods of the target have authorization rules.
    pub(super) requires_authentication: bool,
}

/// A hub, and the state shared by all hubs of its type.
pub(super) struct HubTarget<H: Hub> {
    pub(super) hub: Arc<H>,
    pub(super) shared: Arc<HubShared>,
}

impl<H: Hub> Target for HubTarget<H> {
    fn hub_rules(&self) -> (Vec<Authorize>, bool) {
        (H::authorize(), H::allow_anonymous())
    }

    fn build(
        self: Box<Self>,
        path: &str,
        settings: &Settings,
        context: &BuildContext<'_>,
    ) -> Result<Built, BuildError> {
        let options = settings.hub_options(context.settings, path)?;
        let methods = MethodTable::new(Methods::<H>::list(), |method| {
            tracing::debug!(target: "signalr::hub", hub = path, method = &*method.name, "hub method bound");
            let rules = context.policies.method_rules(&method.authorize);
            rules.map_err(|source| BindError::Build(BuildError::Rule { path: path.to_owned(), source }))
        })
        .map_err(|error| error.for_path(path))?;
        let requires_authentication = methods.iter().any(|method| !method.authorize.is_empty());
        // The first endpoint of a hub type determines `naming`: a broadcast is encoded once for the
        // clients of all paths of the type.
        let naming = *self.shared.naming.get_or_init(|| options.naming);
        let runtime = HubRuntime {
            hub: self.hub,
            methods,
            filters: Arc::new(context.settings.filters.around(&settings.filters)),
            options: HubOptions { naming, ..options },
            shared: self.shared,
            user_id: context.user_id.clone(),
            tasks: context.tasks.clone(),
        };
        Ok(Built { accept: Arc::new(HubAcceptor(Arc::new(runtime))), requires_authentication })
    }
}

/// Error while the methods of a hub are listed.
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
    fn for_path(self, path: &str) -> BuildError {
        match self {
            Self::Build(error) => error,
            Self::Table(error) => BuildError::DuplicateMethod { path: path.to_owned(), method: error.name },
        }
    }
}

/// Passes new connections to a hub.
struct HubAcceptor<H: Hub>(Arc<HubRuntime<H>>);

impl<H: Hub> Accept for HubAcceptor<H> {
    fn accept(&self, connection: Connection) -> BoxFuture<'static, Completed> {
        Box::pin(session::run(Arc::clone(&self.0), connection))
    }
}

impl Target for RawHandler {
    fn build(self: Box<Self>, _: &str, _: &Settings, context: &BuildContext<'_>) -> Result<Built, BuildError> {
        let accept = Arc::new(RawAcceptor { handler: *self, tasks: context.tasks.clone() });
        Ok(Built { accept, requires_authentication: false })
    }
}

/// Passes new connections to a connection handler.
struct RawAcceptor {
    handler: RawHandler,
    tasks: Tasks,
}

impl Accept for RawAcceptor {
    fn accept(&self, connection: Connection) -> BoxFuture<'static, Completed> {
        self.handler.serve(self.tasks.clone(), connection)
    }
}
