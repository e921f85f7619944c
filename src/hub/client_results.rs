//! Client results: invocations of a method of one client that wait for its result.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::call_state::CallState;
use super::context::{HubShared, SendError};
use crate::cluster::{HubCluster, RemoteResultError};
use crate::connection_info::ConnectionId;
use crate::protocol::{Arguments, HubProtocol, short_type_name};
use crate::registry::{Audience, ClientResult, ClientResultError, ConnectionHandle};

/// Code that requests a client result.
#[derive(Clone, Debug)]
pub(super) enum ClientResultRequester {
    /// Code outside of a call.
    Outside,
    /// `on_connected`.
    Connecting,
    /// A call of this connection.
    Call(Arc<CallState>, Arc<ConnectionHandle>),
}

/// A client returned no result. `Display` and [`type_name`](Self::type_name) are those of the
/// exceptions that ASP.NET Core throws.
///
/// ```
/// # use signalr::hub::InvokeError;
/// # use signalr::{Caller, Hub, HubResult};
/// # async fn confirm<H: Hub>(caller: Caller<H>, nurse: &str) -> HubResult<bool> {
/// match caller.clients().client(nurse).invoke::<bool>("Confirm", ()).await {
///     Err(InvokeError::NoConnection(_) | InvokeError::Disconnected(_)) => Ok(false),
///     result => Ok(result?),
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// Requested in `on_connected`, while no message is read yet.
    #[error("Client results inside OnConnectedAsync Hub methods are not allowed.")]
    NotAllowed,
    /// No connection has this id.
    #[error("Connection '{0}' does not exist.")]
    NoConnection(String),
    /// The connection with this id ended before it returned a result.
    #[error("Connection '{0}' disconnected.")]
    Disconnected(String),
    /// The client returned an error with this message.
    #[error("{0}")]
    Client(String),
    /// The result cannot be deserialized as the requested type.
    #[error("Error trying to deserialize result to {wanted}. {reason}")]
    Mismatch {
        /// Requested type, by its .NET name.
        wanted: String,
        /// Cause reported by the deserializer.
        reason: String,
    },
    /// The invocation could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl InvokeError {
    /// Returns the short name of the exception that ASP.NET Core throws.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::NotAllowed => "InvalidOperationException",
            Self::NoConnection(_) | Self::Disconnected(_) => "IOException",
            Self::Client(_) | Self::Mismatch { .. } => "HubException",
            Self::Send(_) => "SendError",
        }
    }
}

/// Encoded result of a client.
pub(super) struct ReceivedResult {
    protocol: HubProtocol,
    value: Vec<u8>,
}

/// Invokes a method of the one connection in `audience` and waits for its result.
pub(super) async fn request_client_result<A: Arguments + ?Sized>(
    shared: &HubShared,
    audience: &Audience,
    requester: &ClientResultRequester,
    method: &str,
    arguments: &A,
) -> Result<ReceivedResult, InvokeError> {
    if let ClientResultRequester::Connecting = requester {
        return Err(InvokeError::NotAllowed);
    }
    let connection = match audience {
        Audience::Connection(id) => match (shared.registry.get(id), shared.cluster.get()) {
            (Some(connection), _) => connection,
            (None, Some(cluster)) => {
                leave_slot(requester);
                return request_of_another_server(cluster, *id, method, arguments).await;
            }
            (None, None) => return Err(InvokeError::NoConnection(id.to_string())),
        },
        Audience::Unknown(id) => return Err(InvokeError::NoConnection(id.to_string())),
        _ => unreachable!("`Proxy<Single>` selects one connection"),
    };
    leave_slot(requester);
    match shared.registry.results.request(&connection, method, arguments).await {
        Ok(result) => received(connection.protocol, result),
        Err(ClientResultError::Disconnected) => Err(InvokeError::Disconnected(connection.id.to_string())),
        Err(ClientResultError::Encode(error)) => Err(InvokeError::Send(SendError::Encode(error))),
    }
}

async fn request_of_another_server<A: Arguments + ?Sized>(
    cluster: &HubCluster,
    id: ConnectionId,
    method: &str,
    arguments: &A,
) -> Result<ReceivedResult, InvokeError> {
    match cluster.request(id.as_str(), method, arguments).await {
        Ok((protocol, result)) => received(protocol, result),
        Err(RemoteResultError::NoConnection) => Err(InvokeError::NoConnection(id.to_string())),
        Err(RemoteResultError::Send(error)) => Err(InvokeError::Send(error.into())),
    }
}

/// Leaves the slot of a call that waits for a client result.
fn leave_slot(requester: &ClientResultRequester) {
    if let ClientResultRequester::Call(call, caller) = requester
        && call.mark_client_result_requested()
    {
        // The connection task has to see that the slot is free, even if another task made this
        // request.
        caller.outbound.wake_owner();
    }
}

fn received(protocol: HubProtocol, result: ClientResult) -> Result<ReceivedResult, InvokeError> {
    match result {
        ClientResult::Result(value) => Ok(ReceivedResult { protocol, value }),
        ClientResult::Error(error) => {
            Err(InvokeError::Client(error.unwrap_or_else(|| DEFAULT_EXCEPTION_MESSAGE.to_owned())))
        }
    }
}

/// Message of a .NET exception that was created without one.
const DEFAULT_EXCEPTION_MESSAGE: &str = "Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown.";

impl ReceivedResult {
    pub(super) fn read<R: DeserializeOwned>(self) -> Result<R, InvokeError> {
        self.protocol.read_value(&self.value).map_err(|error| InvokeError::Mismatch {
            wanted: short_type_name::<R>().into_owned(),
            reason: error.to_string(),
        })
    }
}
