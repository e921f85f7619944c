//! WebSockets, with any headers and without compression.

use std::future::pending;
use std::pin::pin;

use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::client::{Report, Reporter};
use super::http::{builder, exchange, rejection};
use super::{BadRequest, Server, failure, fields};
use crate::bindings::Bindings;
use crate::transcript::ClientRequest;

/// Returns the upgrade request.
pub(super) fn request(
    server: &Server,
    spec: &ClientRequest,
    bindings: &Bindings,
) -> Result<Request<Full<Bytes>>, BadRequest> {
    let mut request = builder(server, spec, bindings)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, generate_key());
    if !spec.subprotocols.is_empty() {
        request = request.header(SEC_WEBSOCKET_PROTOCOL, spec.subprotocols.join(","));
    }
    Ok(request.body(Full::default())?)
}

/// Reports received messages and sends outgoing ones until the connection ends.
pub(super) async fn run(
    server: Server,
    request: Request<Full<Bytes>>,
    reporter: Reporter,
    outgoing: UnboundedReceiver<Message>,
) {
    let key = request.headers().get(SEC_WEBSOCKET_KEY).cloned();
    let mut exchange = match exchange(&server, request).await {
        Ok(exchange) if exchange.response.status() == StatusCode::SWITCHING_PROTOCOLS => exchange,
        Ok(exchange) => return reporter.send(Report::Ended(rejection(exchange).await)),
        Err(error) => return reporter.send(Report::Ended(failure(&error))),
    };
    if let Some(error) = upgrade_error(exchange.response.headers(), key.as_ref()) {
        return reporter.send(Report::Ended(fields([("error", json!(error))])));
    }
    let upgraded = match hyper::upgrade::on(&mut exchange.response).await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => return reporter.send(Report::Ended(failure(&error))),
    };
    let opened = Instant::now();
    reporter.send(Report::Opened(opened_fields(exchange.response.headers())));
    let limits =
        WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE_BYTES)).max_frame_size(Some(MAX_MESSAGE_BYTES));
    let (sink, stream) = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(limits)).await.split();
    // Reads and writes run concurrently: a server may wait for its own writes before it continues
    // to read.
    let mut end = tokio::select! {
        end = receive(stream, &reporter) => end,
        () = transmit(sink, outgoing) => unreachable!("`transmit` never completes"),
    };
    if end.contains_key("code") {
        end.insert("elapsedMs".to_owned(), json!(u64::try_from(opened.elapsed().as_millis()).unwrap_or(u64::MAX)));
    }
    reporter.send(Report::Ended(end));
}

/// Returns the error of a response with status 101, if any.
fn upgrade_error(headers: &HeaderMap, key: Option<&HeaderValue>) -> Option<String> {
    let accept = key.map(|key| derive_accept_key(key.as_bytes()));
    if headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes) != accept.as_deref().map(str::as_bytes) {
        return Some("wrong Sec-WebSocket-Accept".to_owned());
    }
    let extensions = headers.get(SEC_WEBSOCKET_EXTENSIONS)?;
    Some(format!("unexpected extension: {}", String::from_utf8_lossy(extensions.as_bytes())))
}

fn opened_fields(headers: &HeaderMap) -> Map<String, Value> {
    let mut opened = fields([("open", json!(true))]);
    if let Some(protocol) = headers.get(SEC_WEBSOCKET_PROTOCOL) {
        opened.insert("subprotocol".to_owned(), json!(String::from_utf8_lossy(protocol.as_bytes())));
    }
    opened
}

/// Reports messages until the TCP connection ends, and returns the fields of that end.
async fn receive(stream: impl Stream<Item = Result<Message, Error>>, reporter: &Reporter) -> Map<String, Value> {
    let mut stream = pin!(stream);
    let mut close = None;
    loop {
        match stream.next().await {
            Some(Ok(Message::Text(text))) => reporter.send(Report::Bytes { bytes: text.into(), binary: false }),
            Some(Ok(Message::Binary(bytes))) => reporter.send(Report::Bytes { bytes, binary: true }),
            Some(Ok(Message::Close(frame))) => close = Some(frame),
            Some(Ok(_)) => {}
            // After a close frame of the server, errors of the TCP connection do not matter.
            Some(Err(_)) | None if close.is_some() => return closed(close.flatten(), NO_STATUS),
            Some(Err(Error::Io(_) | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) | None => {
                return closed(None, ABNORMAL_CLOSURE);
            }
            Some(Err(error)) => return failure(&error),
        }
    }
}

fn closed(frame: Option<CloseFrame>, without: u16) -> Map<String, Value> {
    let (code, reason) = frame.map_or((without, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
    fields([("code", json!(code)), ("reason", json!(reason))])
}

/// Sends outgoing messages. Never completes, since [`receive`] reports the end of the connection.
async fn transmit(sink: impl Sink<Message, Error = Error>, mut outgoing: UnboundedReceiver<Message>) {
    let mut sink = pin!(sink);
    while let Some(message) = outgoing.recv().await {
        if sink.send(message).await.is_err() {
            break;
        }
    }
    pending().await
}

/// Maximum message size in bytes, far above that of any transcript.
const MAX_MESSAGE_BYTES: usize = 1 << 28;

/// Close code for a close frame without a code. RFC 6455 § 7.4.1.
const NO_STATUS: u16 = 1005;

/// Close code for an end without a close frame. RFC 6455 § 7.4.1.
const ABNORMAL_CLOSURE: u16 = 1006;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(extension: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        if let Some(extension) = extension {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(extension));
        }
        headers
    }

    #[test]
    fn upgrades_with_a_wrong_key_or_an_extension_are_errors() {
        // The example of RFC 6455 § 1.3.
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(upgrade_error(&headers(None), Some(&key)), None);
        assert!(upgrade_error(&headers(None), Some(&HeaderValue::from_static("another"))).is_some());
        assert!(upgrade_error(&HeaderMap::new(), Some(&key)).is_some());
        assert!(upgrade_error(&headers(Some("permessage-deflate")), Some(&key)).is_some());
    }
}
