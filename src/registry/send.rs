//! Broadcasts: encoded once for each hub protocol, shared by all outbound queues.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::audience::Audience;
use super::handle::ConnectionHandle;
use super::hub_registry::{Registry, protocol_index};
use crate::outbound::EncodedMessage;
use crate::protocol::{Arguments, HubProtocol, HubProtocolKind, Naming, WriteError};

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
        let encode = |kind| encode(HubProtocol::new(kind, naming), target, arguments);
        let mut messages: [Option<Result<EncodedMessage, WriteError>>; HubProtocolKind::ALL.len()] = Default::default();
        for kind in self.protocols_of(audience) {
            messages[protocol_index(kind)] = Some(encode(kind));
        }
        let mut deferred: Vec<Arc<ConnectionHandle>> = Vec::new();
        self.for_each(audience, |connection| match &messages[protocol_index(connection.protocol.kind())] {
            Some(Err(_)) => {}
            Some(Ok(message)) if connection.outbound.try_push(message) => {}
            _ => deferred.push(Arc::clone(connection)),
        });
        // Not encoded yet if the first connection with this protocol was added after the lookup.
        for connection in &deferred {
            let kind = connection.protocol.kind();
            messages[protocol_index(kind)].get_or_insert_with(|| encode(kind));
        }
        let mut pushes = FuturesUnordered::new();
        for connection in &deferred {
            if let Some(Ok(message)) = &messages[protocol_index(connection.protocol.kind())] {
                pushes.push(connection.outbound.push(message));
            }
        }
        while pushes.next().await.is_some() {}
        drop(pushes);
        messages.into_iter().flatten().try_for_each(|message| message.map(drop))
    }
}

fn encode<A: Arguments + ?Sized>(
    protocol: HubProtocol,
    target: &str,
    arguments: &A,
) -> Result<EncodedMessage, WriteError> {
    EncodedMessage::try_encode(protocol.kind().is_binary(), |buffer| {
        protocol.write_invocation(buffer, None, target, arguments)
    })
}
