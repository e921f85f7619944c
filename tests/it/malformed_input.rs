//! Input that no client sends: each case ends as in ASP.NET Core, and the server continues.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use signalr::HubProtocolKind::{Json, MessagePack};
use signalr::{HubProtocolKind, SignalR, hub};
use signalr_test_support::{Client, End, invocation, prefixed, serve, until, within};
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

/// Starts a server with detailed errors.
async fn server() -> (SignalR, SocketAddr) {
    let signalr = SignalR::builder().hub("/detailed", Target).enable_detailed_errors(true).build().unwrap();
    let addr = serve(&signalr).await;
    (signalr, addr)
}

/// The only message of the server, and the close frame.
fn closed(error: &str) -> (Value, End) {
    let error = format!("Connection closed with an error. {error}");
    (json!({ "type": 7, "error": error, "allowReconnect": true }), End::Closed(1000))
}

fn repeat(text: &str, times: usize) -> Vec<u8> {
    text.repeat(times).into_bytes()
}

/// The start of an invocation of `Echo` in MessagePack, up to its arguments.
const CALL: [u8; 10] = [0x96, 1, 0x80, 0xa1, b'1', 0xa4, b'E', b'c', b'h', b'o'];

/// Sends each payload on a new connection and checks that the connection closes with
/// `error`.
async fn assert_each_closes(format: HubProtocolKind, cases: impl IntoIterator<Item = (Vec<u8>, &str)>) {
    let (signalr, addr) = server().await;
    for (payload, error) in cases {
        let shown = payload.escape_ascii().to_string();
        let mut client = Client::connect(addr, "/detailed", format).await;
        client.send(&payload).await;
        assert_eq!(client.last().await, closed(error), "{format:?} {shown:.100}");
    }
    Client::connect(addr, "/detailed", format).await.echo("still here").await;
    until(|| signalr.connection_count() == 0).await;
}

/// The expected texts of this test and the next two were recorded from an ASP.NET Core server.
#[tokio::test]
async fn malformed_json_is_answered_with_the_close_message_of_aspnet() {
    const READING: &str = "InvalidDataException: Error reading JSON.";
    const NOT_AN_OBJECT: &str = "InvalidDataException: Unexpected JSON Token Type 'Array'. Expected a JSON Object.";
    const NOT_AN_INTEGER: &str =
        "FormatException: Either the JSON value is not in a supported format, or is out of bounds for an Int32.";
    const SURROGATE: &str =
        "InvalidOperationException: Cannot read incomplete UTF-16 JSON text as string with missing low surrogate.";
    let call = br#"{"type":1,"invocationId":"1","target":"Echo","arguments":"#;
    let cases = [
        (vec![], READING),
        (b"\0\0".to_vec(), READING),
        (br#"{"type":1,"target":"Ech"#.to_vec(), READING),
        ([call.as_slice(), &repeat("[", 15_000), &repeat("]", 15_000), b"}"].concat(), READING),
        ([call.as_slice(), &repeat("[", 30_000)].concat(), READING),
        ([b"{\"x\":".as_slice(), &repeat("{\"a\":", 5000)].concat(), READING),
        (repeat("[", 30_000), NOT_AN_OBJECT),
        (br#"{"type":1e999}"#.to_vec(), NOT_AN_INTEGER),
        ([b"{\"type\":1".as_slice(), &repeat("0", 10_000), b"}"].concat(), NOT_AN_INTEGER),
        (br#"{"type":1,"target":"\ud800","arguments":[]}"#.to_vec(), SURROGATE),
    ];
    assert_each_closes(Json, cases.map(|(payload, error)| ([payload.as_slice(), b"\x1e"].concat(), error))).await;
}

#[tokio::test]
async fn malformed_messagepack_is_answered_with_the_close_message_of_aspnet() {
    const TOO_LONG_TO_FRAME: &str = "FormatException: Messages over 2GB in size are not supported.";
    const END: &str = "EndOfStreamException: Attempted to read past the end of the stream.";
    let unexpected =
        |code: &str| format!("MessagePackSerializationException: Unexpected msgpack code {code} encountered.");
    let (nil, unused) = (unexpected("192 (nil)"), unexpected("193 ((never used))"));
    let cases = [
        (vec![0xff; 10], TOO_LONG_TO_FRAME),
        (vec![0x80, 0x80, 0x80, 0x80, 0x80, 1], TOO_LONG_TO_FRAME),
        (vec![0], END),
        (prefixed(&[0x96, 1, 0x80, 0xa1]), END),
        (prefixed(&[0xc0]), &nil),
        (prefixed(&[0xc1]), &unused),
        // A header that claims 4,294,967,295 elements.
        (prefixed(&[0xdd, 0xff, 0xff, 0xff, 0xff]), END),
        (
            prefixed(&[0x96, 1, 0xdf, 0xff, 0xff, 0xff, 0xff]),
            "InvalidDataException: Reading map length for 'headers' failed.",
        ),
        (
            prefixed(&[0x96, 1, 0x80, 0xdb, 0xff, 0xff, 0xff, 0xff, b'a']),
            "InvalidDataException: Reading 'invocationId' as String failed.",
        ),
        (
            prefixed(&[[0x96, 1].as_slice(), &[0x81; 30_000]].concat()),
            "InvalidDataException: Reading 'headers[0].Key' as String failed.",
        ),
    ];
    assert_each_closes(MessagePack, cases).await;
}

#[tokio::test]
async fn malformed_messagepack_arguments_fail_only_their_call() {
    const BINDING: &str = "Error binding arguments. Make sure that the types of the provided values match the types of the hub method being invoked.";
    let (_signalr, addr) = server().await;
    let mut client = Client::connect(addr, "/detailed", MessagePack).await;
    for (arguments, error) in [
        ([[0x91].as_slice(), &[0x91; 30_000], &[0xc0, 0x90]].concat(), BINDING),
        (vec![0x91, 0xc6, 0xff, 0xff, 0xff, 0xff, 0x90], BINDING),
        (vec![0xdd, 0xff, 0xff, 0xff, 0xff], "Reading array length for 'arguments' failed."),
    ] {
        client.send(&prefixed(&[CALL.as_slice(), &arguments].concat())).await;
        let error = format!("Failed to invoke 'Echo' due to an error on the server. InvalidDataException: {error}");
        assert_eq!(client.next().await, Some(json!({ "type": 3, "invocationId": "1", "error": error })));
        client.echo("still here").await;
    }
}

#[tokio::test]
async fn endless_message_closes_the_connection_at_the_size_limit() {
    const MEGABYTES: usize = 10;
    let (signalr, addr) = server().await;
    for (format, start) in [(Json, vec![b'{']), (MessagePack, vec![0xff, 0xff, 0xff, 0xff, 0x07])] {
        let mut client = Client::connect(addr, "/detailed", format).await;
        let payload = [start.as_slice(), &repeat("x", MEGABYTES << 20)].concat();
        client.send(&payload).await;
        assert_eq!(client.last().await, closed(TOO_LARGE));

        // One byte below the limit, the connection stays open.
        let mut client = Client::connect(addr, "/detailed", format).await;
        client.send(&payload[..LIMIT]).await;
        client.send(b"x").await;
        assert_eq!(client.last().await, closed(TOO_LARGE));
    }
    until(|| signalr.connection_count() == 0).await;
}

/// The hub messages within the frame are complete, so they are processed as they arrive.
#[tokio::test]
async fn messages_within_an_endless_frame_are_processed_up_to_the_size_limit() {
    // A close frame of the client would be part of the payload.
    let target = SignalR::builder().hub("/detailed", Target).enable_detailed_errors(true);
    let signalr = target.web_socket_close_timeout(Duration::from_millis(100)).build().unwrap();
    let addr = serve(&signalr).await;
    for format in [Json, MessagePack] {
        let mut client = Client::connect(addr, "/detailed", format).await;
        let opcode = if format.is_binary() { 0x82 } else { 0x81 };
        let mut call = match format {
            MessagePack => prefixed(&[CALL.as_slice(), &[0x91, 0xa1, b'a', 0x90]].concat()),
            _ => b"{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"a\"]}\x1e".to_vec(),
        };
        let header = [&[opcode, 0xff], (1_u64 << 40).to_be_bytes().as_slice(), &[0; 4]].concat();
        within(client.socket().write_all(&header)).await.unwrap();
        for byte in call.clone() {
            within(client.socket().write_all(&[byte])).await.unwrap();
        }
        let answer = json!({ "type": 3, "invocationId": "1", "result": "a" });
        assert_eq!(client.next().await, Some(answer.clone()));
        call.extend_from_within(..);
        call.extend([0xff; LIMIT + 1].map(|byte| if format.is_binary() { byte & 0x03 | 0x80 } else { b' ' }));
        let end = if format.is_binary() {
            "FormatException: Messages over 2GB in size are not supported."
        } else {
            TOO_LARGE
        };
        within(client.socket().write_all(&call)).await.unwrap();
        for _ in 0..2 {
            assert_eq!(client.next().await, Some(answer.clone()));
        }
        assert_eq!(client.last().await, closed(end));
    }
    until(|| signalr.connection_count() == 0).await;
}

#[tokio::test]
async fn close_frame_within_a_hub_message_ends_the_connection() {
    let (signalr, addr) = server().await;
    for format in [Json, MessagePack] {
        let mut client = Client::connect(addr, "/detailed", format).await;
        let half = if format.is_binary() { prefixed(&CALL) } else { b"{\"type\":1,".to_vec() };
        client.send(&half[..half.len() - 1]).await;
        within(client.socket().write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8])).await.unwrap();
        assert_eq!(client.end().await, End::Closed(1000));

        // The client ends its side of the socket without a close frame.
        let mut client = Client::connect(addr, "/detailed", format).await;
        client.send(&half[..half.len() - 1]).await;
        within(client.socket().shutdown()).await.unwrap();
        until(|| signalr.connection_count() == 0).await;
    }
    until(|| signalr.connection_count() == 0).await;
}

#[tokio::test]
async fn invalid_frames_are_answered_with_their_close_code() {
    let (signalr, addr) = server().await;
    let mask = [0x80, 0, 0, 0, 0];
    for (frame, code) in [
        ([&[0x81, 0x82, 0, 0, 0, 0], b"\xff\xff".as_slice()].concat(), 1007),
        ([&[0x81, 0x81, 0, 0, 0, 0][..], &"é".as_bytes()[..1]].concat(), 1007),
        (b"\x81\x02{}".to_vec(), 1002),
        ([[0xc1].as_slice(), &mask].concat(), 1002),
        ([[0x83].as_slice(), &mask].concat(), 1002),
        ([[0x80].as_slice(), &mask].concat(), 1002),
        ([[0x09].as_slice(), &mask].concat(), 1002),
        (vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1002),
    ] {
        for is_connected in [false, true] {
            let mut client = Client::open(addr, "/detailed", Json).await;
            if is_connected {
                client.handshake().await;
            }
            within(client.socket().write_all(&frame)).await.unwrap();
            assert_eq!(client.end().await, End::Closed(code), "{frame:x?}");
        }
    }
    Client::connect(addr, "/detailed", Json).await.echo("still here").await;
    until(|| signalr.connection_count() == 0).await;
}

#[tokio::test]
async fn endless_handshake_is_rejected_at_the_size_limit() {
    let (signalr, addr) = server().await;
    let mut client = Client::open(addr, "/detailed", Json).await;
    client.send(&repeat("{", LIMIT + 1)).await;
    assert_eq!(client.last().await, (json!({ "error": "Handshake was canceled." }), End::Closed(1000)));
    until(|| signalr.connection_count() == 0).await;
}

#[tokio::test]
async fn ping_flood_does_not_block_the_connection() {
    let (signalr, addr) = server().await;
    let mut client = Client::connect(addr, "/detailed", Json).await;
    let ping = [&[0x89, 0xfd, 0, 0, 0, 0], [b'p'; 125].as_slice()].concat();
    let pings = ping.repeat(2000);
    within(client.socket().write_all(&pings)).await.unwrap();
    client.echo("still here").await;
    client.close().await;
    until(|| signalr.connection_count() == 0).await;
}

struct Flooded {
    calls: Arc<AtomicUsize>,
}

#[hub]
impl Flooded {
    fn count(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn message_flood_yields_to_other_tasks() {
    const CALLS: usize = 20_000;
    /// More calls than one read of 64 KiB contains.
    const AT_ONCE: usize = 2_000;
    let calls = Arc::new(AtomicUsize::new(0));
    let signalr = SignalR::builder().hub("/flooded", Flooded { calls: Arc::clone(&calls) }).build().unwrap();
    let (client, server) = tokio::io::duplex(4 << 20);
    let service = signalr.service();
    tokio::spawn(async move {
        let _ = http1::Builder::new().serve_connection(TokioIo::new(server), service).with_upgrades().await;
    });
    let mut client = Client::over(client, "/flooded", Json).await;
    client.handshake().await;
    client.send(&invocation(Json, None, "Count", &[]).repeat(CALLS)).await;
    // This task wakes itself, so it runs whenever the connection task yields.
    let (mut seen, mut most) = (0, 0);
    let other = tokio::spawn(poll_fn(move |cx| {
        let now = calls.load(Ordering::SeqCst);
        (seen, most) = (now, most.max(now - seen));
        if seen == CALLS {
            return Poll::Ready(most);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    let most = within(other).await.unwrap();
    assert!(most < AT_ONCE, "{most} calls in one turn");
}
