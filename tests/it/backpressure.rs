//! Connections whose outbound queue is full: waiting messages are sent later or dropped at the end.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use signalr::hosting::{Builder, ResponseBody};
use signalr::{Caller, DisconnectReason, HubProtocolKind, HubResult, SignalR, hub};
use signalr_test_support::{
    Client, ClientKind, DEADLINE, Http1Connection, begin_post, negotiate, response_status, serve,
    serve_with_small_buffers, until, within,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tower::Service;

const LONG: usize = 20_000;

/// Counts disconnects.
struct ConnectionCounter(AtomicUsize);

#[hub]
impl ConnectionCounter {
    fn on_disconnected(&self, _: &Caller<Self>, _: Option<&DisconnectReason>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    async fn echo(&self, text: String) -> String {
        text
    }

    /// Sends a message before the completion.
    async fn note(&self, caller: &Caller<Self>) -> HubResult {
        Ok(caller.client().send("Noted", ()).await?)
    }

    /// Sends more than the queue takes.
    async fn flood(&self, caller: &Caller<Self>) -> HubResult {
        for _ in 0..20 {
            caller.client().send("Flood", ("x".repeat(LONG),)).await?;
        }
        Ok(())
    }
}

async fn server(builder: Builder) -> (SignalR, SocketAddr, Arc<ConnectionCounter>) {
    let counter = Arc::new(ConnectionCounter(AtomicUsize::new(0)));
    let signalr = builder.maximum_receive_message_size(None).hub("/counter", Arc::clone(&counter)).build().unwrap();
    let addr = serve_with_small_buffers(&signalr);
    (signalr, addr, counter)
}

fn call(id: usize, method: &str, arguments: &Value) -> String {
    format!("{}\u{1e}", json!({ "type": 1, "invocationId": id.to_string(), "target": method, "arguments": arguments }))
}

fn calls(count: usize) -> String {
    (0..count).map(|id| call(id, "Echo", &json!(["x".repeat(LONG)]))).collect()
}

fn answer_to(id: &str) -> String {
    format!("{{\"type\":3,\"invocationId\":\"{id}\",\"result\":null}}\u{1e}")
}

/// Counts the completions in `text`.
fn answers(text: &str) -> usize {
    text.matches("\"type\":3").count()
}

#[tokio::test]
async fn completions_beyond_the_buffer_all_arrive_when_they_are_read() {
    const CALLS: usize = 60;
    let (signalr, addr, _) = server(SignalR::builder()).await;
    let full = || until(|| signalr.stats().queued_bytes >= 64 * 1024);

    let mut client = Client::connect(addr, "/counter", HubProtocolKind::Json).await;
    for id in 0..CALLS {
        client.call(Some(&id.to_string()), "Echo", &["x".repeat(LONG).into()]).await;
    }
    for id in 0..CALLS {
        assert_eq!(client.next().await.unwrap()["invocationId"], id.to_string());
    }

    for kind in [ClientKind::SERVER_SENT_EVENTS, ClientKind::LONG_POLLING] {
        let mut client = kind.connect(addr, "/counter").await;
        client.post("").await;
        let sent = tokio::spawn({
            let (text, target) = (calls(CALLS), client.target().to_owned());
            async move { response_status(begin_post(addr, &target, text.len(), text.as_bytes()).await).await }
        });
        full().await;
        let mut seen = 0;
        while seen < CALLS {
            seen += match client.events() {
                Some(events) => answers(&within(events.next()).await.unwrap()),
                None => answers(&within(client.poll()).await.1),
            };
        }
        assert_eq!((seen, within(sent).await.unwrap()), (CALLS, 200));
    }
}

/// The last bytes beyond the limit may be payload or framing that only a WebSocket adds.
#[tokio::test]
async fn calls_behind_a_full_queue_continue_after_it_is_read() {
    let (note, answer) = ("{\"type\":1,\"target\":\"Noted\",\"arguments\":[]}\u{1e}", answer_to("1"));
    for beyond in 0..4 {
        let full = note.len() + answer.len() + beyond;
        let (_signalr, addr, _) = server(SignalR::builder().transport_max_buffer_size(full)).await;
        let client = ClientKind::LONG_POLLING.connect(addr, "/counter").await;
        client.post(&(call(1, "Note", &json!([])) + &call(2, "Note", &json!([])))).await;
        let mut seen = String::new();
        while !seen.ends_with(&answer_to("2")) {
            seen += &within(client.poll()).await.1;
        }
    }
}

#[tokio::test]
async fn connection_without_polls_ends_while_its_queue_is_full() {
    for delete in [false, true] {
        for method in ["Echo", "Flood"] {
            let patience = Duration::from_millis(if delete { 60_000 } else { 300 });
            let (signalr, addr, counter) = server(SignalR::builder().disconnect_timeout(patience)).await;
            let client = ClientKind::LONG_POLLING.connect(addr, "/counter").await;
            let text = match method {
                "Echo" => calls(8),
                _ => call(1, "Flood", &json!([])) + &call(2, "Flood", &json!([])) + &call(3, "Flood", &json!([])),
            };
            let post = client.begin_post(text.as_bytes()).await;
            until(|| signalr.stats().queued_bytes >= 64 * 1024 || signalr.connection_count() == 0).await;
            if delete {
                assert_eq!(client.delete().await.0, 202);
            }
            until(|| signalr.connection_count() == 0 && counter.0.load(Ordering::SeqCst) == 1).await;
            until(|| signalr.stats().queued_bytes == 0).await;
            drop(post);
        }
    }
}

/// A connection that has ended is monitored until its last response is written.
#[tokio::test]
async fn unread_poll_is_aborted_after_the_client_deleted_the_connection() {
    let (signalr, addr, _) = server(SignalR::builder().transport_send_timeout(Duration::from_secs(1))).await;
    let client = ClientKind::LONG_POLLING.connect(addr, "/counter").await;
    client.post(&call(1, "Echo", &json!(["x".repeat(3 * LONG)]))).await;
    until(|| signalr.stats().queued_bytes >= 3 * LONG).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut unread = within(socket.connect(addr)).await.unwrap();
    let request = format!("GET {} HTTP/1.1\r\nhost: test\r\n\r\n", client.target());
    within(unread.write_all(request.as_bytes())).await.unwrap();
    assert_eq!(within(unread.read_u8()).await.unwrap(), b'H');
    assert_eq!(client.delete().await.0, 202);
    until(|| signalr.stats().tasks == 0).await;
    assert_eq!(signalr.stats().queued_bytes, 0);
}

#[tokio::test]
async fn dropped_first_poll_leaves_no_connection() {
    let (signalr, addr, _) = server(SignalR::builder().disconnect_timeout(Duration::from_millis(300))).await;
    let token = negotiate(addr, "/counter").await;
    let request = http::Request::get(format!("/counter?id={token}")).body(ResponseBody::default()).unwrap();
    drop(Service::call(&mut signalr.service(), request));
    until(|| signalr.connection_count() == 0).await;
}

#[tokio::test]
async fn incomplete_post_is_rejected_when_the_connection_ends() {
    let (signalr, addr, _) = server(SignalR::builder()).await;
    let client = ClientKind::LONG_POLLING.connect(addr, "/counter").await;
    let stopped = begin_post(addr, client.target(), 100, b"abc").await;
    until(|| signalr.stats().queued_bytes == 0).await;
    let behind = client.begin_post(b"{\"type\":6}\x1e").await;
    assert_eq!(client.delete().await.0, 202);
    assert_eq!(response_status(behind).await, 404);
    assert_eq!(response_status(stopped).await, 404);
}

/// After 5 s, as in Kestrel.
#[tokio::test]
async fn slow_request_body_is_rejected() {
    let (_signalr, addr, _) = server(SignalR::builder()).await;
    let client = ClientKind::LONG_POLLING.connect(addr, "/counter").await;
    let slow = begin_post(addr, client.target(), 100, b"abc").await;
    assert_eq!(Http1Connection::new(slow).next_response().await, (400, String::new()));
}

/// Returning from `main` without a shutdown must not block on incomplete requests.
#[test]
fn runtime_shuts_down_during_an_incomplete_request_body() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (signalr, addr, token) = runtime.block_on(async {
        let signalr = SignalR::builder().hub("/counter", ConnectionCounter(AtomicUsize::new(0))).build().unwrap();
        let addr = serve(&signalr).await;
        (signalr, addr, negotiate(addr, "/counter").await)
    });
    let mut socket = std::net::TcpStream::connect(addr).unwrap();
    let head = format!("POST /counter?id={token} HTTP/1.1\r\nhost: test\r\ncontent-length: 100\r\n\r\nabc");
    socket.write_all(head.as_bytes()).unwrap();
    runtime.block_on(until(|| signalr.stats().queued_bytes == 3));
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(runtime);
        drop(signalr);
        done.send(()).unwrap();
    });
    is_done.recv_timeout(DEADLINE).unwrap();
    assert_eq!(socket.read(&mut [0; 1]).unwrap_or(0), 0);
}
