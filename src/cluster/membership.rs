//! Subscriptions that follow from the connections, users and groups of this server, and groups of
//! connections of other servers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio::time::timeout;

use super::channel::Channel;
use super::hub_cluster::{HubCluster, lock};
use super::payload::{GroupAction, GroupCommand};
use crate::pubsub::{BackplaneError, BackplaneFuture};
use crate::registry::ConnectionHandle;

/// Time within which the server of a connection has to acknowledge a change of its groups (`aspnet:
/// AckHandler.cs`).
const ACK_TIMEOUT: Duration = Duration::from_secs(30);

/// Time between two attempts to subscribe to the channels that failed.
const RESUBSCRIPTION_INTERVAL: Duration = Duration::from_secs(1);

impl HubCluster {
    /// Adds a connection, and completes when it receives the messages of all servers.
    ///
    /// # Errors
    ///
    /// Fails if the backplane is not connected, unless connections are accepted without it. The
    /// caller then removes the connection.
    pub(crate) async fn connect(self: &Arc<Self>, connection: &ConnectionHandle) -> Result<(), BackplaneError> {
        match self.start().await {
            Err(error) if !self.resubscription.is_enabled() => return Err(error),
            _ => {}
        }
        let channels =
            [Some(Channel::Connection(connection.id.as_str())), connection.user_id.as_deref().map(Channel::User)];
        let subscribed = {
            let _membership = lock(&self.membership);
            let names = channels.into_iter().flatten().map(|channel| self.name_of(channel));
            names.map(|name| (self.backplane.subscribe(&name), name)).collect::<Vec<_>>()
        };
        try_join_all(subscribed.into_iter().map(|(subscribed, name)| self.subscribed(name, subscribed))).await?;
        Ok(())
    }

    /// Removes a connection and the subscriptions that no other connection needs.
    pub(crate) fn remove(&self, connection: &ConnectionHandle) {
        let _membership = lock(&self.membership);
        let groups = self.registry.remove(connection);
        self.unsubscribe(Channel::Connection(connection.id.as_str()));
        if let Some(user) = &connection.user_id
            && !self.registry.has_user(user)
        {
            self.unsubscribe(Channel::User(user));
        }
        for group in groups.iter().filter(|group| self.registry.member_count(group) == 0) {
            self.unsubscribe(Channel::Group(group));
        }
    }

    /// Adds a connection of this server to a group, and completes when it receives the messages to
    /// the group from all servers.
    ///
    /// # Errors
    ///
    /// Fails if the backplane is not connected. The connection is then not a member.
    pub(crate) async fn join(
        self: &Arc<Self>,
        connection: &Arc<ConnectionHandle>,
        group: &str,
    ) -> Result<(), BackplaneError> {
        self.apply(connection, group, GroupAction::Add).await
    }

    /// Removes a connection of this server from a group.
    pub(crate) fn leave(&self, connection: &ConnectionHandle, group: &str) {
        let _membership = lock(&self.membership);
        self.registry.leave(connection, group);
        if self.registry.member_count(group) == 0 {
            self.unsubscribe(Channel::Group(group));
        }
    }

    /// Lets the server of a connection add it to a group or remove it, and completes when that has
    /// happened.
    ///
    /// # Errors
    ///
    /// Fails if the backplane is not connected, or with [`BackplaneError::Unacknowledged`] if no
    /// server has acknowledged the change within 30 seconds.
    pub(crate) async fn change_group(
        &self,
        connection: &str,
        group: &str,
        action: GroupAction,
    ) -> Result<(), BackplaneError> {
        self.start().await?;
        let mut request = self.answers.begin(1);
        let command = GroupCommand { id: request.id, server: &self.server, action, group, connection };
        let payload = Bytes::from(command.encode());
        self.backplane.publish(&self.name_of(Channel::GroupCommands), payload).await?;
        match timeout(ACK_TIMEOUT, request.received.recv()).await {
            Ok(Some(_)) => Ok(()),
            _ => Err(BackplaneError::Unacknowledged),
        }
    }

    /// Changes the group of a connection of this server at once. The future completes when the
    /// group is subscribed.
    pub(super) fn apply(
        self: &Arc<Self>,
        connection: &Arc<ConnectionHandle>,
        group: &str,
        action: GroupAction,
    ) -> impl Future<Output = Result<(), BackplaneError>> + Send + use<> {
        let (is_new, subscribed) = match action {
            GroupAction::Add => self.begin_join(connection, group),
            GroupAction::Remove => {
                self.leave(connection, group);
                (false, None)
            }
        };
        let (cluster, connection, group) = (Arc::clone(self), Arc::clone(connection), group.to_owned());
        async move {
            let Some(subscribed) = subscribed else { return Ok(()) };
            let joined = cluster.subscribed(cluster.name_of(Channel::Group(&group)), subscribed).await;
            if joined.is_err() && is_new {
                cluster.leave(&connection, &group);
            }
            joined
        }
    }

    /// Returns whether the connection was no member before, and the pending subscription; `None`
    /// if the connection has ended.
    fn begin_join(&self, connection: &Arc<ConnectionHandle>, group: &str) -> (bool, Option<BackplaneFuture<()>>) {
        let _membership = lock(&self.membership);
        let is_new = self.registry.join(connection, group);
        let is_member = is_new || self.registry.is_member(connection, group);
        (is_new, is_member.then(|| self.backplane.subscribe(&self.name_of(Channel::Group(group)))))
    }

    async fn subscribed(
        self: &Arc<Self>,
        channel: String,
        subscribed: BackplaneFuture<()>,
    ) -> Result<(), BackplaneError> {
        let result = subscribed.await;
        if result.is_err() && self.resubscription.is_enabled() {
            if self.resubscription.add(channel) {
                self.tasks.spawn(resubscribe(Arc::clone(self)));
            }
            return Ok(());
        }
        result
    }

    fn unsubscribe(&self, channel: Channel<'_>) {
        let name = self.name_of(channel);
        self.resubscription.remove(&name);
        self.backplane.unsubscribe(&name);
    }
}

/// Repeats failed subscriptions until all have succeeded or are not needed any more.
async fn resubscribe(cluster: Arc<HubCluster>) {
    while let Some(channels) = cluster.resubscription.channels() {
        tokio::time::sleep(RESUBSCRIPTION_INTERVAL).await;
        if cluster.start().await.is_err() {
            continue;
        }
        let subscribed = channels.into_iter().map(|channel| {
            let _membership = lock(&cluster.membership);
            let subscribed = cluster.is_needed(&channel).then(|| cluster.backplane.subscribe(&channel));
            let cluster = &cluster;
            async move {
                let failed = match subscribed {
                    Some(subscribed) => subscribed.await.is_err(),
                    None => false,
                };
                if !failed {
                    cluster.resubscription.remove(&channel);
                }
            }
        });
        futures_util::future::join_all(subscribed).await;
    }
}

impl HubCluster {
    /// Whether this server has a connection that receives the messages of a channel.
    fn is_needed(&self, channel: &str) -> bool {
        match Channel::parse(channel, &self.hub) {
            Some(Channel::Connection(id)) => self.connection(id).is_some(),
            Some(Channel::User(id)) => self.registry.has_user(id),
            Some(Channel::Group(name)) => self.registry.member_count(name) > 0,
            _ => true,
        }
    }
}
