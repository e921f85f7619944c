//! Sends to the clients of all servers.

use bytes::Bytes;
use futures_util::future::try_join_all;

use super::channel::Channel;
use super::hub_cluster::HubCluster;
use super::payload::Invocation;
use crate::connection_info::ConnectionId;
use crate::protocol::{Arguments, HubProtocol, HubProtocolKind, WriteError};
use crate::pubsub::BackplaneError;
use crate::registry::{Audience, SortedSet};

/// A message was not sent to the clients of all servers.
#[derive(Debug)]
pub(crate) enum ClusterSendError {
    /// An argument cannot be encoded.
    Encode(WriteError),
    /// The backplane did not take the message.
    Backplane(BackplaneError),
}

impl From<WriteError> for ClusterSendError {
    fn from(error: WriteError) -> Self {
        Self::Encode(error)
    }
}

impl From<BackplaneError> for ClusterSendError {
    fn from(error: BackplaneError) -> Self {
        Self::Backplane(error)
    }
}

impl HubCluster {
    /// Sends a non-blocking invocation to the connections in `audience` of all servers.
    ///
    /// A single connection of this server receives the message directly. All other messages are
    /// published, and arrive here as they arrive at other servers, so that the messages of a group
    /// have one order everywhere.
    pub(crate) async fn send<A: Arguments + ?Sized>(
        &self,
        audience: &Audience,
        target: &str,
        arguments: &A,
    ) -> Result<(), ClusterSendError> {
        let none = SortedSet::empty();
        let (channels, excluded) = match audience {
            Audience::Connection(id) if self.registry.get(id).is_some() => {
                return Ok(self.registry.send(audience, self.naming, target, arguments).await?);
            }
            Audience::Unknown(_) => return Ok(()),
            Audience::All => (vec![Channel::All], &none),
            Audience::AllExcept(excluded) => (vec![Channel::All], excluded),
            Audience::Connection(id) => (vec![Channel::Connection(id.as_str())], &none),
            Audience::Connections(ids) => (ids.iter().map(|id| Channel::Connection(id.as_str())).collect(), &none),
            Audience::Group(name) => (vec![Channel::Group(name)], &none),
            Audience::GroupExcept(name, excluded) => (vec![Channel::Group(name)], excluded),
            Audience::Groups(names) => (names.iter().map(|name| Channel::Group(name)).collect(), &none),
            Audience::User(id) => (vec![Channel::User(id)], &none),
            Audience::Users(ids) => (ids.iter().map(|id| Channel::User(id)).collect(), &none),
        };
        let payload = Bytes::from(self.encode(excluded, None, target, arguments)?);
        self.backplane.start();
        try_join_all(
            channels.into_iter().map(|channel| self.backplane.publish(&self.name_of(channel), payload.clone())),
        )
        .await?;
        Ok(())
    }

    /// Encodes an invocation for all hub protocols. `result` is the invocation id of a client
    /// result and the channel to return it on.
    pub(super) fn encode<A: Arguments + ?Sized>(
        &self,
        excluded: &SortedSet<ConnectionId>,
        result: Option<(&str, &str)>,
        target: &str,
        arguments: &A,
    ) -> Result<Vec<u8>, WriteError> {
        let mut messages = Vec::with_capacity(HubProtocolKind::ALL.len());
        for kind in HubProtocolKind::ALL {
            let mut message = Vec::new();
            let id = result.map(|(id, _)| id);
            HubProtocol::new(*kind, self.naming).write_invocation(&mut message, id, target, arguments)?;
            messages.push((kind.name(), message));
        }
        let invocation = Invocation {
            excluded: excluded.iter().map(ConnectionId::as_str).collect(),
            messages: messages.iter().map(|(name, message)| (*name, &**message)).collect(),
            result,
        };
        Ok(invocation.encode())
    }
}
