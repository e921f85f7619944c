//! A hub seen from outside its methods.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use super::Hub;
use super::client_results::ClientResultRequester;
use super::clients::Clients;
use crate::connection_info::ConnectionId;
use crate::protocol::{Arguments, Naming, WriteError};
use crate::registry::{Audience, ConnectionHandle, Registry};

/// Sends to a hub's clients from anywhere (C#: `IHubContext<THub>`).
///
/// A cheap clone, from [`SignalR::context`](crate::SignalR::context) or, before there is one, from
/// [`Builder::context`](crate::hosting::Builder::context). There is one for a hub *type*, wherever it is mapped.
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

/// What all values of one hub type have in common.
#[derive(Debug, Default)]
pub(crate) struct HubShared {
    pub(crate) registry: Registry,
    /// Known once the server is built.
    pub(crate) naming: OnceLock<Naming>,
}

/// A message could not be sent to anybody.
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
    /// An argument has no form on the wire.
    #[error("the arguments cannot be encoded")]
    Encode(#[source] WriteError),
    /// One of several groups has no name, as in ASP.NET; a single group may be called so.
    #[error("Cannot send to an empty group name.")]
    EmptyGroupName,
    /// The server is not built yet, so nobody can be connected to it.
    #[error("sent before the server was built")]
    NotBuilt,
}

impl<H: Hub> HubContext<H> {
    /// Selects who gets a message.
    pub fn clients(&self) -> Clients<H::Client> {
        Clients::new(Arc::clone(&self.shared), None, ClientResultRequester::Outside)
    }
}

impl<H> HubContext<H> {
    pub(crate) fn new(shared: Arc<HubShared>) -> Self {
        Self { shared, _hub: PhantomData }
    }

    /// Who is in which group, and who is to be.
    pub fn groups(&self) -> Groups {
        Groups { shared: Arc::clone(&self.shared) }
    }

    /// How many connections the hub has on this server.
    pub fn connection_count(&self) -> usize {
        self.shared.registry.len()
    }

    /// How many users are connected to the hub on this server, each counted once. Who has no
    /// [user id](crate::Caller::user_id) is not among them.
    pub fn user_count(&self) -> usize {
        self.shared.registry.user_count()
    }

    /// The connections of a user on this server, in no order; none if the user is not there. C# has no such question.
    pub fn user_connections(&self, user_id: impl AsRef<str>) -> Vec<ConnectionId> {
        self.shared.registry.ids_of(&Audience::User(user_id.as_ref().into()))
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
        if let Audience::Groups(names) = audience
            && names.iter().any(|name| name.is_empty())
        {
            return Err(SendError::EmptyGroupName);
        }
        let naming = *self.naming.get().ok_or(SendError::NotBuilt)?;
        self.registry.send(audience, naming, method, arguments).await.map_err(SendError::Encode)
    }
}

/// Puts connections into groups and takes them out (C#: `IGroupManager`), and tells who is in which.
///
/// A group is there as long as somebody is in it. Membership ends with the connection; a client that reconnects has a new
/// one and joins again.
///
/// C# has no questions to ask. Here they are answered at once, for the connections and groups that this server has at that
/// moment; other servers are not asked.
///
/// ```
/// # use signalr::hub::SendError;
/// # use signalr::{ConnectionId, Hub, HubContext};
/// /// Moves a dashboard to another ward, which is the only one that it hears of then.
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
    /// Adds a connection to a group. Nothing happens if it is gone or in it already.
    ///
    /// # Errors
    ///
    /// None on a single server.
    ///
    /// # Cancel safety
    ///
    /// Either it was added or not.
    pub async fn add(&self, connection_id: impl AsRef<str>, group: impl AsRef<str>) -> Result<(), SendError> {
        if let Some(connection) = self.find(connection_id.as_ref()) {
            self.shared.registry.join(&connection, group.as_ref());
        }
        Ok(())
    }

    /// Takes a connection out of a group. Nothing happens if it is not in it.
    ///
    /// # Errors
    ///
    /// None on a single server.
    ///
    /// # Cancel safety
    ///
    /// Either it was removed or not.
    pub async fn remove(&self, connection_id: impl AsRef<str>, group: impl AsRef<str>) -> Result<(), SendError> {
        if let Some(connection) = self.find(connection_id.as_ref()) {
            self.shared.registry.leave(&connection, group.as_ref());
        }
        Ok(())
    }

    /// The groups that a connection is in, in no order; none if it is gone.
    pub fn groups_of(&self, connection_id: impl AsRef<str>) -> Vec<String> {
        let connection = self.find(connection_id.as_ref());
        connection.map(|connection| self.shared.registry.groups_of(&connection)).unwrap_or_default()
    }

    /// The connections in a group, in no order; none if there is no such group.
    pub fn members(&self, group: impl AsRef<str>) -> Vec<ConnectionId> {
        self.shared.registry.ids_of(&Audience::Group(group.as_ref().into()))
    }

    /// Whether a connection is in a group.
    pub fn is_member(&self, connection_id: impl AsRef<str>, group: impl AsRef<str>) -> bool {
        let connection = self.find(connection_id.as_ref());
        connection.is_some_and(|connection| self.shared.registry.is_member(&connection, group.as_ref()))
    }

    /// How many connections are in a group.
    pub fn member_count(&self, group: impl AsRef<str>) -> usize {
        self.shared.registry.member_count(group.as_ref())
    }

    /// How many groups there are.
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
