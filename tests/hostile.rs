//! Input that no client sends: each ends as it does in ASP.NET, and the server goes on.

#![cfg(feature = "messagepack")]

#[expect(dead_code, reason = "each suite needs a part of it")]
mod support;

use std::net::SocketAddr;

use serde_json::{Value, json};
use signalr::Format::{Json, MessagePack};
use signalr::{Format, SignalR, hub};
use support::{Client, End, prefixed, serve, until, within};
use tokio::io::AsyncWriteExt;

/// The default of `maximum_receive_message_size`.
const LIMIT: usize = 32 * 1024;

const TOO_LARGE: &str = "InvalidDataException: The maximum message size of 32768B was exceeded. The message size can be configured in AddHubOptions.";

struct Target;

#[hub]
impl Target {
    async fn echo(&self, text: String) -> String {
        text
    }
}

/// A server that tells every error.
async fn target() -> (SignalR, SocketAddr) {
    let signalr = SignalR::builder().hub("/detailed", Target).enable_detailed_errors(true).build().unwrap();
    let addr = serve(&signalr).await;
    (signalr, addr)
}

/// The one thing the server says, and how it ends.
fn closed(error: &str) -> (Value, End) {
    let error = format!("Connection closed with an error. {error}");
    (json!({ "type": 7, "error": error, "allowReconnect": true }), End::Closed(1000))
}

#[tokio::test]
async fn probe() {
    let addr: SocketAddr = match std::env::var("REFERENCE") { Ok(a) => a.parse().unwrap(), Err(_) => { let (s, a) = target().await; std::mem::forget(s); a } };
    let deep = |n: usize| { let mut m = b"{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":".to_vec(); m.extend(vec![b'['; n]); m };
    let closed_deep = |n: usize| { let mut m = deep(n); m.extend(vec![b']'; n]); m.extend(b"}\x1e"); m };
    let mp_deep = |n: usize| { let mut m = vec![0x96, 1, 0x80, 0xa1, b'1', 0xa4, b'E', b'c', b'h', b'o', 0x91]; m.extend(vec![0x91; n]); m.extend([0xc0, 0x90]); prefixed(&m) };
    let mp_deep_maps = |n: usize| { let mut m = vec![0x96, 1]; m.extend(vec![0x81; n]); prefixed(&m) };
    let cases: Vec<(&str, Format, Vec<u8>)> = vec![
        ("nested 15k", Json, closed_deep(15_000)),
        ("nested open", Json, { let mut m = deep(30_000); m.push(0x1e); m }),
        ("nested top", Json, { let mut m = vec![b'['; 30_000]; m.push(0x1e); m }),
        ("nested unknown prop", Json, { let mut m = b"{\"x\":".to_vec(); m.extend("{\"a\":".repeat(5000).bytes()); m.push(0x1e); m }),
        ("empty", Json, vec![0x1e]),
        ("zeros", Json, vec![0, 0, 0x1e]),
        ("long number", Json, { let mut m = b"{\"type\":1".to_vec(); m.extend(vec![b'0'; 10_000]); m.extend(b"}\x1e"); m }),
        ("huge type", Json, b"{\"type\":1e999}\x1e".to_vec()),
        ("lone surrogate", Json, b"{\"type\":1,\"target\":\"\\ud800\",\"arguments\":[]}\x1e".to_vec()),
        ("truncated", Json, b"{\"type\":1,\"target\":\"Ech\x1e".to_vec()),
        ("mp nested", MessagePack, mp_deep(30_000)),
        ("mp nested headers", MessagePack, mp_deep_maps(30_000)),
        ("mp varint", MessagePack, vec![0xff; 10]),
        ("mp varint 6", MessagePack, vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x01]),
        ("mp empty", MessagePack, vec![0]),
        ("mp huge array", MessagePack, prefixed(&[0xdd, 0xff, 0xff, 0xff, 0xff])),
        ("mp huge args", MessagePack, prefixed(&[0x96, 1, 0x80, 0xa1, b'1', 0xa4, b'E', b'c', b'h', b'o', 0xdd, 0xff, 0xff, 0xff, 0xff])),
        ("mp huge str", MessagePack, prefixed(&[0x96, 1, 0x80, 0xdb, 0xff, 0xff, 0xff, 0xff, b'a'])),
        ("mp huge map", MessagePack, prefixed(&[0x96, 1, 0xdf, 0xff, 0xff, 0xff, 0xff])),
        ("mp huge bin arg", MessagePack, prefixed(&[0x96, 1, 0x80, 0xa1, b'1', 0xa4, b'E', b'c', b'h', b'o', 0x91, 0xc6, 0xff, 0xff, 0xff, 0xff, 0x90])),
        ("mp truncated", MessagePack, prefixed(&[0x96, 1, 0x80, 0xa1])),
        ("mp not array", MessagePack, prefixed(&[0xc0])),
        ("mp trailing", MessagePack, prefixed(&[0x91, 6, 0, 0, 0])),
        ("mp reserved", MessagePack, prefixed(&[0xc1])),
        ("mp too long", MessagePack, { let mut m = vec![0xff, 0xff, 0x03]; m.extend(vec![0; 65535]); m }),
        ("too long", Json, vec![b'x'; 10_000_000]),
        ("mp declared 2GB", MessagePack, { let mut m = vec![0xff, 0xff, 0xff, 0xff, 0x07]; m.extend(vec![0; 40_000]); m }),
    ];
    for (name, format, payload) in cases {
        let mut client = Client::connect(addr, "/detailed", format).await;
        client.send_frame(&payload).await;
        client.call(Some("after"), "Echo", &["x".into()]).await;
        let mut out = Vec::new();
        loop {
            let next = tokio::time::timeout(std::time::Duration::from_secs(1), client.next()).await;
            match next { Ok(Some(m)) => out.push(m.to_string()), Ok(None) => { out.push("END".into()); break }, Err(_) => { out.push("STILL OPEN".into()); break } }
        }
        println!("{name}: {}", out.join(" | "));
    }
}
