//! Memory of an idle WebSocket: live bytes on the heap.
//!
//! Clients are plain sockets of the standard library without heap memory, so all of it is the
//! server's. The allocator counts for the whole process, so this is a separate binary.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use signalr::{SignalR, hub};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CONNECTIONS: usize = 500;

/// Neither read buffers nor futures of completed calls are kept: either would exceed this limit.
const LIMIT: usize = 3800;

struct Idle;

#[hub]
impl Idle {
    async fn echo(&self, text: String) -> String {
        text
    }
}

#[test]
fn idle_websocket_uses_less_than_3800_bytes() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let signalr = SignalR::builder().keep_alive_interval(Duration::from_secs(3600)).hub("/idle", Idle).build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let addr = listener.local_addr().unwrap();
    runtime.spawn(signalr.clone().serve(listener));

    // Memory that is allocated once, independent of the number of clients.
    let mut first = connect(addr);
    echo(&mut first);
    let mut clients = Vec::with_capacity(CONNECTIONS);
    let before = live_bytes();

    clients.extend((0..CONNECTIONS).map(|_| connect(addr)));
    clients.iter_mut().for_each(settle);
    let connected = live_bytes() - before;
    clients.iter_mut().for_each(echo);
    clients.iter_mut().for_each(settle);
    let used = live_bytes() - before;
    assert_eq!(signalr.connection_count(), CONNECTIONS + 1);

    println!(
        "bytes a connection: {} after the handshake, {} after a call",
        connected / CONNECTIONS,
        used / CONNECTIONS
    );
    assert!(connected < LIMIT * CONNECTIONS, "{connected} bytes after the handshake");
    assert!(used < LIMIT * CONNECTIONS, "{used} bytes after a call");
    runtime.block_on(signalr.shutdown(Duration::ZERO));
}

fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Sends the upgrade request of a browser.
fn connect(addr: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(addr).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
        .write_all(
            b"GET /idle HTTP/1.1\r\n\
            Host: 127.0.0.1:5000\r\n\
            Connection: Upgrade\r\n\
            Pragma: no-cache\r\n\
            Cache-Control: no-cache\r\n\
            User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36\r\n\
            Upgrade: websocket\r\n\
            Origin: http://127.0.0.1:5000\r\n\
            Sec-WebSocket-Version: 13\r\n\
            Accept-Encoding: gzip, deflate, br, zstd\r\n\
            Accept-Language: en-US,en;q=0.9\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
        )
        .unwrap();
    let mut answer = [0; 512];
    let mut length = 0;
    while !answer[..length].ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut answer[length..=length]).unwrap();
        length += 1;
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    send(&mut socket, b"{\"protocol\":\"json\",\"version\":1}\x1e");
    receive(&mut socket, 0x81, b"{}\x1e");
    socket
}

fn echo(socket: &mut TcpStream) {
    send(socket, b"{\"type\":1,\"invocationId\":\"0\",\"target\":\"Echo\",\"arguments\":[\"hello\"]}\x1e");
    receive(socket, 0x81, b"{\"type\":3,\"invocationId\":\"0\",\"result\":\"hello\"}\x1e");
}

/// Waits for a pong: the server has processed everything before the ping.
fn settle(socket: &mut TcpStream) {
    socket.write_all(&[0x89, 0x80, 0, 0, 0, 0]).unwrap();
    receive(socket, 0x8a, b"");
}

/// Sends one text frame; a mask of zeros leaves the payload unchanged.
fn send(socket: &mut TcpStream, payload: &[u8]) {
    let mut frame = [0; 128];
    let end = 6 + payload.len();
    frame[..2].copy_from_slice(&[0x81, 0x80 | u8::try_from(payload.len()).unwrap()]);
    frame[6..end].copy_from_slice(payload);
    socket.write_all(&frame[..end]).unwrap();
}

/// Receives one unmasked frame.
fn receive(socket: &mut TcpStream, first: u8, payload: &[u8]) {
    let mut frame = [0; 128];
    let frame = &mut frame[..2 + payload.len()];
    socket.read_exact(frame).unwrap();
    assert_eq!((&frame[..2], &frame[2..]), ([first, u8::try_from(payload.len()).unwrap()].as_slice(), payload));
}
