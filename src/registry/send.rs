//! Broadcasts: encoded once for each hub protocol, shared by all outbound queues.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::audience::Audience;
use super::handle::ConnectionHandle;
use super::hub_registry::{Registry, protocol_index};
use crate::outbound::EncodedMessage;
use crate::protocol::{Arguments, HubProtocol, HubProtocolKind, Naming, WriteError};

/// A hub message, encoded for some of the hub protocols.
#[derive(Debug, Default)]
pub(crate) struct EncodedMessages([Option<EncodedMessage>; HubProtocolKind::ALL.len()]);

/// Connections that a message could not be queued for at once.
#[derive(Default)]
pub(crate) struct Undelivered {
    /// Their queues are full.
    pub(crate) full: Vec<Arc<ConnectionHandle>>,
    /// The message is not encoded for their hub protocols.
    pub(crate) unencoded: Vec<Arc<ConnectionHandle>>,
}

impl EncodedMessages {
    pub(crate) fn get(&self, kind: HubProtocolKind) -> Option<&EncodedMessage> {
        self.0[protocol_index(kind)].as_ref()
    }

    pub(crate) fn insert(&mut self, kind: HubProtocolKind, message: EncodedMessage) {
        self.0[protocol_index(kind)] = Some(message);
    }

    /// Waits until the message is in the queues of all `connections`, or they have ended.
    pub(crate) async fn push_to(&self, connections: &[Arc<ConnectionHandle>]) {
        let encoded = |connection: &Arc<ConnectionHandle>| {
            self.get(connection.protocol.kind()).map(|message| (connection.outbound.clone(), message))
        };
        let mut pushes: FuturesUnordered<_> = connections
            .iter()
            .filter_map(encoded)
            .map(async |(outbound, message)| outbound.push(message).await)
            .collect();
        while pushes.next().await.is_some() {}
    }
}

impl Registry {
    /// Sends a non-blocking invocation to all connections in `audience`.
    ///
    /// Completes when the message is in the queue of every receiver, or the receiver has ended.
    /// Receivers with capacity are served at once, then all others are waited for together. If the
    /// arguments cannot be encoded for one hub protocol, connections with the other one still
    /// receive the message.
    pub(crate) async fn send<A: Arguments + ?Sized>(
        &self,
        audience: &Audience,
        naming: Naming,
        target: &str,
        arguments: &A,
    ) -> Result<(), WriteError> {
        let mut messages = EncodedMessages::default();
        let mut errors: [Option<WriteError>; HubProtocolKind::ALL.len()] = Default::default();
        let mut encode = |messages: &mut EncodedMessages, kind| match encode(kind, naming, target, arguments) {
            Ok(message) => messages.insert(kind, message),
            Err(error) => errors[protocol_index(kind)] = Some(error),
        };
        self.protocols_of(audience).for_each(|kind| encode(&mut messages, kind));
        let Undelivered { mut full, unencoded } = self.deliver(audience, &messages);
        // Not encoded yet if the first connection with this protocol was added after the lookup.
        for connection in unencoded {
            let kind = connection.protocol.kind();
            if messages.get(kind).is_none() {
                encode(&mut messages, kind);
            }
            full.push(connection);
        }
        messages.push_to(&full).await;
        errors.into_iter().flatten().next().map_or(Ok(()), Err)
    }

    /// Queues a message for all connections in `audience` whose queues have capacity.
    pub(crate) fn deliver(&self, audience: &Audience, messages: &EncodedMessages) -> Undelivered {
        let mut undelivered = Undelivered::default();
        self.for_each(audience, |connection| match messages.get(connection.protocol.kind()) {
            Some(message) if connection.outbound.try_push(message) => {}
            Some(_) => undelivered.full.push(Arc::clone(connection)),
            None => undelivered.unencoded.push(Arc::clone(connection)),
        });
        undelivered
    }
}

fn encode<A: Arguments + ?Sized>(
    kind: HubProtocolKind,
    naming: Naming,
    target: &str,
    arguments: &A,
) -> Result<EncodedMessage, WriteError> {
    EncodedMessage::try_encode(kind.is_binary(), |buffer| {
        HubProtocol::new(kind, naming).write_invocation(buffer, None, target, arguments)
    })
}
