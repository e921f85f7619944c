//! Asking one client, and what becomes of it (C#: client results).

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::call_state::CallState;
use super::context::{HubShared, SendError};
use crate::protocol::{Arguments, HubProtocol, short_type_name};
use crate::registry::{Audience, ClientResult, ClientResultError, ConnectionHandle};

/// Who asks.
#[derive(Clone, Debug)]
pub(super) enum ClientResultRequester {
    /// Code outside of a call.
    Outside,
    /// `on_connected`.
    Connecting,
    /// A call of this connection.
    Call(Arc<CallState>, Arc<ConnectionHandle>),
}

/// Why a client gave no answer. `Display` and [`type_name`](Self::type_name) are those of the exceptions that ASP.NET
/// throws.
///
/// ```
/// # use signalr::hub::InvokeError;
/// # use signalr::{Caller, Hub, HubResult};
/// # async fn confirm<H: Hub>(caller: Caller<H>, nurse: &str) -> HubResult<bool> {
/// match caller.clients().client(nurse).invoke::<bool>("Confirm", ()).await {
///     Err(InvokeError::NoConnection(_) | InvokeError::Disconnected(_)) => Ok(false),
///     answer => Ok(answer?),
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// Asked in `on_connected`, where nothing is read yet.
    #[error("Client results inside OnConnectedAsync Hub methods are not allowed.")]
    NotAllowed,
    /// There is no connection of this id.
    #[error("Connection '{0}' does not exist.")]
    NoConnection(String),
    /// The connection of this id ended before it answered.
    #[error("Connection '{0}' disconnected.")]
    Disconnected(String),
    /// The client answered with an error; this is its text.
    #[error("{0}")]
    Client(String),
    /// The answer is not of the type that is asked for.
    #[error("Error trying to deserialize result to {wanted}. {reason}")]
    Mismatch {
        /// The type, as .NET calls it.
        wanted: String,
        /// What is wrong.
        reason: String,
    },
    /// The question could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl InvokeError {
    /// The short name of the exception that ASP.NET throws.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::NotAllowed => "InvalidOperationException",
            Self::NoConnection(_) | Self::Disconnected(_) => "IOException",
            Self::Client(_) | Self::Mismatch { .. } => "HubException",
            Self::Send(_) => "SendError",
        }
    }
}

/// A value that a client answered with.
pub(super) struct ReceivedResult {
    protocol: HubProtocol,
    value: Vec<u8>,
}

/// Asks the one connection of `audience`.
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
        Audience::Connection(id) => shared.registry.get(id).ok_or_else(|| InvokeError::NoConnection(id.to_string()))?,
        Audience::Unknown(id) => return Err(InvokeError::NoConnection(id.to_string())),
        _ => unreachable!("a `Proxy<Single>` is for one connection"),
    };
    if let ClientResultRequester::Call(call, caller) = requester
        && call.mark_client_result_requested()
    {
        // Whoever drives the call finds out, also if another task asks for it.
        caller.outbound.wake_owner();
    }
    match shared.registry.results.request(&connection, method, arguments).await {
        Ok(ClientResult::Result(value)) => Ok(ReceivedResult { protocol: connection.protocol, value }),
        Ok(ClientResult::Error(error)) => {
            Err(InvokeError::Client(error.unwrap_or_else(|| DEFAULT_EXCEPTION_MESSAGE.to_owned())))
        }
        Err(ClientResultError::Disconnected) => Err(InvokeError::Disconnected(connection.id.to_string())),
        Err(ClientResultError::Encode(error)) => Err(InvokeError::Send(SendError::Encode(error))),
    }
}

/// .NET's text of an exception that was given none.
const DEFAULT_EXCEPTION_MESSAGE: &str = "Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown.";

impl ReceivedResult {
    pub(super) fn read<R: DeserializeOwned>(self) -> Result<R, InvokeError> {
        self.protocol.read_value(&self.value).map_err(|error| InvokeError::Mismatch {
            wanted: short_type_name::<R>().into_owned(),
            reason: error.to_string(),
        })
    }
}
