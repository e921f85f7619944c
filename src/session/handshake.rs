//! The handshake, which selects the hub protocol of a connection.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::buffer_pool::with_scratch;
use crate::connection_info::TransportType;
use crate::connections::{Connection, Read, TransportInput};
use crate::hub::{HubRuntime, catch_panic_sync};
use crate::options::HubOptions;
use crate::outbound::Outbound;
use crate::protocol::handshake::{self, Progress};
use crate::protocol::{HubProtocol, HubProtocolKind};

/// Highest version of the hub protocol; version 2 has stateful reconnect.
const MAX_PROTOCOL_VERSION: i32 = 2;

const CANCELED: &str = "Handshake was canceled.";
const UNEXPECTED: &str = "An unexpected error occurred during connection handshake.";

/// Result of a successful handshake.
pub(super) struct HandshakeOutcome {
    pub(super) protocol: HubProtocol,
    pub(super) user_id: Option<Box<str>>,
    /// Whether the client can resume the connection, if the transport can.
    pub(super) supports_reconnect: bool,
}

/// Reads the handshake request of the client and writes the response. `None` ends the connection
/// without a Close message (`aspnet: HubConnectionContext.HandshakeAsync`).
pub(super) async fn perform_handshake<H>(
    runtime: &HubRuntime<H>,
    connection: &mut Connection,
) -> Option<HandshakeOutcome> {
    let options = &runtime.options;
    let Connection { transport, incoming, outbound, entry, .. } = connection;
    let mut received = Vec::new();
    let limit = options.maximum_receive_message_size;
    let request = outbound.drive(poll_fn(|cx| {
        if entry.is_shutting_down() {
            // No Close message is sent before the handshake.
            outbound.abort_transport();
        }
        let over = outbound.is_broken();
        if over { Poll::Ready(ReceivedHandshake::Ended) } else { poll_request(cx, incoming, &mut received, limit) }
    }));
    let error = match tokio::time::timeout(options.handshake_timeout, request).await {
        Err(_) => CANCELED.to_owned(),
        Ok(ReceivedHandshake::Ended) => return None,
        Ok(ReceivedHandshake::Request) => match handshake::find(&received, limit) {
            Progress::Whole { message, rest } => {
                let selected = select_protocol(options, *transport, message).and_then(|selected| {
                    // The application's user id provider may panic.
                    let user_id =
                        catch_panic_sync(|| runtime.user_id.of(&entry.user())).map_err(|_| UNEXPECTED.to_owned());
                    user_id.map(|user_id| (selected, user_id))
                });
                match selected {
                    Ok(((kind, version), user_id)) => {
                        if kind.is_binary() {
                            outbound.set_binary();
                        }
                        if runtime.shared.cluster.get().is_some() {
                            // Written when the connection receives the messages of other servers,
                            // so that a client that has connected is in their reach.
                            poll_fn(|cx| Poll::Ready(outbound.begin_batch(cx))).await;
                        }
                        respond(outbound, handshake::write_success);
                        let protocol = HubProtocol::new(kind, options.naming);
                        incoming.unread(rest);
                        let supports_reconnect = version >= MAX_PROTOCOL_VERSION;
                        return Some(HandshakeOutcome { protocol, user_id, supports_reconnect });
                    }
                    Err(error) => error,
                }
            }
            _ => CANCELED.to_owned(),
        },
    };
    // The reason is not logged, because it quotes the client.
    tracing::debug!(target: "signalr::connection", connection = %entry.id, "handshake rejected");
    respond(outbound, |out| handshake::write_error(out, &error));
    None
}

enum ReceivedHandshake {
    /// The request is complete, or larger than the limit.
    Request,
    /// The connection ended first.
    Ended,
}

fn poll_request(
    cx: &mut Context<'_>,
    incoming: &mut TransportInput,
    received: &mut Vec<u8>,
    limit: Option<usize>,
) -> Poll<ReceivedHandshake> {
    loop {
        let examined = received.len();
        let read = ready!(incoming.poll_read(cx, &mut |_, bytes| received.extend_from_slice(bytes)));
        if is_complete(received, examined, limit) {
            return Poll::Ready(ReceivedHandshake::Request);
        }
        if let Read::End(_) = read {
            return Poll::Ready(ReceivedHandshake::Ended);
        }
    }
}

/// Returns whether the request ends behind the `examined` bytes, or is too large. Each byte is
/// examined once, because the client chooses the number of chunks.
fn is_complete(received: &[u8], examined: usize, limit: Option<usize>) -> bool {
    let limit = limit.map(|limit| limit.saturating_sub(examined));
    !matches!(handshake::find(&received[examined..], limit), Progress::Partial)
}

/// Returns the hub protocol and version that the client requests, or the error of the handshake
/// response.
fn select_protocol(
    options: &HubOptions,
    transport: TransportType,
    message: &[u8],
) -> Result<(HubProtocolKind, i32), String> {
    let request = handshake::parse_request(message).map_err(|error| match options.enable_detailed_errors {
        true => format!("{UNEXPECTED} {}: {error}", error.type_name()),
        false => UNEXPECTED.to_owned(),
    })?;
    let name = &*request.protocol;
    let format = HubProtocolKind::from_name(name)
        .filter(|format| options.supported_protocols.contains(format))
        .ok_or_else(|| format!("The protocol '{name}' is not supported."))?;
    let name = format.name();
    if request.version > MAX_PROTOCOL_VERSION {
        return Err(format!("The server does not support version {} of the '{name}' protocol.", request.version));
    }
    if format.is_binary() && transport == TransportType::ServerSentEvents {
        return Err(format!(
            "Cannot use the '{name}' protocol on the current transport. The transport does not support 'Binary' transfer format."
        ));
    }
    Ok((format, request.version))
}

fn respond(outbound: &Arc<Outbound>, write: impl FnOnce(&mut Vec<u8>)) {
    with_scratch(|message| {
        write(message);
        outbound.enqueue(message);
    });
}

#[cfg(test)]
mod tests {
    use super::is_complete;

    #[test]
    fn bytes_of_a_request_are_examined_once() {
        assert!(!is_complete(b"{\x1e}", 2, None), "the first 2 bytes were examined before");
        assert!(is_complete(b"{}\x1e", 2, None));
        assert!(is_complete(b"{}\x1e", 2, Some(3)));
        assert!(!is_complete(b"{}", 1, Some(2)));
        assert!(is_complete(b"{}\x1e", 1, Some(2)), "the request is too large");
        assert!(is_complete(b"{}  ", 3, Some(2)), "the examined part is too large");
    }
}
