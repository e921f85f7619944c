//! The handshake: its two messages, and a server that answers it.

use signalr::HubProtocolKind;
use signalr::protocol::handshake::{self, Progress};

use crate::hub;
use crate::input::Input;
use crate::memory::{self, BINARY, Client, MAX_PIECES};

/// The stream of an `Input` holds the first message of a client. However it is cut, the server
/// accepts the requests that the parser accepts; and a message that is parsed, written and parsed
/// again stays the same.
pub fn run(bytes: &[u8]) {
    let input = Input::new(bytes);
    let agreed = match handshake::find(input.stream, Some(LIMIT)) {
        Progress::Whole { message, .. } => Some(agrees(message)),
        Progress::TooLarge => Some(false),
        _ => None,
    };
    let answer = memory::block_on(answer(&input));
    assert_eq!(answer, agreed);
    check_response(input.stream);
}

/// Whether a server is to accept a request.
fn agrees(message: &[u8]) -> bool {
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

/// The server's answer over a WebSocket: whether it accepts the request, or `None` if there is no
/// answer.
async fn answer(input: &Input<'_>) -> Option<bool> {
    let signalr = hub::server(|hub| hub.maximum_receive_message_size(Some(LIMIT)));
    let mut client = Client::websocket(&signalr, "/hub").await.expect("the path is open to all");
    for piece in input.pieces(input.stream, MAX_PIECES) {
        client.write(&memory::frame(BINARY, piece)).await;
    }
    let sent = client.take();
    drop(client);
    memory::check_end(signalr).await;
    let mut sent = &sent[..];
    match memory::take_frame(&mut sent)? {
        (memory::CLOSE, _) => None,
        (_, answer) => {
            let Progress::Whole { message, .. } = handshake::find(answer, None) else { panic!("{answer:?}") };
            Some(handshake::parse_response(message).expect("a handshake response").is_none())
        }
    }
}

/// The largest request; a larger one is refused.
const LIMIT: usize = 1024;
