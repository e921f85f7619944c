//! The WebSocket decoder, behind a raw connection that echoes.

use std::io::{self, Cursor, Read, Write};
use std::mem;

use tungstenite::WebSocket;
use tungstenite::protocol::{Role, WebSocketConfig};

use crate::input::Input;
use crate::memory::{self, CLOSE, Client, MAX_PIECES, PONG};
use crate::raw::{self, Seen};

/// The stream of an `Input` holds the frames of a client. However they are cut, the same payload
/// arrives, with the same pongs and the same end; and it begins with the messages that tungstenite
/// reads.
pub fn run(bytes: &[u8]) {
    let input = Input::new(bytes);
    memory::block_on(async {
        let mut whole = serve(&[input.stream]).await;
        let mut cut = serve(&input.pieces(input.stream, MAX_PIECES)).await;
        let expected = reference(input.stream);
        assert!(whole.seen.payload.starts_with(&expected), "{:?} instead of {expected:?}", whole.seen.payload);
        if whole.close.as_deref() == Some(INVALID) {
            // Of the piece of text in which the fault is, nothing arrives.
            let length = whole.seen.payload.len().min(cut.seen.payload.len());
            whole.seen.payload.truncate(length);
            cut.seen.payload.truncate(length);
        }
        if cut.pongs.len() > MAX_PONGS {
            whole.pongs.clear();
            cut.pongs.clear();
        }
        assert_eq!(whole, cut, "left: in one piece, right: in several");
    });
}

#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    seen: Seen,
    /// Their payload.
    pongs: Vec<Vec<u8>>,
    /// The payload of the close frame.
    close: Option<Vec<u8>>,
}

/// Serves a client that sends these pieces.
async fn serve(pieces: &[&[u8]]) -> Outcome {
    let (signalr, seen) = raw::server();
    let mut client = Client::websocket(&signalr, "/raw").await.expect("the path is open to all");
    for piece in pieces {
        client.write(piece).await;
    }
    let sent = client.take();
    drop(client);
    memory::check_end(signalr).await;

    let seen = mem::take(&mut *seen.lock().expect("no panic under the lock"));
    let mut outcome = Outcome { seen, pongs: Vec::new(), close: None };
    let (mut sent, mut echo) = (&sent[..], Vec::new());
    while let Some((opcode, payload)) = memory::take_frame(&mut sent) {
        assert_eq!(outcome.close, None, "a frame behind the close frame");
        match opcode {
            CLOSE => outcome.close = Some(payload.to_vec()),
            PONG => outcome.pongs.push(payload.to_vec()),
            _ => echo.extend_from_slice(payload),
        }
    }
    assert!(outcome.seen.payload.starts_with(&echo), "{echo:?} is no echo of {:?}", outcome.seen.payload);
    outcome
}

/// The messages in these frames, joined, as tungstenite reads them.
fn reference(frames: &[u8]) -> Vec<u8> {
    let config = WebSocketConfig::default().max_message_size(Some(LIMIT)).max_frame_size(Some(LIMIT));
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

/// More than an input has.
const LIMIT: usize = 1 << 20;

/// The payload of a close frame: text that is no UTF-8.
const INVALID: &[u8] = &1007_u16.to_be_bytes();

/// Where more wait to be written, some are left out.
const MAX_PONGS: usize = 100;
