//! Queries to all servers of this crate: their connections, and closing them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::channel::Channel;
use super::hub_cluster::HubCluster;
use super::payload::{ClusterQuery, ClusterQueryKind, ClusterReply, DisconnectAudience, PayloadError};
use crate::connection_info::ConnectionId;
use crate::pubsub::BackplaneError;
use crate::registry::{Audience, Disconnect, SortedSet};

/// Maximum number of replies to one query that are waited for.
const MAX_REPLIES: usize = 1000;

/// Replies of all servers together.
#[derive(Debug, Default)]
pub(crate) struct ClusterReplies {
    pub(crate) connections: Vec<ConnectionId>,
    pub(crate) count: u64,
    /// Number of servers that have replied in time.
    pub(crate) servers: usize,
}

impl HubCluster {
    /// Queries all servers, this one included, and waits until those that have received the query
    /// have replied, or until the deadline.
    pub(crate) async fn query(
        &self,
        kind: ClusterQueryKind<'_>,
        deadline: Instant,
    ) -> Result<ClusterReplies, BackplaneError> {
        self.start().await?;
        let mut request = self.answers.begin(MAX_REPLIES);
        let query = ClusterQuery { id: request.id, server: &self.server, kind };
        let receivers = self.backplane.publish(&self.name_of(Channel::Queries), query.encode().into()).await?;
        let expected = receivers.and_then(|count| usize::try_from(count).ok()).unwrap_or(MAX_REPLIES);
        let mut replies = ClusterReplies::default();
        while replies.servers < expected.min(MAX_REPLIES)
            && let Ok(Some(payload)) = timeout_at(deadline, request.received.recv()).await
        {
            match ClusterReply::parse(&payload) {
                Ok(ClusterReply::Connections(ids)) => {
                    replies.connections.extend(ids.iter().filter_map(|id| ConnectionId::parse(id)));
                }
                Ok(ClusterReply::Count(count)) => replies.count = replies.count.saturating_add(count),
                Err(_) => continue,
            }
            replies.servers += 1;
        }
        Ok(replies)
    }

    /// Closes the connections in an audience of all servers, and counts them.
    pub(crate) async fn disconnect(
        &self,
        audience: &Audience,
        disconnect: &Disconnect,
        deadline: Duration,
    ) -> Result<ClusterReplies, BackplaneError> {
        let deadline = Instant::now() + deadline;
        let mut all = ClusterReplies::default();
        for (audience, excluded) in disconnect_audiences(audience) {
            let kind = ClusterQueryKind::Disconnect {
                audience,
                excluded,
                reason: disconnect.reason.as_deref(),
                allow_reconnect: disconnect.allow_reconnect,
            };
            let replies = self.query(kind, deadline).await?;
            all.count = all.count.saturating_add(replies.count);
            all.servers = all.servers.max(replies.servers);
        }
        Ok(all)
    }

    /// Replies to a query of another server or of this one.
    pub(super) fn on_query(self: &Arc<Self>, payload: &Bytes) -> Result<(), PayloadError> {
        let ClusterQuery { id, server, kind } = match ClusterQuery::parse(payload) {
            // Of a later version.
            Err(PayloadError::Unknown { .. }) => return Ok(()),
            query => query?,
        };
        let ids = self.registry.ids_of(&audience(&kind));
        if let ClusterQueryKind::Disconnect { reason, allow_reconnect, .. } = &kind {
            let disconnect = Disconnect { reason: reason.map(Into::into), allow_reconnect: *allow_reconnect };
            self.registry.disconnect(&audience(&kind), disconnect);
        }
        let reply = match kind {
            ClusterQueryKind::UserConnections(_) | ClusterQueryKind::GroupMembers(_) => {
                ClusterReply::Connections(ids.iter().map(ConnectionId::as_str).collect())
            }
            _ => ClusterReply::Count(ids.len() as u64),
        };
        let reply = reply.encode(id);
        self.answer(self.name_of(Channel::Acks(server)), async { Some(reply) });
        Ok(())
    }
}

/// Returns the connections that a query is about.
fn audience(kind: &ClusterQueryKind<'_>) -> Audience {
    match kind {
        ClusterQueryKind::UserConnections(id) => Audience::User((*id).into()),
        ClusterQueryKind::GroupMembers(name) | ClusterQueryKind::GroupMemberCount(name) => {
            Audience::Group((*name).into())
        }
        ClusterQueryKind::ConnectionCount => Audience::All,
        ClusterQueryKind::Disconnect { audience, excluded, .. } => {
            let excluded: SortedSet<_> = excluded.iter().filter_map(|id| ConnectionId::parse(id)).collect();
            match audience {
                DisconnectAudience::All => Audience::AllExcept(excluded),
                DisconnectAudience::Connection(id) => {
                    ConnectionId::parse(id).map_or_else(|| Audience::Unknown((*id).into()), Audience::Connection)
                }
                DisconnectAudience::Group(name) => Audience::GroupExcept((*name).into(), excluded),
                DisconnectAudience::User(id) => Audience::User((*id).into()),
            }
        }
    }
}

/// Returns what to query for an audience, each with the ids of connections that stay open.
fn disconnect_audiences(audience: &Audience) -> Vec<(DisconnectAudience<'_>, Vec<&str>)> {
    fn texts(ids: &SortedSet<ConnectionId>) -> Vec<&str> {
        ids.iter().map(ConnectionId::as_str).collect()
    }
    match audience {
        Audience::All => vec![(DisconnectAudience::All, Vec::new())],
        Audience::AllExcept(excluded) => vec![(DisconnectAudience::All, texts(excluded))],
        Audience::Connection(id) => vec![(DisconnectAudience::Connection(id.as_str()), Vec::new())],
        Audience::Unknown(_) => Vec::new(),
        Audience::Connections(ids) => {
            ids.iter().map(|id| (DisconnectAudience::Connection(id.as_str()), Vec::new())).collect()
        }
        Audience::Group(name) => vec![(DisconnectAudience::Group(name), Vec::new())],
        Audience::GroupExcept(name, excluded) => vec![(DisconnectAudience::Group(name), texts(excluded))],
        Audience::Groups(names) => names.iter().map(|name| (DisconnectAudience::Group(name), Vec::new())).collect(),
        Audience::User(id) => vec![(DisconnectAudience::User(id), Vec::new())],
        Audience::Users(ids) => ids.iter().map(|id| (DisconnectAudience::User(id), Vec::new())).collect(),
    }
}
