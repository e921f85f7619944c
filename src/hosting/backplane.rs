//! The backplane of a server and the hubs that it connects.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

use super::error::BuildError;
use super::{Builder, EndpointBuilder, SignalR};
use crate::cluster::{self, ClusterOptions, HubCluster};
use crate::hub::{Hub, HubShared};
use crate::pubsub::{Backplane, BackplaneStats};
use crate::tasks::Tasks;

/// Time between two attempts to subscribe to the channels of the hubs.
const START_RETRY_DELAY: Duration = Duration::from_millis(500);

/// Options of the backplane before the server is built.
#[derive(Default)]
pub(super) struct BackplaneOptions {
    pub(super) backplane: Option<Arc<dyn Backplane>>,
    accepts_disconnected: bool,
    namespace: Option<String>,
    /// The Rust types of the hubs.
    hub_types: HashMap<TypeId, &'static str>,
    /// Names that the application has set.
    hub_names: HashMap<TypeId, String>,
}

/// The backplane of a server.
pub(super) struct ServerBackplane {
    backplane: Arc<dyn Backplane>,
    clusters: Vec<Arc<HubCluster>>,
    is_starting: AtomicBool,
}

impl Builder {
    /// Connects the server with the other servers of its hubs (C#: `AddStackExchangeRedis(..)`).
    /// Default: none, which means that a hub has the connections of this server only.
    ///
    /// Servers take part in a hub if they use the same [name](EndpointBuilder::dotnet_name) for it.
    /// Sends reach the clients of all servers, and groups and client results work across servers;
    /// lists and counts are those of this server.
    ///
    /// ```
    /// use signalr::SignalR;
    /// use signalr::backplane::MemoryBus;
    ///
    /// let bus = MemoryBus::new();
    /// let builder = SignalR::builder().backplane(bus.connect());
    /// ```
    pub fn backplane(mut self, backplane: impl Backplane) -> Self {
        self.backplane.backplane = Some(Arc::new(backplane));
        self
    }

    /// Sets whether clients can connect while the backplane is not connected. Default: `false`: as
    /// in ASP.NET Core, their connections end right after the handshake, and `on_connected` does
    /// not run.
    ///
    /// If `true`, they connect, and their groups and sends to them are complete once the backplane
    /// is connected; until then they receive what is sent to them alone on this server.
    pub fn accept_without_backplane(mut self, accept: bool) -> Self {
        self.backplane.accepts_disconnected = accept;
        self
    }

    /// Sets the namespace of the [names](EndpointBuilder::dotnet_name) of hubs: with `MyApp.Hubs`,
    /// the default name of a Rust type `Chat` is `MyApp.Hubs.Chat`, wherever it is declared.
    /// Default: the path of each type.
    pub fn dotnet_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.backplane.namespace = Some(namespace.into());
        self
    }
}

impl<H: Hub> EndpointBuilder<H> {
    /// Sets the name by which the servers of a [backplane](Builder::backplane) know the hub type:
    /// for ASP.NET Core the full name of the class, such as `MyApp.Hubs.ChatHub`, and
    /// `Outer+Nested` for a nested class. Applies to all paths of the type.
    ///
    /// Default: the path of the Rust type with dots, such as `my_app.hubs.Chat`, or its name in the
    /// [namespace](Builder::dotnet_namespace).
    pub fn dotnet_name(mut self, name: impl Into<String>) -> Self {
        self.builder_mut().backplane.hub_names.insert(TypeId::of::<H>(), name.into());
        self
    }
}

impl BackplaneOptions {
    /// Adds a hub type.
    pub(super) fn add_hub<H: Hub>(&mut self) {
        self.hub_types.insert(TypeId::of::<H>(), std::any::type_name::<H>());
    }

    fn name_of(&self, id: TypeId) -> Option<String> {
        let path = *self.hub_types.get(&id)?;
        Some(match (self.hub_names.get(&id), &self.namespace) {
            (Some(name), _) => name.clone(),
            (None, Some(namespace)) => format!("{namespace}.{}", path.rsplit("::").next().unwrap_or(path)),
            (None, None) => path.replace("::", "."),
        })
    }

    /// Connects the hubs to the backplane, if there is one.
    pub(super) fn build(
        self,
        hubs: &HashMap<TypeId, Arc<HubShared>>,
        tasks: &Tasks,
    ) -> Result<Option<ServerBackplane>, BuildError> {
        let Some(backplane) = self.backplane.clone() else { return Ok(None) };
        let mut clusters: HashMap<Box<str>, Arc<HubCluster>> = HashMap::new();
        for (id, shared) in hubs {
            // A hub type that is not mapped has no naming, and no clients.
            let (Some(naming), Some(name)) = (shared.naming.get(), self.name_of(*id)) else { continue };
            if name.is_empty() || name.contains(':') {
                return Err(BuildError::InvalidHubName(name));
            }
            let options = ClusterOptions {
                hub: name.as_str().into(),
                naming: *naming,
                accepts_disconnected: self.accepts_disconnected,
                has_connections: true,
            };
            let registry = Arc::clone(&shared.registry);
            let cluster = HubCluster::new(options, registry, Arc::clone(&backplane), tasks.clone());
            if clusters.insert(name.as_str().into(), Arc::clone(&cluster)).is_some() {
                return Err(BuildError::DuplicateHubName(name));
            }
            shared.cluster.get_or_init(|| cluster);
        }
        cluster::attach(&*backplane, clusters.values());
        Ok(Some(ServerBackplane {
            backplane,
            clusters: clusters.into_values().collect(),
            is_starting: AtomicBool::new(false),
        }))
    }
}

impl ServerBackplane {
    /// Connects in the background, if this is called within a runtime.
    pub(super) fn start(&self, tasks: &Tasks) {
        if self.clusters.iter().all(|cluster| cluster.is_started())
            || Handle::try_current().is_err()
            || self.is_starting.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let (clusters, stop) = (self.clusters.clone(), tasks.stop().clone());
        tokio::spawn(async move {
            let start = async {
                for cluster in clusters {
                    while cluster.start().await.is_err() {
                        tokio::time::sleep(START_RETRY_DELAY).await;
                    }
                }
            };
            stop.run_until_cancelled(start).await;
        });
    }

    pub(super) fn is_ready(&self) -> bool {
        self.backplane.is_ready() && self.clusters.iter().all(|cluster| cluster.is_started())
    }

    pub(super) fn stats(&self) -> BackplaneStats {
        let dropped_messages = self.clusters.iter().map(|cluster| cluster.dropped_messages()).sum();
        BackplaneStats { dropped_messages, ..self.backplane.stats() }
    }

    pub(super) fn pending_client_results(&self) -> usize {
        self.clusters.iter().map(|cluster| cluster.pending_client_results()).sum()
    }

    pub(super) fn close(&self) {
        self.backplane.close();
    }
}

impl Drop for ServerBackplane {
    fn drop(&mut self) {
        self.close();
    }
}

impl SignalR {
    /// Returns whether the server is ready for clients, for the readiness probe of an orchestrator:
    /// its [backplane](Builder::backplane) is connected, and [`shutdown`](Self::shutdown) has not
    /// begun.
    ///
    /// A server with a backplane connects to it in [`serve`](Self::serve), with the first client, or
    /// with the first call of this method within a tokio runtime.
    pub fn is_ready(&self) -> bool {
        let server = &*self.server;
        let is_connected = server.backplane.as_ref().is_none_or(|backplane| {
            backplane.start(&server.tasks);
            backplane.is_ready()
        });
        is_connected && !server.closing.is_cancelled()
    }
}
