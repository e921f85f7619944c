//! The handshake: its two messages, and the response of a server.

use signalr::HubProtocolKind;
use signalr::protocol::handshake::{self, Progress};

use crate::hub;
use crate::input::Input;
use crate::memory::{self, BINARY, Client, MAX_CHUNKS};

/// Reads the stream of an `Input` as the first message of a client. Checks that the server accepts
/// exactly the requests that the parser accepts, for any chunks, and that a message which is
/// parsed, written and parsed again stays the same.
pub fn run(bytes: &[u8]) {
    let input = Input::new(bytes);
    let expected = match handshake::find(input.stream, Some(MAX_REQUEST_BYTES)) {
        Progress::Whole { message, .. } => Some(is_acceptable(message)),
        Progress::TooLarge => Some(false),
        _ => None,
    };
    let actual = memory::block_on(response(&input));
    assert_eq!(actual, expected);
    check_response(input.stream);
}

/// Whether a server must accept a request.
fn is_acceptable(message: &[u8]) -> bool {
    let Ok(request) = handshake::parse_request(message) else { return false };
    let mut written = Vec::new();
    handshake::write_request(&mut written, &request.protocol, request.version);
    let Progress::Whole { message, rest: [] } = handshake::find(&written, None) else { panic!("{written:?}") };
    assert_eq!(handshake::parse_request(message).as_ref(), Ok(&request));
    HubProtocolKind::from_name(&request.protocol).is_some() && request.version <= 2
}

/// Parses a response, writes it and parses it again.
fn check_response(message: &[u8]) {
    let Ok(Some(error)) = handshake::parse_response(message) else { return };
    let mut written = Vec::new();
    handshake::write_error(&mut written, &error);
    let Progress::Whole { message, rest: [] } = handshake::find(&written, None) else { panic!("{written:?}") };
    let read = handshake::parse_response(message).expect("a written response can be parsed");
    assert_eq!(read, Some(error).filter(|error| !error.is_empty()));
}

/// Whether a server accepts the request over a WebSocket; `None` without a response.
async fn response(input: &Input<'_>) -> Option<bool> {
    let signalr = hub::server(|hub| hub.maximum_receive_message_size(Some(MAX_REQUEST_BYTES)));
    let mut client = Client::websocket(&signalr, "/hub").await.expect("anonymous clients are allowed");
    for chunk in input.chunks(input.stream, MAX_CHUNKS) {
        client.write(&memory::frame(BINARY, chunk)).await;
    }
    let sent = client.take();
    drop(client);
    memory::check_end(signalr).await;
    let mut sent = &sent[..];
    match memory::take_frame(&mut sent)? {
        (memory::CLOSE, _) => None,
        (_, response) => {
            let Progress::Whole { message, .. } = handshake::find(response, None) else { panic!("{response:?}") };
            Some(handshake::parse_response(message).expect("a handshake response").is_none())
        }
    }
}

/// Maximum size of a request in bytes; larger ones are rejected.
const MAX_REQUEST_BYTES: usize = 1024;
