//! Selection of clients.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::client_results::ClientResultRequester;
use super::context::HubShared;
use super::proxy::{HubClient, Many, Proxy, Single};
use crate::connection_info::ConnectionId;
use crate::registry::{Audience, SortedSet};

/// Selects the connections that receive a message (C#: `IHubClients<T>`) or are
/// [disconnected](Proxy::disconnect).
///
/// Connection ids, user ids and group names are case-sensitive. A message to an unknown id or an
/// empty group is dropped without an error.
///
/// ```
/// # use signalr::{Caller, Hub, HubResult};
/// # async fn rings<H: Hub>(caller: Caller<H>) -> HubResult {
/// let clients = caller.clients();
/// clients.group("ward:7").send("Rings", ("bed 3",)).await?;
/// clients.users(["dr-1", "dr-2"]).send("Called", ()).await?;
/// # Ok(())
/// # }
/// ```
pub struct Clients<C> {
    shared: Arc<HubShared>,
    /// The caller; `None` outside of a call.
    caller: Option<ConnectionId>,
    requester: ClientResultRequester,
    _client: PhantomData<fn() -> C>,
}

impl<C: HubClient> Clients<C> {
    pub(super) fn new(shared: Arc<HubShared>, caller: Option<ConnectionId>, requester: ClientResultRequester) -> Self {
        Self { shared, caller, requester, _client: PhantomData }
    }

    /// All connections of the hub (C#: `Clients.All`).
    pub fn all(&self) -> C::Proxy<Many> {
        self.many(Audience::All)
    }

    /// All connections except these; unknown ids are ignored (C#: `Clients.AllExcept`).
    pub fn all_except(&self, ids: impl IntoIterator<Item = impl AsRef<str>>) -> C::Proxy<Many> {
        self.many(Audience::AllExcept(parse_ids(ids)))
    }

    /// One connection (C#: `Clients.Client`).
    pub fn client(&self, id: impl AsRef<str>) -> C::Proxy<Single> {
        self.single(ConnectionId::parse(id.as_ref()).ok_or_else(|| id.as_ref().into()))
    }

    /// Several connections; an id that is listed twice counts once (C#: `Clients.Clients`).
    pub fn clients(&self, ids: impl IntoIterator<Item = impl AsRef<str>>) -> C::Proxy<Many> {
        self.many(Audience::Connections(parse_ids(ids)))
    }

    /// All members of a group (C#: `Clients.Group`).
    pub fn group(&self, name: impl AsRef<str>) -> C::Proxy<Many> {
        self.many(Audience::Group(name.as_ref().into()))
    }

    /// All members of a group except these connections (C#: `Clients.GroupExcept`).
    pub fn group_except(
        &self,
        name: impl AsRef<str>,
        ids: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> C::Proxy<Many> {
        self.many(Audience::GroupExcept(name.as_ref().into(), parse_ids(ids)))
    }

    /// All members of several groups (C#: `Clients.Groups`). As in ASP.NET Core, a member of two of
    /// these groups receives the message twice, and an empty name makes [`send`](Proxy::send) fail
    /// with [`SendError::EmptyGroupName`](crate::hub::SendError::EmptyGroupName).
    pub fn groups(&self, names: impl IntoIterator<Item = impl AsRef<str>>) -> C::Proxy<Many> {
        self.many(Audience::Groups(names.into_iter().map(|name| name.as_ref().into()).collect()))
    }

    /// All connections of a user (C#: `Clients.User`).
    pub fn user(&self, id: impl AsRef<str>) -> C::Proxy<Many> {
        self.many(Audience::User(id.as_ref().into()))
    }

    /// All connections of several users; an id that is listed twice counts once (C#:
    /// `Clients.Users`).
    pub fn users(&self, ids: impl IntoIterator<Item = impl AsRef<str>>) -> C::Proxy<Many> {
        self.many(Audience::Users(ids.into_iter().map(|id| id.as_ref().into()).collect()))
    }

    /// All connections except the caller; outside of a call, all connections.
    pub(super) fn others(&self) -> C::Proxy<Many> {
        self.many(Audience::AllExcept(self.caller.into_iter().collect()))
    }

    pub(super) fn others_in_group(&self, name: &str) -> C::Proxy<Many> {
        self.many(Audience::GroupExcept(name.into(), self.caller.into_iter().collect()))
    }

    /// `Err` holds a text that is not the id of any connection.
    pub(super) fn single(&self, id: Result<ConnectionId, Box<str>>) -> C::Proxy<Single> {
        let audience = id.map_or_else(Audience::Unknown, Audience::Connection);
        Proxy::new(Arc::clone(&self.shared), audience, self.requester.clone()).into()
    }

    fn many(&self, audience: Audience) -> C::Proxy<Many> {
        Proxy::new(Arc::clone(&self.shared), audience, ClientResultRequester::Outside).into()
    }
}

/// Drops texts that are not connection ids.
fn parse_ids(ids: impl IntoIterator<Item = impl AsRef<str>>) -> SortedSet<ConnectionId> {
    ids.into_iter().filter_map(|id| ConnectionId::parse(id.as_ref())).collect()
}

impl<C> fmt::Debug for Clients<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("caller", &self.caller).finish_non_exhaustive()
    }
}
