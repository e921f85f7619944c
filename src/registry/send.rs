//! One broadcast out: encoded once per format, shared by every queue.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::audience::Audience;
use super::handle::ConnectionHandle;
use super::registry::{Registry, protocol_index};
use crate::outbound::EncodedMessage;
use crate::protocol::{Arguments, HubProtocol, HubProtocolKind, Naming, WriteError};

impl Registry {
    /// Sends an invocation without an answer to everyone in `audience`. Complete when every receiver has taken it or
    /// has been given up: receivers with room are served at once, then those without are waited for together. Where the
    /// arguments have no form in one format, those who speak the other get them all the same.
    pub(crate) async fn send<A: Arguments + ?Sized>(
        &self,
        audience: &Audience,
        naming: Naming,
        target: &str,
        arguments: &A,
    ) -> Result<(), WriteError> {
        let encode = |kind| encode(HubProtocol::new(kind, naming), target, arguments);
        let mut frames: [Option<Result<EncodedMessage, WriteError>>; HubProtocolKind::ALL.len()] = Default::default();
        for kind in self.protocols_of(audience) {
            frames[protocol_index(kind)] = Some(encode(kind));
        }
        let mut deferred: Vec<Arc<ConnectionHandle>> = Vec::new();
        self.for_each(audience, |connection| match &frames[protocol_index(connection.protocol.kind())] {
            Some(Err(_)) => {}
            Some(Ok(frame)) if connection.outbound.try_push(frame) => {}
            _ => deferred.push(Arc::clone(connection)),
        });
        // Not encoded yet for the first connection of its format, come since we looked.
        for connection in &deferred {
            let kind = connection.protocol.kind();
            frames[protocol_index(kind)].get_or_insert_with(|| encode(kind));
        }
        let mut pushes = FuturesUnordered::new();
        for connection in &deferred {
            if let Some(Ok(frame)) = &frames[protocol_index(connection.protocol.kind())] {
                pushes.push(connection.outbound.push(frame));
            }
        }
        while pushes.next().await.is_some() {}
        drop(pushes);
        frames.into_iter().flatten().try_for_each(|frame| frame.map(drop))
    }
}

fn encode<A: Arguments + ?Sized>(
    protocol: HubProtocol,
    target: &str,
    arguments: &A,
) -> Result<EncodedMessage, WriteError> {
    EncodedMessage::try_written(protocol.kind().is_binary(), |buffer| {
        protocol.write_invocation(buffer, None, target, arguments)
    })
}
