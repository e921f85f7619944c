//! Selection of clients.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::client_results::ClientResultRequester;
use super::context::HubShared;
use super::proxy::{HubClient, Many, Proxy, Single};
use crate::connection_info::ConnectionId;
use crate::registry::{Audience, SortedSet};

/// Selects clients, to [call](Proxy::send) or to [disconnect](Proxy::disconnect) them (C#:
/// `IHubClients<T>`).
///
/// Connection ids, user ids and names of groups are compared with case. An unknown id or name selects no
/// connection.
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
    /// Calling connection; `None` outside of a call.
    caller: Option<ConnectionId>,
    requester: ClientResultRequester,
    _client: PhantomData<fn() -> C>,
}

impl<C: HubClient> Clients<C> {
    pub(super) fn new(shared: Arc<HubShared>, caller: Option<ConnectionId>, requester: ClientResultRequester) -> Self {
        Self { shared, caller, requester, _client: PhantomData }
    }

    /// All connections of the hub.
    pub fn all(&self) -> C::Proxy<Many> {
        self.many(Audience::All)
    }

    /// All connections except these; unknown ids are ignored.
    pub fn all_except(&self, ids: impl IntoIterator<Item = impl AsRef<str>>) -> C::Proxy<Many> {
        self.many(Audience::AllExcept(connections(ids)))
    }

    /// One connection.
    pub fn client(&self, id: impl AsRef<str>) -> C::Proxy<Single> {
        self.single(ConnectionId::parse(id.as_ref()).ok_or_else(|| id.as_ref().into()))
    }

    /// These connections, each once.
    pub fn clients(&self, ids: impl IntoIterator<Item = impl AsRef<str>>) -> C::Proxy<Many> {
        self.many(Audience::Connections(connections(ids)))
    }

    /// Members of a group.
    pub fn group(&self, name: impl AsRef<str>) -> C::Proxy<Many> {
        self.many(Audience::Group(name.as_ref().into()))
    }

    /// Members of a group except these connections.
    pub fn group_except(
        &self,
        name: impl AsRef<str>,
        ids: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> C::Proxy<Many> {
        self.many(Audience::GroupExcept(name.as_ref().into(), connections(ids)))
    }

    /// Members of several groups. A member of two of them receives the message twice, and an empty name
    /// fails the send, as in ASP.NET Core.
    pub fn groups(&self, names: impl IntoIterator<Item = impl AsRef<str>>) -> C::Proxy<Many> {
        self.many(Audience::Groups(names.into_iter().map(|name| name.as_ref().into()).collect()))
    }

    /// All connections of a user.
    pub fn user(&self, id: impl AsRef<str>) -> C::Proxy<Many> {
        self.many(Audience::User(id.as_ref().into()))
    }

    /// All connections of several users, each once.
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

    /// `Err`: a malformed id.
    pub(super) fn single(&self, id: Result<ConnectionId, Box<str>>) -> C::Proxy<Single> {
        let audience = id.map_or_else(Audience::Unknown, Audience::Connection);
        Proxy::new(Arc::clone(&self.shared), audience, self.requester.clone()).into()
    }

    fn many(&self, audience: Audience) -> C::Proxy<Many> {
        Proxy::new(Arc::clone(&self.shared), audience, ClientResultRequester::Outside).into()
    }
}

/// Malformed ids are skipped.
fn connections(ids: impl IntoIterator<Item = impl AsRef<str>>) -> SortedSet<ConnectionId> {
    ids.into_iter().filter_map(|id| ConnectionId::parse(id.as_ref())).collect()
}

impl<C> fmt::Debug for Clients<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("caller", &self.caller).finish_non_exhaustive()
    }
}
