//! Client results of connections of other servers.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::channel::Channel;
use super::hub_cluster::{HubCluster, lock, random_bytes};
use super::payload::{Completion, Invocation, PayloadError};
use super::send::ClusterSendError;
use crate::protocol::{Arguments, Framer, HubMessage, HubProtocol, HubProtocolKind};
use crate::quoted::Quoted;
use crate::registry::{ClientResult, ClientResultError, SortedSet};

/// Error that the server of a connection returns for a connection that has ended.
const DISCONNECTED: &str = "Connection disconnected.";

const ID_COLLISION: &str = "ID collision occurred when using client results. This is likely a bug in SignalR.";

/// No client result was received from another server.
#[derive(Debug)]
pub(crate) enum RemoteResultError {
    /// No server has the connection.
    NoConnection,
    /// The invocation was not sent.
    Send(ClusterSendError),
}

impl<E: Into<ClusterSendError>> From<E> for RemoteResultError {
    fn from(error: E) -> Self {
        Self::Send(error.into())
    }
}

impl HubCluster {
    /// Invokes a method of a connection of another server and waits for its result. Returns the
    /// hub protocol of the result, too.
    ///
    /// Waits without a limit if the server of the connection ends (`aspnet:
    /// RedisHubLifetimeManager.InvokeConnectionAsync`).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, the client may have received the invocation;
    /// its completion is ignored.
    pub(crate) async fn request<A: Arguments + ?Sized>(
        &self,
        connection: &str,
        target: &str,
        arguments: &A,
    ) -> Result<(HubProtocol, ClientResult), RemoteResultError> {
        let id = STANDARD_NO_PAD.encode(random_bytes());
        let reply_to = self.name_of(Channel::Results(&self.server));
        let payload = self.encode(&SortedSet::empty(), Some((&id, &reply_to)), target, arguments)?;
        self.start().await?;
        let (tx, received) = oneshot::channel();
        lock(&self.results).insert((*id).into(), tx);
        let _guard = ResultGuard { cluster: self, id: &id };
        let receivers = self.backplane.publish(&self.name_of(Channel::Connection(connection)), payload.into()).await?;
        if receivers == Some(0) {
            return Err(RemoteResultError::NoConnection);
        }
        // The guard holds the sender in the map, so it is not dropped without a result.
        received.await.map_err(|_| RemoteResultError::NoConnection)
    }

    /// Passes a result that another server has returned to the request that waits for it.
    pub(super) fn on_result(&self, payload: &Bytes) -> Result<(), PayloadError> {
        let completion = Completion::parse(payload)?;
        let Some(kind) = HubProtocolKind::ALL.iter().copied().find(|kind| kind.name() == completion.protocol) else {
            tracing::error!(target: "signalr::backplane", protocol = %Quoted(completion.protocol), "client result of another server has an unknown hub protocol");
            return Ok(());
        };
        let protocol = HubProtocol::new(kind, self.naming);
        let (mut message, mut framer) = (completion.message, Framer::new(kind, None));
        let frame = framer.next(&mut message).ok().flatten();
        let message = frame.and_then(|frame| protocol.parse(frame, |_| false).ok().flatten());
        let Some(HubMessage::Completion { id, result, error }) = message else {
            tracing::warn!(target: "signalr::backplane", "client result of another server is no completion");
            return Ok(());
        };
        if let Some(requested) = lock(&self.results).remove(&*id) {
            let result = match result {
                Some(result) => ClientResult::Result(result.as_bytes().to_vec()),
                None => ClientResult::Error(error.map(Into::into)),
            };
            // The receiver is dropped if the request was dropped in the meantime.
            let _ = requested.send((protocol, result));
        }
        Ok(())
    }

    /// Expects the result of an invocation that is about to be delivered to a connection of this
    /// server, and returns it to the server that has requested it.
    pub(super) fn expect_result(
        self: &Arc<Self>,
        connection: &str,
        id: &str,
        reply_to: &str,
        invocation: &Invocation<'_>,
    ) {
        let Some(connection) = self.connection(connection) else {
            // The connection has ended after the server was sent the payload.
            let Some(kind) = HubProtocolKind::ALL.iter().find(|kind| invocation.message(kind.name()).is_some()) else {
                return;
            };
            let answer =
                encode(HubProtocol::new(*kind, self.naming), id, ClientResult::Error(Some(DISCONNECTED.to_owned())));
            return self.answer(reply_to.to_owned(), async { Some(answer) });
        };
        let protocol = connection.protocol;
        let result = self.registry.results.forward(&connection, id);
        let id = id.to_owned();
        self.answer(reply_to.to_owned(), async move {
            let result = match result {
                Ok(result) => result.await.unwrap_or_else(|error| match error {
                    ClientResultError::Disconnected | ClientResultError::Encode(_) => {
                        ClientResult::Error(Some(DISCONNECTED.to_owned()))
                    }
                }),
                Err(_) => ClientResult::Error(Some(ID_COLLISION.to_owned())),
            };
            Some(encode(protocol, &id, result))
        });
    }
}

fn encode(protocol: HubProtocol, id: &str, result: ClientResult) -> Vec<u8> {
    let mut message = Vec::new();
    match result {
        ClientResult::Result(value) => protocol.write_raw_result(&mut message, id, &value),
        ClientResult::Error(Some(error)) => protocol.write_error(&mut message, id, &error),
        ClientResult::Error(None) => protocol.write_completion(&mut message, id),
    }
    Completion { protocol: protocol.kind().name(), message: &message }.encode()
}

/// Forgets a pending client result when its request completes or is dropped.
struct ResultGuard<'a> {
    cluster: &'a HubCluster,
    id: &'a str,
}

impl Drop for ResultGuard<'_> {
    fn drop(&mut self) {
        lock(&self.cluster.results).remove(self.id);
    }
}
