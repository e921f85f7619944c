//! Reasons why connections end. For each of them, this module defines the Close message and the
//! argument of `on_disconnected`.

use std::borrow::Cow;
use std::sync::Arc;

use crate::hub::{DisconnectReason, HubError};
use crate::protocol::{HubProtocol, ProtocolError};
use crate::registry::{ConnectionHandle, Disconnect, Flags};

/// Reason why a connection ends.
#[derive(Debug)]
pub(super) enum CloseReason {
    /// The transport was closed in order, or the peer disappeared.
    InputEnded,
    /// The client sent a Close message, with its error if there was one.
    ClientClosed(Option<String>),
    /// The hub called [`Caller::abort`](crate::Caller::abort).
    Aborted,
    /// The application called [`Proxy::disconnect`](crate::hub::Proxy::disconnect).
    Disconnected(Arc<Disconnect>),
    /// The server is shutting down, or the credentials of the client have expired.
    CloseRequested,
    /// No message was received within the client timeout.
    TimedOut,
    /// Senders waited too long for an acknowledgement by the client.
    Unacknowledged,
    /// The client violated the hub protocol or that of the transport.
    Failed(ProtocolError),
    /// `on_connected` failed.
    ConnectFailed(HubError),
}

const CLOSED_WITH_ERROR: &str = "Connection closed with an error.";
const TIMED_OUT: &str = "Client hasn't sent a message/ping within the configured ClientTimeoutInterval.";

/// `aspnet: CoreStrings.ConnectionAbortedByApplication`.
const ABORTED: &str = "The connection was aborted by the application.";

impl CloseReason {
    /// Returns the end that a tick or another task has requested.
    pub(super) fn requested(connection: &ConnectionHandle) -> Option<Self> {
        let flags = connection.flags();
        if flags.has(Flags::ABORTED) {
            Some(Self::aborted(connection))
        } else if flags.has(Flags::CLOSING) {
            Some(Self::CloseRequested)
        } else if flags.has(Flags::TIMED_OUT) {
            Some(Self::TimedOut)
        } else if flags.has(Flags::UNACKNOWLEDGED) {
            Some(Self::Unacknowledged)
        } else {
            None
        }
    }

    /// Returns the reason of an aborted connection.
    pub(super) fn aborted(connection: &ConnectionHandle) -> Self {
        connection.requested_disconnect().map_or(Self::Aborted, |disconnect| Self::Disconnected(Arc::clone(disconnect)))
    }

    /// The transport was closed within a message.
    pub(super) fn unfinished_message() -> Self {
        Self::Failed(ProtocolError::new("InvalidDataException", "Connection terminated while reading a message."))
    }

    /// The peer violated the protocol of the transport.
    pub(super) fn transport_error() -> Self {
        Self::Failed(ProtocolError::new(
            "WebSocketException",
            "The remote party closed the WebSocket connection without completing the close handshake.",
        ))
    }

    /// Returns the argument of `on_disconnected` (`aspnet:
    /// HubConnectionHandler.HubOnDisconnectedAsync`).
    pub(super) fn disconnect_reason(&self) -> Option<DisconnectReason> {
        let error = match self {
            Self::InputEnded
            | Self::Aborted
            | Self::CloseRequested
            | Self::ConnectFailed(_)
            | Self::ClientClosed(None) => {
                return None;
            }
            Self::ClientClosed(Some(error)) => ProtocolError::new("HubException", error.clone()),
            Self::Disconnected(disconnect) => {
                let reason = disconnect.reason.clone().map_or(Cow::Borrowed(ABORTED), Cow::Owned);
                ProtocolError::new("ConnectionAbortedException", reason)
            }
            Self::TimedOut => timed_out(),
            Self::Unacknowledged => unacknowledged(),
            Self::Failed(error) => error.clone(),
        };
        Some(DisconnectReason::new(error))
    }

    /// Writes the Close message (`aspnet: HubConnectionHandler.SendCloseAsync`).
    pub(super) fn write_close(&self, protocol: HubProtocol, detailed: bool, out: &mut Vec<u8>) {
        let (error, allow_reconnect) = match self {
            Self::InputEnded | Self::CloseRequested => (None, true),
            Self::ClientClosed(_) | Self::Aborted => (None, false),
            Self::Disconnected(disconnect) => (disconnect.reason.clone(), disconnect.allow_reconnect),
            Self::TimedOut => (Some(close_error(&timed_out(), detailed)), true),
            Self::Unacknowledged => (Some(close_error(&unacknowledged(), detailed)), true),
            Self::Failed(error) => (Some(close_error(error, detailed)), true),
            Self::ConnectFailed(error) => (Some(error.client_message(CLOSED_WITH_ERROR, detailed)), false),
        };
        protocol.write_close(out, error.as_deref(), allow_reconnect);
    }
}

fn timed_out() -> ProtocolError {
    ProtocolError::new("OperationCanceledException", Cow::Borrowed(TIMED_OUT))
}

fn unacknowledged() -> ProtocolError {
    ProtocolError::new("OperationCanceledException", "The operation was canceled.")
}

fn close_error(error: &ProtocolError, detailed: bool) -> String {
    if detailed { format!("{CLOSED_WITH_ERROR} {}: {error}", error.type_name()) } else { CLOSED_WITH_ERROR.to_owned() }
}
