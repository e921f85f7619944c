//! Sends to hubs from a process that serves none.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::client_results::ClientResultRequester;
use super::clients::Clients;
use super::context::{Groups, HubShared};
use super::proxy::{AnyClient, HubClient};
use crate::cluster::{self, ClusterOptions, HubCluster};
use crate::protocol::Naming;
use crate::pubsub::Backplane;
use crate::tasks::Tasks;

/// Sends to the clients of hubs from a process that serves no hub, such as a worker or a scheduled
/// task. C# has no counterpart: there, such a process starts a host with `AddSignalR`.
///
/// The messages reach the clients of all servers on the same backplane, those of ASP.NET Core
/// included.
///
/// ```
/// use signalr::backplane::{Emitter, MemoryBus};
/// # use signalr::hub::SendError;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), SendError> {
/// let bus = MemoryBus::new();
/// let emitter = Emitter::new(bus.connect(), ["MyApp.Hubs.Chat"]);
/// let chat = emitter.hub("MyApp.Hubs.Chat").expect("the hub is listed above");
/// chat.clients().group("room 1").send("Said", ("The build is green.",)).await?;
/// # Ok(())
/// # }
/// ```
pub struct Emitter {
    backplane: Arc<dyn Backplane>,
    hubs: HashMap<Box<str>, Arc<HubShared>>,
    /// Ends the tasks of the emitter when it is dropped.
    _stop: tokio_util::sync::DropGuard,
}

/// One hub of an [`Emitter`].
///
/// `C` is the contract of its clients, as in `#[hub(client = C)]`.
pub struct EmitterHub<C = AnyClient> {
    shared: Arc<HubShared>,
    _client: PhantomData<fn() -> C>,
}

impl Emitter {
    /// Creates an emitter for hubs with these .NET names; see
    /// [`dotnet_name`](crate::hosting::EndpointBuilder::dotnet_name). Members of values are named as
    /// serde names them.
    ///
    /// Connects with the first message.
    pub fn new(backplane: impl Backplane, hubs: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::with_naming(backplane, hubs, Naming::Serde)
    }

    /// Creates an emitter that names members as the servers do: [`Naming::DotNet`] for hubs of
    /// ASP.NET Core.
    pub fn with_naming(
        backplane: impl Backplane,
        hubs: impl IntoIterator<Item = impl Into<String>>,
        naming: Naming,
    ) -> Self {
        let backplane: Arc<dyn Backplane> = Arc::new(backplane);
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        let mut clusters = Vec::new();
        let hubs = hubs.into_iter().map(|name| {
            let name: Box<str> = name.into().into();
            let shared = Arc::new(HubShared::default());
            let options =
                ClusterOptions { hub: name.clone(), naming, accepts_disconnected: false, has_connections: false };
            let cluster = HubCluster::new(options, Arc::clone(&shared.registry), Arc::clone(&backplane), tasks.clone());
            clusters.push(Arc::clone(&cluster));
            shared.naming.get_or_init(|| naming);
            shared.cluster.get_or_init(|| cluster);
            (name, shared)
        });
        let hubs = hubs.collect();
        cluster::attach(&*backplane, &clusters);
        Self { backplane, hubs, _stop: stop.drop_guard() }
    }

    /// Returns a hub by its .NET name; `None` if the emitter was not created for it.
    pub fn hub(&self, name: &str) -> Option<EmitterHub> {
        self.typed_hub(name)
    }

    /// Returns a hub whose clients have a contract; `None` if the emitter was not created for it.
    pub fn typed_hub<C: HubClient>(&self, name: &str) -> Option<EmitterHub<C>> {
        Some(EmitterHub { shared: Arc::clone(self.hubs.get(name)?), _client: PhantomData })
    }
}

impl<C: HubClient> EmitterHub<C> {
    /// Selects clients to call (C#: `Clients`).
    pub fn clients(&self) -> Clients<C> {
        Clients::new(Arc::clone(&self.shared), None, ClientResultRequester::Outside)
    }

    /// Returns the groups of the hub, to add connections and to remove them (C#: `Groups`). Its
    /// lists are empty, since this process has no connections.
    pub fn groups(&self) -> Groups {
        Groups::new(Arc::clone(&self.shared))
    }
}

impl Drop for Emitter {
    fn drop(&mut self) {
        self.backplane.close();
    }
}

impl<C> Clone for EmitterHub<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), _client: PhantomData }
    }
}

impl fmt::Debug for Emitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emitter").field("hubs", &self.hubs.keys()).finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for EmitterHub<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmitterHub").finish_non_exhaustive()
    }
}
