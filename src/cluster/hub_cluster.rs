//! State of one hub type of this server in a cluster.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::try_join_all;
use tokio::sync::oneshot;

use super::acknowledgements::PendingAnswers;
use super::backlog::Backlog;
use super::channel::Channel;
use super::resubscription::Resubscription;
use crate::protocol::{HubProtocol, Naming};
use crate::pubsub::{Backplane, BackplaneError};
use crate::registry::{ClientResult, Registry};
use crate::tasks::Tasks;

/// A hub type on this server, connected to the same hub on other servers.
pub(crate) struct HubCluster {
    /// .NET's name of the hub type, the first part of all its channels.
    pub(super) hub: Box<str>,
    /// Unique name of this server.
    pub(super) server: Box<str>,
    pub(super) naming: Naming,
    pub(super) registry: Arc<Registry>,
    pub(super) backplane: Arc<dyn Backplane>,
    pub(super) tasks: Tasks,
    /// Orders changes of the registry and of the subscriptions that follow from them.
    pub(super) membership: Mutex<()>,
    pub(super) resubscription: Resubscription,
    pub(super) answers: PendingAnswers,
    pub(super) backlog: Backlog,
    /// Client results that other servers return, by invocation id.
    pub(super) results: Mutex<HashMap<Box<str>, PendingRemoteResult>>,
    /// Number of requests of other servers that are being answered.
    pub(super) requests: AtomicUsize,
    has_connections: bool,
    is_started: AtomicBool,
}

/// A client result that another server returns, with the hub protocol of its value.
pub(super) type PendingRemoteResult = oneshot::Sender<(HubProtocol, ClientResult)>;

/// How a hub takes part in a cluster.
pub(crate) struct ClusterOptions {
    /// .NET's name of the hub type.
    pub(crate) hub: Box<str>,
    /// Member naming of messages.
    pub(crate) naming: Naming,
    /// Whether connections and groups are accepted while the backplane is not connected.
    pub(crate) accepts_disconnected: bool,
    /// Whether this process has connections, or sends only.
    pub(crate) has_connections: bool,
}

impl HubCluster {
    pub(crate) fn new(
        options: ClusterOptions,
        registry: Arc<Registry>,
        backplane: Arc<dyn Backplane>,
        tasks: Tasks,
    ) -> Arc<Self> {
        let ClusterOptions { hub, naming, accepts_disconnected, has_connections } = options;
        Arc::new(Self {
            hub,
            server: random_server_name().into(),
            naming,
            registry,
            backplane,
            tasks,
            membership: Mutex::default(),
            resubscription: Resubscription::new(accepts_disconnected),
            answers: PendingAnswers::default(),
            backlog: Backlog::default(),
            results: Mutex::default(),
            requests: AtomicUsize::new(0),
            has_connections,
            is_started: AtomicBool::new(false),
        })
    }

    /// Subscribes to the channels that every server of the hub has, unless that is done.
    ///
    /// # Errors
    ///
    /// Fails if the backplane is not connected.
    pub(crate) async fn start(&self) -> Result<(), BackplaneError> {
        if self.is_started() {
            return Ok(());
        }
        self.backplane.start();
        let answers = [Channel::Acks(&self.server), Channel::Results(&self.server)];
        let of_connections = [Channel::All, Channel::GroupCommands, Channel::Queries];
        let of_connections = of_connections.into_iter().filter(|_| self.has_connections);
        let names = of_connections.chain(answers).map(|channel| self.name_of(channel));
        try_join_all(names.map(|name| self.backplane.subscribe(&name))).await?;
        self.is_started.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether the channels that every server has are subscribed.
    pub(crate) fn is_started(&self) -> bool {
        self.is_started.load(Ordering::Acquire)
    }

    /// Number of client results of other servers for which this server waits.
    pub(crate) fn pending_client_results(&self) -> usize {
        lock(&self.results).len()
    }

    /// Number of received messages that were dropped, because too many waited for slow clients.
    pub(crate) fn dropped_messages(&self) -> u64 {
        self.backlog.dropped()
    }

    pub(super) fn name_of(&self, channel: Channel<'_>) -> String {
        channel.name(&self.hub)
    }
}

impl fmt::Debug for HubCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubCluster").field("hub", &self.hub).field("server", &self.server).finish_non_exhaustive()
    }
}

/// Returns a unique name: ASP.NET Core's consist of the name of the machine and 32 hexadecimal
/// digits, and only have to be unique.
fn random_server_name() -> String {
    format!("signalr_{:032x}", u128::from_be_bytes(random_bytes()))
}

/// # Panics
///
/// If the operating system provides no random bytes.
pub(super) fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system provides random bytes");
    bytes
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
