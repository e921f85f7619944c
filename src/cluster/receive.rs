//! Payloads of the channels of a hub, from all servers and from this one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::backlog::{Admission, Delivery, StalledDelivery};
use super::channel::Channel;
use super::hub_cluster::HubCluster;
use super::payload::{Ack, GroupCommand, Invocation, PayloadError};
use crate::connection_info::ConnectionId;
use crate::outbound::EncodedMessage;
use crate::protocol::HubProtocolKind;
use crate::pubsub::{Backplane, BackplaneReceiver};
use crate::quoted::Quoted;
use crate::registry::{Audience, ConnectionHandle, EncodedMessages, SortedSet, Undelivered};

/// Maximum number of requests of other servers that are being answered. More are not answered, so
/// that they fail after the time limit of the server that sent them.
const MAX_REQUESTS: usize = 10_000;

/// Passes the payloads of a backplane to the hubs that its channels belong to.
pub(crate) fn attach<'a>(backplane: &dyn Backplane, hubs: impl IntoIterator<Item = &'a Arc<HubCluster>>) {
    // Weak, since the hubs own the backplane.
    let hubs: HashMap<Box<str>, Weak<HubCluster>> =
        hubs.into_iter().map(|cluster| (cluster.hub.clone(), Arc::downgrade(cluster))).collect();
    backplane.attach(BackplaneReceiver::new(move |channel, payload| {
        let hub = channel.split_once(':').and_then(|(hub, _)| hubs.get(hub));
        if let Some(cluster) = hub.and_then(Weak::upgrade) {
            cluster.receive(channel, &payload);
        }
    }));
}

impl HubCluster {
    /// Receives a payload of a channel of the hub. Never waits.
    fn receive(self: &Arc<Self>, channel: &str, payload: &Bytes) {
        let received = match Channel::parse(channel, &self.hub) {
            Some(parsed) => self.receive_from(parsed, channel, payload),
            None => Ok(()),
        };
        if let Err(error) = received {
            tracing::warn!(target: "signalr::backplane", channel = %Quoted(channel), %error, "received payload is invalid");
        }
    }

    fn receive_from(self: &Arc<Self>, channel: Channel<'_>, name: &str, payload: &Bytes) -> Result<(), PayloadError> {
        match channel {
            Channel::All | Channel::Connection(_) | Channel::Group(_) | Channel::User(_) => {
                let invocation = Invocation::parse(payload)?;
                if let (Channel::Connection(id), Some((invocation_id, reply_to))) = (channel, invocation.result) {
                    self.expect_result(id, invocation_id, reply_to, &invocation);
                }
                let delivery = Delivery {
                    audience: audience(channel, &invocation),
                    messages: encoded_messages(&invocation),
                    size: payload.len(),
                };
                self.deliver(name, delivery);
            }
            Channel::GroupCommands => self.on_group_command(&GroupCommand::parse(payload)?),
            Channel::Acks(_) => self.answers.answer(Ack::parse(payload)?.id, payload.clone()),
            Channel::Results(_) => self.on_result(payload)?,
            Channel::Queries => self.on_query(payload)?,
        }
        Ok(())
    }

    /// Returns the connection with this id, if it is one of this server.
    pub(super) fn connection(&self, id: &str) -> Option<Arc<ConnectionHandle>> {
        self.registry.get(&ConnectionId::parse(id)?)
    }

    fn deliver(self: &Arc<Self>, channel: &str, delivery: Delivery) {
        let delivery = match self.backlog.admit(channel, delivery) {
            Admission::Deliver(delivery) => delivery,
            Admission::Kept => return,
            Admission::Full => {
                tracing::warn!(target: "signalr::backplane", hub = &*self.hub, channel = %Quoted(channel), "received messages dropped: clients do not read fast enough");
                return;
            }
        };
        if let Some(stalled) = self.queue(channel, delivery)
            && self.backlog.stall(stalled)
        {
            self.tasks.spawn(deliver_stalled(Arc::clone(self)));
        }
    }

    /// Queues a message for its receivers. Returns what is left to do if queues are full.
    fn queue(&self, channel: &str, delivery: Delivery) -> Option<StalledDelivery> {
        let Delivery { audience, messages, .. } = delivery;
        let Undelivered { full, unencoded } = self.registry.deliver(&audience, &messages);
        for connection in unencoded {
            // As in ASP.NET Core, where the write fails and aborts the connection.
            tracing::error!(target: "signalr::backplane", connection = %connection.id, protocol = connection.protocol.kind().name(), "connection aborted: a message from another server lacks its hub protocol");
            connection.abort();
        }
        (!full.is_empty()).then(|| StalledDelivery { channel: channel.into(), messages, connections: full })
    }

    /// Changes a group of a connection of this server, and acknowledges that. Servers without the
    /// connection do not answer.
    fn on_group_command(self: &Arc<Self>, command: &GroupCommand<'_>) {
        let Some(connection) = self.connection(command.connection) else { return };
        // Applied at once, so that changes of one server keep their order.
        let applied = self.apply(&connection, command.group, command.action);
        let (ack, channel) = (Ack { id: command.id }.encode(), self.name_of(Channel::Acks(command.server)));
        self.answer(channel, async { applied.await.is_ok().then_some(ack) });
    }

    /// Publishes the payload that `answer` returns, in a separate task.
    pub(super) fn answer(
        self: &Arc<Self>,
        channel: String,
        answer: impl Future<Output = Option<Vec<u8>>> + Send + 'static,
    ) {
        let Some(counted) = RequestGuard::new(self) else {
            tracing::warn!(target: "signalr::backplane", hub = &*self.hub, "request of another server dropped: too many requests");
            return;
        };
        self.tasks.spawn(async move {
            let cluster = &counted.0;
            if let Some(payload) = answer.await
                && let Err(error) = cluster.backplane.publish(&channel, payload.into()).await
            {
                tracing::debug!(target: "signalr::backplane", %error, "answer to another server failed");
            }
        });
    }
}

/// Counts a request of another server until it is answered.
struct RequestGuard(Arc<HubCluster>);

impl RequestGuard {
    fn new(cluster: &Arc<HubCluster>) -> Option<Self> {
        let count: &AtomicUsize = &cluster.requests;
        count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < MAX_REQUESTS).then_some(count + 1))
            .ok()?;
        Some(Self(Arc::clone(cluster)))
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Waits for slow clients, at most `transport_send_timeout` for each message, and delivers what
/// waits behind them, until no channel waits.
async fn deliver_stalled(cluster: Arc<HubCluster>) {
    let mut pushes = FuturesUnordered::new();
    while let Some(new) = cluster.backlog.take_new(pushes.is_empty()) {
        new.into_iter().for_each(|stalled| pushes.push(push(stalled)));
        tokio::select! {
            Some(channel) = pushes.next() => {
                while let Some(delivery) = cluster.backlog.next(&channel) {
                    if let Some(stalled) = cluster.queue(&channel, delivery) {
                        pushes.push(push(stalled));
                        break;
                    }
                    tokio::task::consume_budget().await;
                }
            }
            () = cluster.backlog.stalled.notified() => {}
        }
    }
}

async fn push(stalled: StalledDelivery) -> Box<str> {
    let StalledDelivery { channel, messages, connections } = stalled;
    messages.push_to(&connections).await;
    channel
}

fn audience(channel: Channel<'_>, invocation: &Invocation<'_>) -> Audience {
    let excluded: SortedSet<_> = invocation.excluded.iter().filter_map(|id| ConnectionId::parse(id)).collect();
    match channel {
        Channel::Connection(id) => {
            ConnectionId::parse(id).map_or_else(|| Audience::Unknown(id.into()), Audience::Connection)
        }
        Channel::Group(name) => Audience::GroupExcept(name.into(), excluded),
        // ASP.NET Core ignores the excluded ids of messages to users, too.
        Channel::User(id) => Audience::User(id.into()),
        _ => Audience::AllExcept(excluded),
    }
}

/// Frames the message of each hub protocol once for all its receivers.
fn encoded_messages(invocation: &Invocation<'_>) -> EncodedMessages {
    let mut messages = EncodedMessages::default();
    for kind in HubProtocolKind::ALL {
        if let Some(message) = invocation.message(kind.name()) {
            let encoded = EncodedMessage::encode(kind.is_binary(), |buffer| buffer.extend_from_slice(message));
            messages.insert(*kind, encoded);
        }
    }
    messages
}
