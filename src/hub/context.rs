//! Access to the clients and groups of a hub from outside its methods.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use super::Hub;
use super::client_results::ClientResultRequester;
use super::clients::Clients;
use super::cluster_queries::ClusterQueries;
use crate::cluster::{ClusterSendError, GroupAction, HubCluster};
use crate::connection_info::ConnectionId;
use crate::protocol::{Arguments, Naming, WriteError};
use crate::pubsub::BackplaneError;
use crate::registry::{Audience, ConnectionHandle, Registry};

/// Sends messages to the clients of a hub from anywhere in the application (C#:
/// `IHubContext<THub>`).
///
/// Returned by [`SignalR::context`](crate::SignalR::context) or, before the server is built, by
/// [`Builder::context`](crate::hosting::Builder::context). All mapped paths of one hub *type* share
/// one context. Cloning is cheap.
///
/// ```
/// use signalr::hub::SendError;
/// use signalr::{HubContext, SignalR, hub};
///
/// struct Ticker;
///
/// #[hub]
/// impl Ticker {}
///
/// async fn tick(ticker: HubContext<Ticker>, price: f64) -> Result<(), SendError> {
///     ticker.clients().all().send("Tick", (price,)).await
/// }
///
/// let signalr = SignalR::builder().hub("/ticker", Ticker).build()?;
/// let tick = tick(signalr.context(), 1.5);
/// # Ok::<_, signalr::hosting::BuildError>(())
/// ```
pub struct HubContext<H> {
    shared: Arc<HubShared>,
    _hub: PhantomData<fn() -> H>,
}

/// State shared by all mapped paths of one hub type.
#[derive(Debug, Default)]
pub(crate) struct HubShared {
    pub(crate) registry: Arc<Registry>,
    /// Set when the server is built.
    pub(crate) naming: OnceLock<Naming>,
    /// Set when the server is built, if it has a backplane.
    pub(crate) cluster: OnceLock<Arc<HubCluster>>,
}

/// A message could not be sent to any client.
///
/// ```
/// # use signalr::hub::SendError;
/// # use signalr::{Hub, HubContext};
/// # async fn send<H: Hub>(hub: HubContext<H>) {
/// match hub.clients().groups(["a", ""]).send("News", ()).await {
///     Err(SendError::EmptyGroupName) => println!("a group without a name"),
///     sent => println!("{sent:?}"),
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// An argument cannot be encoded.
    #[error("failed to encode the arguments")]
    Encode(#[source] WriteError),
    /// One of the names of [`Clients::groups`] is empty, as in ASP.NET Core. [`Clients::group`]
    /// accepts an empty name.
    #[error("Cannot send to an empty group name.")]
    EmptyGroupName,
    /// The server is not built yet, so no client can be connected.
    #[error("HubContext used before Builder::build()")]
    NotBuilt,
    /// The [backplane](crate::backplane) did not take the message, or the change of a group. Clients
    /// of this server may have received the message, clients of other servers may not.
    #[error("failed to reach the other servers")]
    Backplane(#[source] BackplaneError),
}

impl From<ClusterSendError> for SendError {
    fn from(error: ClusterSendError) -> Self {
        match error {
            ClusterSendError::Encode(error) => Self::Encode(error),
            ClusterSendError::Backplane(error) => Self::Backplane(error),
        }
    }
}

impl<H: Hub> HubContext<H> {
    /// Selects clients to call (C#: `Clients`).
    pub fn clients(&self) -> Clients<H::Client> {
        Clients::new(Arc::clone(&self.shared), None, ClientResultRequester::Outside)
    }
}

impl<H> HubContext<H> {
    pub(crate) fn new(shared: Arc<HubShared>) -> Self {
        Self { shared, _hub: PhantomData }
    }

    /// Returns the groups of the hub (C#: `Groups`).
    pub fn groups(&self) -> Groups {
        Groups::new(Arc::clone(&self.shared))
    }

    /// Returns the number of connections of the hub on this server.
    pub fn connection_count(&self) -> usize {
        self.shared.registry.len()
    }

    /// Returns the number of distinct users that are connected to the hub on this server.
    /// Connections without a [user id](crate::Caller::user_id) are not counted.
    pub fn user_count(&self) -> usize {
        self.shared.registry.user_count()
    }

    /// Returns the connections of a user on this server, in no particular order. C# has no
    /// counterpart.
    pub fn user_connections(&self, user_id: impl AsRef<str>) -> Vec<ConnectionId> {
        self.shared.registry.ids_of(&Audience::User(user_id.as_ref().into()))
    }

    /// Asks all servers of the hub about their connections.
    pub fn cluster(&self) -> ClusterQueries {
        ClusterQueries::new(Arc::clone(&self.shared))
    }

    pub(crate) fn shared(&self) -> &Arc<HubShared> {
        &self.shared
    }
}

impl HubShared {
    pub(crate) async fn send<A: Arguments + ?Sized>(
        &self,
        audience: &Audience,
        method: &str,
        arguments: &A,
    ) -> Result<(), SendError> {
        let naming = *self.naming.get().ok_or(SendError::NotBuilt)?;
        if let Some(cluster) = self.cluster.get() {
            return Ok(cluster.send(audience, method, arguments).await?);
        }
        if let Audience::Groups(names) = audience
            && names.iter().any(|name| name.is_empty())
        {
            return Err(SendError::EmptyGroupName);
        }
        self.registry.send(audience, naming, method, arguments).await.map_err(SendError::Encode)
    }

    /// Removes a connection from its groups and from the registry.
    pub(crate) fn remove(&self, connection: &ConnectionHandle) {
        match self.cluster.get() {
            Some(cluster) => cluster.remove(connection),
            None => drop(self.registry.remove(connection)),
        }
    }

    pub(super) async fn join(&self, connection: &Arc<ConnectionHandle>, group: &str) -> Result<(), SendError> {
        match self.cluster.get() {
            Some(cluster) => cluster.join(connection, group).await.map_err(SendError::Backplane),
            None => {
                self.registry.join(connection, group);
                Ok(())
            }
        }
    }

    pub(super) fn leave(&self, connection: &ConnectionHandle, group: &str) {
        match self.cluster.get() {
            Some(cluster) => cluster.leave(connection, group),
            None => self.registry.leave(connection, group),
        }
    }

    /// Changes a group of a connection of another server, if there are other servers.
    async fn change_group(&self, connection: &str, group: &str, action: GroupAction) -> Result<(), SendError> {
        match self.cluster.get() {
            Some(cluster) => cluster.change_group(connection, group, action).await.map_err(SendError::Backplane),
            None => Ok(()),
        }
    }
}

/// Adds connections to groups, removes them, and lists members (C#: `IGroupManager`).
///
/// A group exists while it has members. Membership ends with the connection: a client that
/// reconnects gets a new connection, which has to join again.
///
/// The methods that list or count have no counterpart in C#. They return the connections and groups
/// of this server at the time of the call; other servers are not included.
///
/// ```
/// # use signalr::hub::SendError;
/// # use signalr::{ConnectionId, Hub, HubContext};
/// /// Moves a dashboard to another ward, so that it receives the messages of that ward only.
/// async fn move_to_ward<H: Hub>(hub: HubContext<H>, dashboard: ConnectionId, ward: &str) -> Result<(), SendError> {
///     for group in hub.groups().groups_of(dashboard) {
///         hub.groups().remove(dashboard, group).await?;
///     }
///     hub.groups().add(dashboard, ward).await
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Groups {
    shared: Arc<HubShared>,
}

impl Groups {
    pub(super) fn new(shared: Arc<HubShared>) -> Self {
        Self { shared }
    }

    /// Adds a connection to a group (C#: `AddToGroupAsync`). Does nothing if the connection has
    /// ended or is already a member.
    ///
    /// With a [backplane](crate::backplane), the connection may be one of another server, whose
    /// acknowledgement is waited for.
    ///
    /// # Errors
    ///
    /// Never fails on a single server. With a backplane, fails with [`SendError::Backplane`] if it
    /// is not connected, or if no server has acknowledged the change within 30 seconds, which is
    /// also what happens to the id of a connection that has ended.
    ///
    /// # Cancel safety
    ///
    /// The connection is added when the future is polled for the first time. With a backplane, a
    /// future that is dropped before it completes may have added it.
    pub async fn add(&self, connection_id: impl AsRef<str>, group: impl AsRef<str>) -> Result<(), SendError> {
        let (id, group) = (connection_id.as_ref(), group.as_ref());
        match self.find(id) {
            Some(connection) => self.shared.join(&connection, group).await,
            None => self.shared.change_group(id, group, GroupAction::Add).await,
        }
    }

    /// Removes a connection from a group (C#: `RemoveFromGroupAsync`). Does nothing if the
    /// connection is not a member.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    ///
    /// # Cancel safety
    ///
    /// The connection is removed when the future is polled for the first time. With a backplane, a
    /// future that is dropped before it completes may have removed it.
    pub async fn remove(&self, connection_id: impl AsRef<str>, group: impl AsRef<str>) -> Result<(), SendError> {
        let (id, group) = (connection_id.as_ref(), group.as_ref());
        match self.find(id) {
            Some(connection) => {
                self.shared.leave(&connection, group);
                Ok(())
            }
            None => self.shared.change_group(id, group, GroupAction::Remove).await,
        }
    }

    /// Returns the groups of a connection, in no particular order; an empty list if the connection
    /// has ended.
    pub fn groups_of(&self, connection_id: impl AsRef<str>) -> Vec<String> {
        let connection = self.find(connection_id.as_ref());
        connection.map(|connection| self.shared.registry.groups_of(&connection)).unwrap_or_default()
    }

    /// Returns the members of a group, in no particular order; an empty list if the group does not
    /// exist.
    pub fn members(&self, group: impl AsRef<str>) -> Vec<ConnectionId> {
        self.shared.registry.ids_of(&Audience::Group(group.as_ref().into()))
    }

    /// Returns whether a connection is a member of a group.
    pub fn is_member(&self, connection_id: impl AsRef<str>, group: impl AsRef<str>) -> bool {
        let connection = self.find(connection_id.as_ref());
        connection.is_some_and(|connection| self.shared.registry.is_member(&connection, group.as_ref()))
    }

    /// Returns the number of members of a group.
    pub fn member_count(&self, group: impl AsRef<str>) -> usize {
        self.shared.registry.member_count(group.as_ref())
    }

    /// Returns the number of groups.
    pub fn count(&self) -> usize {
        self.shared.registry.group_count()
    }

    fn find(&self, id: &str) -> Option<Arc<ConnectionHandle>> {
        self.shared.registry.get(&ConnectionId::parse(id)?)
    }
}

impl<H> Clone for HubContext<H> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl<H> fmt::Debug for HubContext<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubContext").field("connections", &self.connection_count()).finish_non_exhaustive()
    }
}
