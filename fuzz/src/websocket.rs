//! The WebSocket decoder, tested by a connection handler that echoes.

use std::io::{self, Cursor, Read, Write};
use std::mem;

use tungstenite::WebSocket;
use tungstenite::protocol::{Role, WebSocketConfig};

use crate::input::Input;
use crate::memory::{self, CLOSE, Client, MAX_CHUNKS, PONG};
use crate::raw::{self, Recorded};

/// Sends the stream of an `Input` as the frames of a client. Checks that payload, pongs and end do
/// not depend on the chunks, and that the payload begins with the messages that tungstenite reads.
pub fn run(bytes: &[u8]) {
    let input = Input::new(bytes);
    memory::block_on(async {
        let mut at_once = serve(&[input.stream]).await;
        let mut chunked = serve(&input.chunks(input.stream, MAX_CHUNKS)).await;
        let expected = reference(input.stream);
        assert!(
            at_once.recorded.payload.starts_with(&expected),
            "{:?} instead of {expected:?}",
            at_once.recorded.payload
        );
        if at_once.close.as_deref() == Some(INVALID) {
            // Nothing arrives of a chunk with invalid UTF-8.
            let length = at_once.recorded.payload.len().min(chunked.recorded.payload.len());
            at_once.recorded.payload.truncate(length);
            chunked.recorded.payload.truncate(length);
        }
        if chunked.pongs.len() > MAX_PONGS {
            at_once.pongs.clear();
            chunked.pongs.clear();
        }
        assert_eq!(at_once, chunked, "left: in one chunk, right: in several");
    });
}

#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    recorded: Recorded,
    /// Payloads of the pongs.
    pongs: Vec<Vec<u8>>,
    /// Payload of the close frame.
    close: Option<Vec<u8>>,
}

/// Serves a client that sends these chunks.
async fn serve(chunks: &[&[u8]]) -> Outcome {
    let (signalr, recorded) = raw::server();
    let mut client = Client::websocket(&signalr, "/raw").await.expect("anonymous clients are allowed");
    for chunk in chunks {
        client.write(chunk).await;
    }
    let sent = client.take();
    drop(client);
    memory::check_end(signalr).await;

    let recorded = mem::take(&mut *recorded.lock().expect("no panic under the lock"));
    let mut outcome = Outcome { recorded, pongs: Vec::new(), close: None };
    let (mut sent, mut echo) = (&sent[..], Vec::new());
    while let Some((opcode, payload)) = memory::take_frame(&mut sent) {
        assert_eq!(outcome.close, None, "a frame after the close frame");
        match opcode {
            CLOSE => outcome.close = Some(payload.to_vec()),
            PONG => outcome.pongs.push(payload.to_vec()),
            _ => echo.extend_from_slice(payload),
        }
    }
    assert!(outcome.recorded.payload.starts_with(&echo), "{echo:?} is not an echo of {:?}", outcome.recorded.payload);
    outcome
}

/// Returns the messages in these frames, joined, as tungstenite reads them.
fn reference(frames: &[u8]) -> Vec<u8> {
    let config =
        WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE_BYTES)).max_frame_size(Some(MAX_MESSAGE_BYTES));
    let mut socket = WebSocket::from_raw_socket(Source(Cursor::new(frames)), Role::Server, Some(config));
    let mut payload = Vec::new();
    while let Ok(message) = socket.read() {
        if message.is_text() || message.is_binary() {
            payload.extend_from_slice(&message.into_data());
        }
    }
    payload
}

/// Reads from a slice, and drops all output.
struct Source<'a>(Cursor<&'a [u8]>);

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Source<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Larger than any input, in bytes.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Payload of the close frame after invalid UTF-8.
const INVALID: &[u8] = &1007_u16.to_be_bytes();

/// Number of pongs above which the server may drop some.
const MAX_PONGS: usize = 100;
