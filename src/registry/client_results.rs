//! Pending client results (`aspnet: ClientResultsManager.cs`).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::handle::ConnectionHandle;
use crate::connection_info::ConnectionId;
use crate::outbound::EncodedMessage;
use crate::protocol::{Arguments, ProtocolError, RawValue, WriteError};

/// Client results of one hub type for which the server waits.
#[derive(Debug, Default)]
pub(crate) struct PendingClientResults {
    last_number: AtomicU64,
    pending: Mutex<HashMap<ResultId, PendingClientResult>>,
}

/// Invocation id of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ResultId {
    /// Of this server: `s` and a number.
    Own(u64),
    /// Chosen by the server that requests the result.
    Forwarded(Box<str>),
}

#[derive(Debug)]
struct PendingClientResult {
    /// Connection that has to return the result.
    connection: ConnectionId,
    sender: oneshot::Sender<ClientResult>,
}

/// Completion of a client.
#[derive(Debug)]
pub(crate) enum ClientResult {
    /// Encoded value.
    Result(Vec<u8>),
    /// Error, or `None` for a completion without result and error, for which .NET has a text of its
    /// own.
    Error(Option<String>),
}

/// No completion was received.
#[derive(Debug)]
pub(crate) enum ClientResultError {
    /// The connection ended first.
    Disconnected,
    /// The invocation cannot be encoded.
    Encode(WriteError),
}

/// A request with the same id is pending.
#[derive(Debug)]
pub(crate) struct ForwardError;

impl PendingClientResults {
    /// Invokes a method of a client and waits for its completion.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, the client may have received the invocation;
    /// its completion is ignored.
    pub(crate) async fn request<A: Arguments + ?Sized>(
        &self,
        connection: &Arc<ConnectionHandle>,
        target: &str,
        arguments: &A,
    ) -> Result<ClientResult, ClientResultError> {
        let number = self.last_number.fetch_add(1, Ordering::Relaxed) + 1;
        let protocol = connection.protocol;
        let message = EncodedMessage::try_encode(protocol.kind().is_binary(), |buffer| {
            protocol.write_invocation(buffer, Some(&format_id(number)), target, arguments)
        })
        .map_err(ClientResultError::Encode)?;
        let (sender, receiver) = oneshot::channel();
        // Inserted before the invocation is sent, so that the completion always finds it.
        let id = ResultId::Own(number);
        self.lock().insert(id.clone(), PendingClientResult { connection: connection.id, sender });
        let _guard = PendingGuard { results: self, id };
        let received = async {
            connection.outbound.push(&message).await;
            receiver.await
        };
        tokio::select! {
            biased;
            result = received => result.map_err(|_| ClientResultError::Disconnected),
            () = connection.aborted() => Err(ClientResultError::Disconnected),
        }
    }

    /// Waits for the completion of an invocation that another server requested. The future expects
    /// that the invocation is sent to the connection after this call.
    ///
    /// # Errors
    ///
    /// Fails at once if a request with this id is pending.
    pub(crate) fn forward(
        self: &Arc<Self>,
        connection: &Arc<ConnectionHandle>,
        id: &str,
    ) -> Result<impl Future<Output = Result<ClientResult, ClientResultError>> + Send + use<>, ForwardError> {
        let id = ResultId::Forwarded(id.into());
        let (sender, receiver) = oneshot::channel();
        match self.lock().entry(id.clone()) {
            Entry::Occupied(_) => return Err(ForwardError),
            Entry::Vacant(vacant) => vacant.insert(PendingClientResult { connection: connection.id, sender }),
        };
        let (results, connection) = (Arc::clone(self), Arc::clone(connection));
        Ok(async move {
            let _guard = PendingGuard { results: &results, id };
            tokio::select! {
                biased;
                result = receiver => result.map_err(|_| ClientResultError::Disconnected),
                () = connection.aborted() => Err(ClientResultError::Disconnected),
            }
        })
    }

    /// Passes a completion to the request that waits for it. Unknown ids are ignored.
    ///
    /// # Errors
    ///
    /// Fails if the request was sent to another connection; the caller then closes the connection
    /// that sent the completion.
    pub(crate) fn complete(
        &self,
        connection: ConnectionId,
        id: &str,
        result: Option<RawValue<'_>>,
        error: Option<&str>,
    ) -> Result<(), ProtocolError> {
        let id_text = id;
        let id = parse_id(id).map_or_else(|| ResultId::Forwarded(id.into()), ResultId::Own);
        let mut pending = self.lock();
        match pending.get(&id) {
            None => return Ok(()),
            Some(requested) if requested.connection != connection => {
                return Err(unexpected_completion(connection, id_text));
            }
            Some(_) => {}
        }
        let requested = pending.remove(&id);
        drop(pending);
        let result = match result {
            Some(result) => ClientResult::Result(result.as_bytes().to_vec()),
            None => ClientResult::Error(error.map(Into::into)),
        };
        if let Some(requested) = requested {
            // The receiver is dropped if the request was dropped in the meantime.
            let _ = requested.sender.send(result);
        }
        Ok(())
    }

    /// Returns the number of pending client results.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ResultId, PendingClientResult>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a pending client result when its request completes or is dropped.
struct PendingGuard<'a> {
    results: &'a PendingClientResults,
    id: ResultId,
}

impl Drop for PendingGuard<'_> {
    fn drop(&mut self) {
        self.results.lock().remove(&self.id);
    }
}

/// Parses the number of an id. Only the canonical spelling is valid: `s1`, not `s01`.
fn parse_id(id: &str) -> Option<u64> {
    let number = id.strip_prefix('s')?.parse().ok()?;
    (format_id(number) == id).then_some(number)
}

fn format_id(number: u64) -> String {
    format!("s{number}")
}

fn unexpected_completion(connection: ConnectionId, id: &str) -> ProtocolError {
    let text = format!("Connection ID '{connection}' is not valid for invocation ID '{id}'.");
    ProtocolError::new("InvalidOperationException", text)
}
