//! Questions to clients, and their answers (`aspnet: ClientResultsManager.cs`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::handle::ConnectionHandle;
use crate::connection_info::ConnectionId;
use crate::outbound::EncodedMessage;
use crate::protocol::{Arguments, ProtocolError, RawValue, WriteError};

/// The questions of a hub type that wait for an answer.
#[derive(Debug, Default)]
pub(crate) struct PendingClientResults {
    last_number: AtomicU64,
    pending: Mutex<HashMap<u64, PendingClientResult>>,
}

#[derive(Debug)]
struct PendingClientResult {
    /// Who was asked.
    connection: ConnectionId,
    answer: oneshot::Sender<ClientResult>,
}

/// What a client answered.
#[derive(Debug)]
pub(crate) enum ClientResult {
    /// A value in its wire form.
    Result(Vec<u8>),
    /// Its error, if it gave one; .NET has a text for those that give nothing at all.
    Error(Option<String>),
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum ClientResultError {
    /// The connection ended before.
    Disconnected,
    /// The question has no form on the wire.
    Encode(WriteError),
}

impl PendingClientResults {
    /// Calls a method of a client and waits for its answer.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the question may have been asked; its answer is ignored.
    pub(crate) async fn request<A: Arguments + ?Sized>(
        &self,
        connection: &Arc<ConnectionHandle>,
        target: &str,
        arguments: &A,
    ) -> Result<ClientResult, ClientResultError> {
        let number = self.last_number.fetch_add(1, Ordering::Relaxed) + 1;
        let protocol = connection.protocol;
        let frame = EncodedMessage::try_written(protocol.kind().is_binary(), |message| {
            protocol.write_invocation(message, Some(&format_id(number)), target, arguments)
        })
        .map_err(ClientResultError::Encode)?;
        let (sender, answer) = oneshot::channel();
        // Before it is asked, so that the answer finds it.
        self.lock().insert(number, PendingClientResult { connection: connection.id, answer: sender });
        let _guard = PendingGuard { results: self, number };
        let answered = async {
            connection.outbound.push(&frame).await;
            answer.await
        };
        tokio::select! {
            biased;
            answer = answered => answer.map_err(|_| ClientResultError::Disconnected),
            () = connection.aborted() => Err(ClientResultError::Disconnected),
        }
    }

    /// A client has answered. An id that nobody waits for is ignored.
    ///
    /// # Errors
    ///
    /// Somebody else was asked: a client that answers for others has its connection ended.
    pub(crate) fn complete(
        &self,
        connection: ConnectionId,
        id: &str,
        result: Option<RawValue<'_>>,
        error: Option<&str>,
    ) -> Result<(), ProtocolError> {
        let Some(number) = parse_id(id) else { return Ok(()) };
        let mut pending = self.lock();
        match pending.get(&number) {
            None => return Ok(()),
            Some(requested) if requested.connection != connection => return Err(unexpected_completion(connection, id)),
            Some(_) => {}
        }
        let requested = pending.remove(&number);
        drop(pending);
        let answer = match result {
            Some(result) => ClientResult::Result(result.as_bytes().to_vec()),
            None => ClientResult::Error(error.map(Into::into)),
        };
        if let Some(requested) = requested {
            // Who asked may have given up meanwhile.
            let _ = requested.answer.send(answer);
        }
        Ok(())
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, PendingClientResult>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a question off the list, however it ends.
struct PendingGuard<'a> {
    results: &'a PendingClientResults,
    number: u64,
}

impl Drop for PendingGuard<'_> {
    fn drop(&mut self) {
        self.results.lock().remove(&self.number);
    }
}

/// The number in the id of a question, which is written in one way alone.
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
