//! Lists, counts and disconnects of all servers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::context::{HubShared, SendError};
use super::proxy::Proxy;
use crate::cluster::{ClusterQueryKind, ClusterReplies};
use crate::connection_info::ConnectionId;
use crate::registry::{Audience, Disconnect};

/// Time for which answers of other servers are waited for.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(1);

/// Asks all servers of a hub that this crate runs, over the [backplane](crate::backplane). C# has no
/// counterpart, and ASP.NET Core's servers do not answer.
///
/// Without a backplane, the answers are those of this server. The methods of
/// [`HubContext`](crate::HubContext) and [`Groups`](crate::Groups) with similar names answer for
/// this server, at once.
///
/// ```
/// # use signalr::hub::SendError;
/// # use signalr::{Hub, HubContext};
/// # async fn sign_in<H: Hub>(hub: HubContext<H>) -> Result<(), SendError> {
/// let devices = hub.cluster().user_connections("ada").await?;
/// println!("{} devices, of {} servers that answered", devices.value.len(), devices.servers);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ClusterQueries {
    shared: Arc<HubShared>,
    deadline: Duration,
}

/// Answers of several servers together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterAnswer<T> {
    /// Answers of all servers together.
    pub value: T,
    /// Number of servers that answered in time, this one included. A server that did not answer is
    /// overloaded, has just ended, or cannot reach the backplane.
    pub servers: usize,
}

impl ClusterQueries {
    pub(super) fn new(shared: Arc<HubShared>) -> Self {
        Self { shared, deadline: DEFAULT_DEADLINE }
    }

    /// Sets the time for which answers are waited for. Default: 1 second. The wait ends earlier once
    /// all servers have answered, if the backplane says how many there are, as Redis does.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Returns the connections of a user, in no particular order.
    ///
    /// # Errors
    ///
    /// Fails with [`SendError::Backplane`] if the backplane is not connected.
    pub async fn user_connections(
        &self,
        user_id: impl AsRef<str>,
    ) -> Result<ClusterAnswer<Vec<ConnectionId>>, SendError> {
        let id = user_id.as_ref();
        self.connections_of(ClusterQueryKind::UserConnections(id), &Audience::User(id.into())).await
    }

    /// Returns the members of a group, in no particular order.
    ///
    /// # Errors
    ///
    /// Fails with [`SendError::Backplane`] if the backplane is not connected.
    pub async fn members(&self, group: impl AsRef<str>) -> Result<ClusterAnswer<Vec<ConnectionId>>, SendError> {
        let name = group.as_ref();
        self.connections_of(ClusterQueryKind::GroupMembers(name), &Audience::Group(name.into())).await
    }

    /// Returns the number of members of a group.
    ///
    /// # Errors
    ///
    /// Fails with [`SendError::Backplane`] if the backplane is not connected.
    pub async fn member_count(&self, group: impl AsRef<str>) -> Result<ClusterAnswer<usize>, SendError> {
        let name = group.as_ref();
        self.count(ClusterQueryKind::GroupMemberCount(name), &Audience::Group(name.into())).await
    }

    /// Returns the number of connections of the hub.
    ///
    /// # Errors
    ///
    /// Fails with [`SendError::Backplane`] if the backplane is not connected.
    pub async fn connection_count(&self) -> Result<ClusterAnswer<usize>, SendError> {
        self.count(ClusterQueryKind::ConnectionCount, &Audience::All).await
    }

    async fn connections_of(
        &self,
        kind: ClusterQueryKind<'_>,
        local: &Audience,
    ) -> Result<ClusterAnswer<Vec<ConnectionId>>, SendError> {
        Ok(match self.query(kind).await? {
            Some(ClusterReplies { connections, servers, .. }) => ClusterAnswer { value: connections, servers },
            None => ClusterAnswer { value: self.shared.registry.ids_of(local), servers: 1 },
        })
    }

    async fn count(&self, kind: ClusterQueryKind<'_>, local: &Audience) -> Result<ClusterAnswer<usize>, SendError> {
        Ok(match self.query(kind).await? {
            Some(replies) => counted(&replies),
            None => ClusterAnswer { value: self.shared.registry.ids_of(local).len(), servers: 1 },
        })
    }

    /// Returns `None` without a backplane.
    async fn query(&self, kind: ClusterQueryKind<'_>) -> Result<Option<ClusterReplies>, SendError> {
        match self.shared.cluster.get() {
            Some(cluster) => {
                cluster.query(kind, Instant::now() + self.deadline).await.map(Some).map_err(SendError::Backplane)
            }
            None => Ok(None),
        }
    }
}

impl<T> Proxy<T> {
    /// Closes the selected connections of all servers that this crate runs, and returns how many
    /// there were. Waits 1 second at most for the answers. Otherwise as
    /// [`disconnect`](Self::disconnect), which closes those of this server.
    ///
    /// # Errors
    ///
    /// Fails with [`SendError::Backplane`] if the backplane is not connected.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, the connections may have been closed.
    pub async fn disconnect_in_cluster(&self, disconnect: Disconnect) -> Result<ClusterAnswer<usize>, SendError> {
        let (shared, audience) = self.selected();
        match shared.cluster.get() {
            Some(cluster) => {
                let replies = cluster.disconnect(audience, &disconnect, DEFAULT_DEADLINE).await;
                Ok(counted(&replies.map_err(SendError::Backplane)?))
            }
            None => {
                let value = shared.registry.ids_of(audience).len();
                shared.registry.disconnect(audience, disconnect);
                Ok(ClusterAnswer { value, servers: 1 })
            }
        }
    }
}

fn counted(replies: &ClusterReplies) -> ClusterAnswer<usize> {
    ClusterAnswer { value: usize::try_from(replies.count).unwrap_or(usize::MAX), servers: replies.servers }
}

impl fmt::Debug for ClusterQueries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterQueries").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
