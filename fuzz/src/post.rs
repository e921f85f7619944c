//! Bodies of POST requests to a long-polling connection.

use http::Method;

use crate::input::Input;
use crate::memory::{self, Client, MAX_CHUNKS};
use crate::raw;

/// Sends the stream of an `Input` as up to four bodies of the same length, one for each request.
/// Checks that the connection receives them complete and in order, and the sent part of a truncated
/// body. With [`VERBATIM`] the stream is the text of HTTP requests, with `{id}` for the connection
/// token.
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
        for chunk in input.chunks(&with_id(input.stream, &id), MAX_CHUNKS) {
            client.write(chunk).await;
        }
    } else {
        sent = Some(send(input, &id, &mut client).await);
    }
    drop(client);
    // The connection may have ended already.
    memory::request(&signalr, Method::DELETE, &format!("/raw?id={id}")).await;
    memory::check_end(signalr).await;
    if let Some(sent) = sent {
        assert_eq!(seen.lock().expect("no panic under the lock").payload, sent);
    }
}

/// Sends the bodies and returns the bytes that the connection must receive.
async fn send(input: &Input<'_>, id: &str, client: &mut Client) -> Vec<u8> {
    let mut sent = Vec::new();
    let length = input.stream.len().div_ceil(usize::from(input.options & BODIES) + 1).max(1);
    for body in input.stream.chunks(length) {
        let is_truncated = input.has(TRUNCATED) && sent.len() + body.len() == input.stream.len();
        let declared = body.len() + usize::from(is_truncated);
        let framing = match input.has(CHUNKED) {
            true => "transfer-encoding: chunked".to_owned(),
            false => format!("content-length: {declared}"),
        };
        client.write(format!("POST /raw?id={id} HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n").as_bytes()).await;
        for chunk in input.chunks(body, MAX_CHUNKS) {
            match input.has(CHUNKED) {
                true if chunk.is_empty() => {}
                true => client.write(&[format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()).await,
                false => client.write(chunk).await,
            }
        }
        if input.has(CHUNKED) && !is_truncated {
            client.write(b"0\r\n\r\n").await;
        }
        sent.extend_from_slice(body);
        let response = client.take();
        assert_eq!(response.starts_with(b"HTTP/1.1 200"), !is_truncated, "{}", String::from_utf8_lossy(&response));
    }
    sent
}

/// Replaces `{id}` in the stream by the connection token.
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

/// Bits with the number of bodies minus one.
const BODIES: u8 = 3;

/// Bodies have the transfer encoding `chunked`.
const CHUNKED: u8 = 4;

/// The last body is truncated.
const TRUNCATED: u8 = 8;

/// The stream is the text of HTTP requests.
const VERBATIM: u8 = 16;
