//! The bodies of POST requests, on their way to a connection by long polling.

use http::Method;

use crate::input::Input;
use crate::memory::{self, Client, MAX_PIECES};
use crate::raw;

/// The stream of an `Input` holds up to four bodies of the same length, each for one request. They
/// arrive whole and in order, and of a body that is cut off the part that was sent. Or the stream
/// is text of HTTP, with `{id}` for the connection token.
pub fn run(bytes: &[u8]) {
    memory::block_on(serve(&Input::new(bytes)));
}

async fn serve(input: &Input<'_>) {
    let (signalr, seen) = raw::server();
    let id = memory::negotiate(&signalr, "/raw", false).await;
    // The first poll opens the connection.
    memory::request(&signalr, Method::GET, &format!("/raw?id={id}")).await;
    let mut client = Client::connect(&signalr);
    let mut sent = None;
    if input.has(VERBATIM) {
        for piece in input.pieces(&with_id(input.stream, &id), MAX_PIECES) {
            client.write(piece).await;
        }
    } else {
        sent = Some(send(input, &id, &mut client).await);
    }
    drop(client);
    // It may have ended already.
    memory::request(&signalr, Method::DELETE, &format!("/raw?id={id}")).await;
    memory::check_end(signalr).await;
    if let Some(sent) = sent {
        assert_eq!(seen.lock().expect("no panic under the lock").payload, sent);
    }
}

/// Sends the bodies, and returns the bytes that the connection has to read.
async fn send(input: &Input<'_>, id: &str, client: &mut Client) -> Vec<u8> {
    let mut sent = Vec::new();
    let length = input.stream.len().div_ceil(usize::from(input.options & BODIES) + 1).max(1);
    for body in input.stream.chunks(length) {
        let is_cut = input.has(CUT) && sent.len() + body.len() == input.stream.len();
        let declared = body.len() + usize::from(is_cut);
        let framing = match input.has(CHUNKED) {
            true => "transfer-encoding: chunked".to_owned(),
            false => format!("content-length: {declared}"),
        };
        client.write(format!("POST /raw?id={id} HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n").as_bytes()).await;
        for piece in input.pieces(body, MAX_PIECES) {
            match input.has(CHUNKED) {
                true if piece.is_empty() => {}
                true => client.write(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()).await,
                false => client.write(piece).await,
            }
        }
        if input.has(CHUNKED) && !is_cut {
            client.write(b"0\r\n\r\n").await;
        }
        sent.extend_from_slice(body);
        let answer = client.take();
        assert_eq!(answer.starts_with(b"HTTP/1.1 200"), !is_cut, "{}", String::from_utf8_lossy(&answer));
    }
    sent
}

/// The stream with the token in the places for it.
fn with_id(stream: &[u8], id: &str) -> Vec<u8> {
    let mut filled = Vec::new();
    for part in stream.split_inclusive(|byte| *byte == b'}') {
        match part.strip_suffix(b"{id}") {
            Some(before) => filled.extend([before, id.as_bytes()].concat()),
            None => filled.extend_from_slice(part),
        }
    }
    filled
}

/// The number of bodies, less one.
const BODIES: u8 = 3;

const CHUNKED: u8 = 4;

/// The end of the last body is missing.
const CUT: u8 = 8;

/// The stream is text of HTTP.
const VERBATIM: u8 = 16;
