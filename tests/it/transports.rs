//! Connections by Server-Sent Events and long polling: lifetime and end.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use signalr::auth::JwtBearer;
use signalr::hosting::{Builder, TransportType};
use signalr::{Caller, DisconnectReason, SignalR, hub};
use signalr_test_support::{
    Client, ClientKind, Http1Connection, begin_post, http, negotiate, response_status, serve, until, within,
};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

/// Records connects and disconnects.
struct ConnectionCounter {
    connected: Mutex<Vec<TransportType>>,
    disconnected: Mutex<Vec<Option<String>>>,
    gate: Semaphore,
}

impl ConnectionCounter {
    fn new() -> Arc<Self> {
        Arc::new(Self { connected: Mutex::default(), disconnected: Mutex::default(), gate: Semaphore::new(0) })
    }

    fn disconnected(&self) -> Vec<Option<String>> {
        self.disconnected.lock().unwrap().clone()
    }
}

#[hub]
impl ConnectionCounter {
    fn on_connected(&self, caller: &Caller<Self>) {
        self.connected.lock().unwrap().push(caller.transport());
    }

    fn on_disconnected(&self, _caller: &Caller<Self>, reason: Option<&DisconnectReason>) {
        self.disconnected.lock().unwrap().push(reason.map(|reason| reason.type_name().to_owned()));
    }

    async fn echo(&self, text: String) -> String {
        text
    }

    fn abort(&self, caller: &Caller<Self>) {
        caller.abort();
    }

    async fn wait(&self) {
        self.gate.acquire().await.unwrap().forget();
    }
}

async fn server(builder: Builder, counter: &Arc<ConnectionCounter>) -> (SignalR, SocketAddr) {
    let signalr = builder.hub("/counter", Arc::clone(counter)).build().unwrap();
    let addr = serve(&signalr).await;
    (signalr, addr)
}

fn call(id: &str, method: &str, arguments: &Value) -> String {
    format!("{}\u{1e}", json!({ "type": 1, "invocationId": id, "target": method, "arguments": arguments }))
}

fn result(id: &str, result: &Value) -> Option<Value> {
    Some(json!({ "type": 3, "invocationId": id, "result": result }))
}

/// Ends a connection of each transport by `end`, and checks that the hub is notified once, with
/// this reason.
async fn assert_reported_once(reason: Option<&str>, end: impl AsyncFn(Client, &SignalR)) {
    for kind in [ClientKind::SERVER_SENT_EVENTS, ClientKind::LONG_POLLING] {
        let counter = ConnectionCounter::new();
        let builder = SignalR::builder()
            .client_timeout_interval(Duration::from_secs(1))
            .disconnect_timeout(Duration::from_millis(500));
        let (signalr, addr) = server(builder, &counter).await;
        let client = kind.connect(addr, "/counter").await;
        end(client, &signalr).await;
        until(|| signalr.connection_count() == 0 && !counter.disconnected().is_empty()).await;
        within(signalr.shutdown(Duration::from_secs(1))).await;
        assert_eq!(*counter.connected.lock().unwrap(), [kind.transport]);
        assert_eq!(counter.disconnected(), [reason.map(str::to_owned)]);
    }
}

#[tokio::test]
async fn lost_connection_is_reported_to_the_hub_once() {
    assert_reported_once(None, async |client, _| drop(client)).await;
    assert_reported_once(Some("InvalidDataException"), async |client, _| client.post("{\"type\"").await).await;
}

#[tokio::test]
async fn client_close_is_reported_to_the_hub_once() {
    assert_reported_once(None, async |mut client, _| {
        client.post("{\"type\":7}\u{1e}").await;
        assert_eq!(client.next().await, Some(json!({ "type": 7 })));
        assert_eq!(client.next().await, None);
    })
    .await;
}

#[tokio::test]
async fn abort_is_reported_to_the_hub_once() {
    assert_reported_once(None, async |mut client, _| {
        client.post(&call("1", "Abort", &json!([]))).await;
        assert_eq!(client.next().await, Some(json!({ "type": 7 })));
        assert_eq!(client.next().await, None);
    })
    .await;
}

#[tokio::test]
async fn client_timeout_is_reported_to_the_hub_once() {
    assert_reported_once(Some("OperationCanceledException"), async |mut client, _| {
        client.post("{\"type\":6}\u{1e}").await;
        let expected = json!({ "type": 7, "error": "Connection closed with an error.", "allowReconnect": true });
        assert_eq!(client.next().await, Some(expected));
        assert_eq!(client.next().await, None);
    })
    .await;
}

#[tokio::test]
async fn shutdown_is_reported_to_the_hub_once_and_completes_pending_polls() {
    assert_reported_once(None, async |mut client, signalr| {
        let going = signalr.clone();
        let shutdown = tokio::spawn(async move { going.shutdown(Duration::from_secs(60)).await });
        if let Some(events) = client.events() {
            assert_eq!(events.next().await.as_deref(), Some("{\"type\":7,\"allowReconnect\":true}\u{1e}"));
            assert_eq!(events.next().await, None);
        }
        within(shutdown).await.unwrap();
    })
    .await;

    // A pending poll is answered although the server accepts no other request.
    let counter = ConnectionCounter::new();
    let (signalr, addr) = server(SignalR::builder(), &counter).await;
    let client = ClientKind::LONG_POLLING.connect(addr, "/counter").await;
    let mut socket = within(tokio::net::TcpStream::connect(addr)).await.unwrap();
    let request = format!("GET {} HTTP/1.1\r\nhost: test\r\n\r\n", client.target());
    socket.write_all(request.as_bytes()).await.unwrap();
    // This call is behind the poll in any case, and is answered by it.
    client.post(&call("1", "Echo", &json!(["first"]))).await;
    let mut polls = Http1Connection::new(socket);
    assert_eq!(polls.next_response().await, (200, call_result("1", "first")));
    polls.send(&request).await;
    client.post("{\"type\":6}\u{1e}").await;
    let ending = signalr.clone();
    let shutdown = tokio::spawn(async move { ending.shutdown(Duration::from_secs(60)).await });
    assert_eq!(polls.next_response().await, (200, "{\"type\":7,\"allowReconnect\":true}\u{1e}".to_owned()));
    within(shutdown).await.unwrap();
    assert_eq!(counter.disconnected(), [None]);
}

fn call_result(id: &str, result: &str) -> String {
    format!("{{\"type\":3,\"invocationId\":\"{id}\",\"result\":\"{result}\"}}\u{1e}")
}

#[tokio::test]
async fn delete_request_is_reported_to_the_hub_once() {
    let counter = ConnectionCounter::new();
    let (signalr, addr) = server(SignalR::builder(), &counter).await;
    let client = ClientKind::LONG_POLLING.connect(addr, "/counter").await;
    assert_eq!(client.delete().await, (202, String::new()));
    until(|| signalr.connection_count() == 0).await;
    assert_eq!(client.delete().await.0, 404);
    assert_eq!(client.poll().await.0, 404);
    assert_eq!(counter.disconnected(), [None]);
}

#[tokio::test]
async fn poll_without_messages_completes_after_the_poll_timeout() {
    let counter = ConnectionCounter::new();
    let builder = SignalR::builder().long_polling_poll_timeout(Duration::from_millis(100));
    let (_signalr, addr) = server(builder, &counter).await;
    let mut client = ClientKind::LONG_POLLING.connect(addr, "/counter").await;
    for _ in 0..3 {
        assert_eq!(client.poll().await, (200, String::new()));
    }
    client.post(&call("1", "Echo", &json!(["still here"]))).await;
    assert_eq!(client.next().await, result("1", &json!("still here")));
}

#[tokio::test]
async fn newest_of_concurrent_polls_stays_open() {
    let counter = ConnectionCounter::new();
    let (_signalr, addr) = server(SignalR::builder(), &counter).await;
    let client = Arc::new(ClientKind::LONG_POLLING.connect(addr, "/counter").await);
    let polls: Vec<_> = (0..5)
        .map(|_| {
            let client = Arc::clone(&client);
            tokio::spawn(async move { client.poll().await })
        })
        .collect();
    until(|| polls.iter().filter(|poll| poll.is_finished()).count() == 4).await;
    client.post(&call("1", "Echo", &json!(["here"]))).await;
    let mut answers = Vec::new();
    for poll in polls {
        answers.push(within(poll).await.unwrap());
    }
    answers.sort();
    assert_eq!(answers[0], (200, call_result("1", "here")));
    assert_eq!(answers[1..], vec![(204, String::new()); 4]);
}

#[tokio::test]
async fn dropped_poll_is_replaced_by_the_next() {
    let counter = ConnectionCounter::new();
    let (_signalr, addr) = server(SignalR::builder(), &counter).await;
    let mut client = ClientKind::LONG_POLLING.connect(addr, "/counter").await;
    for n in 0..5 {
        let mut socket = within(tokio::net::TcpStream::connect(addr)).await.unwrap();
        let request = format!("GET {} HTTP/1.1\r\nhost: test\r\n\r\n", client.target());
        socket.write_all(request.as_bytes()).await.unwrap();
        drop(socket);
        client.post(&call(&n.to_string(), "Echo", &json!([n.to_string()]))).await;
        assert_eq!(client.next().await, result(&n.to_string(), &json!(n.to_string())));
    }
}

#[tokio::test]
async fn concurrent_posts_are_processed_one_after_another() {
    let counter = ConnectionCounter::new();
    let (_signalr, addr) = server(SignalR::builder(), &counter).await;
    let mut client = ClientKind::SERVER_SENT_EVENTS.connect(addr, "/counter").await;
    let mut pending = Vec::new();
    for n in 0..20 {
        pending.push(client.begin_post(call(&n.to_string(), "Echo", &json!([n.to_string()])).as_bytes()).await);
    }
    for socket in pending {
        assert_eq!(response_status(socket).await, 200);
    }
    let mut seen = Vec::new();
    while seen.len() < 20 {
        let events = client.events().unwrap().next().await.unwrap();
        for message in events.split_terminator('\u{1e}') {
            let message: Value = serde_json::from_str(message).unwrap();
            if message["type"] == 3 {
                seen.push(message["invocationId"].as_str().unwrap().parse::<u32>().unwrap());
            }
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn slow_hub_delays_only_the_posts_of_its_connection() {
    for kind in [ClientKind::SERVER_SENT_EVENTS, ClientKind::LONG_POLLING] {
        let counter = ConnectionCounter::new();
        let (_signalr, addr) = server(SignalR::builder().application_max_buffer_size(4096), &counter).await;
        let slow = kind.connect(addr, "/counter").await;
        let mut other = kind.connect(addr, "/counter").await;
        slow.post(&call("1", "Wait", &json!([]))).await;
        slow.post(&call("2", "Echo", &json!(["behind"]))).await;
        let much = call("3", "Echo", &json!(["x".repeat(20_000)]));
        let socket = slow.begin_post(much.as_bytes()).await;
        let answer = tokio::spawn(response_status(socket));
        other.post(&call("1", "Echo", &json!(["at once"]))).await;
        assert_eq!(other.next().await, result("1", &json!("at once")));
        assert!(!answer.is_finished());
        counter.gate.add_permits(1);
        assert_eq!(within(answer).await.unwrap(), 200);
    }
}

#[tokio::test]
async fn waiting_post_is_rejected_when_the_connection_ends() {
    for shuts_down in [false, true] {
        let counter = ConnectionCounter::new();
        let patience = Duration::from_millis(if shuts_down { 60_000 } else { 200 });
        let builder = SignalR::builder().application_max_buffer_size(1024).disconnect_timeout(patience);
        let (signalr, addr) = server(builder, &counter).await;
        // No transport is opened for this connection.
        let target = format!("/counter?id={}", negotiate(addr, "/counter").await);
        let socket = begin_post(addr, &target, 5000, &[b'x'; 5000]).await;
        until(|| signalr.stats().queued_bytes > 0).await;
        if shuts_down {
            within(signalr.shutdown(Duration::from_secs(60))).await;
        }
        assert_eq!(response_status(socket).await, 404);
        assert_eq!(signalr.connection_count(), 0);
    }
}

#[tokio::test]
async fn long_message_is_written_in_pieces_and_arrives_whole() {
    for kind in [ClientKind::SERVER_SENT_EVENTS, ClientKind::LONG_POLLING] {
        let counter = ConnectionCounter::new();
        let builder = SignalR::builder().maximum_receive_message_size(None);
        let (_signalr, addr) = server(builder, &counter).await;
        let mut client = kind.connect(addr, "/counter").await;
        let text = "0123456789".repeat(100_000);
        client.post(&call("1", "Echo", &json!([text]))).await;
        assert_eq!(client.next().await, result("1", &json!(text)));
    }
}

const KEY: &[u8; 32] = b"a-key-of-thirty-two-bytes-length";

fn bearer() -> JwtBearer {
    JwtBearer::hmac(KEY).allow_any_issuer().allow_any_audience()
}

fn token(user: &str, good_for: Duration) -> String {
    let expires_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + good_for;
    let claims = json!({ "sub": user, "exp": expires_at.as_secs() });
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &jsonwebtoken::EncodingKey::from_secret(KEY))
        .unwrap()
}

#[tokio::test]
async fn token_expiration_is_reported_to_the_hub_once() {
    let ends = async |kind: ClientKind| {
        let counter = ConnectionCounter::new();
        let builder = SignalR::builder().authentication(bearer()).close_on_authentication_expiration(true);
        let (signalr, addr) = server(builder, &counter).await;
        let query = format!("access_token={}", token("me", Duration::from_secs(4)));
        let (_, body) = http(addr, "POST", &format!("/counter/negotiate?negotiateVersion=1&{query}"), &[]).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        let target = format!("/counter?id={}&{query}", body["connectionToken"].as_str().unwrap());
        let reconnect_close = json!({ "type": 7, "allowReconnect": true });
        let mut client = kind.open(addr, &target).await;
        client.handshake().await;
        assert_eq!(client.next().await, Some(reconnect_close));
        client.assert_closed().await;
        until(|| signalr.connection_count() == 0).await;
        assert_eq!((&*counter.connected.lock().unwrap(), counter.disconnected()), (&vec![kind.transport], vec![None]));
    };
    tokio::join!(ends(ClientKind::WEB_SOCKETS), ends(ClientKind::SERVER_SENT_EVENTS), ends(ClientKind::LONG_POLLING));
}

#[tokio::test]
async fn requests_of_another_user_are_rejected_and_the_connection_stays_open() {
    let counter = ConnectionCounter::new();
    let (signalr, addr) = server(SignalR::builder().authentication(bearer()), &counter).await;
    let day = Duration::from_secs(86_400);
    let (mine, other) = (format!("Bearer {}", token("me", day)), format!("Bearer {}", token("other", day)));
    let (mine, other) = (("authorization", mine.as_str()), ("authorization", other.as_str()));
    let (_, body) = http(addr, "POST", "/counter/negotiate?negotiateVersion=1", &[mine]).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    let target = format!("/counter?id={}", body["connectionToken"].as_str().unwrap());
    for headers in [&[other][..], &[]] {
        for method in ["GET", "POST", "DELETE"] {
            assert_eq!(http(addr, method, &target, headers).await, (403, String::new()), "{method}");
        }
        let events = [headers, &[("accept", "text/event-stream")]].concat();
        assert_eq!(http(addr, "GET", &target, &events).await.0, 403);
    }
    assert_eq!(http(addr, "GET", &target, &[mine]).await, (200, String::new()));
    assert_eq!(http(addr, "GET", &target, &[other]).await.0, 403);
    assert_eq!(http(addr, "DELETE", &target, &[mine]).await.0, 202);
    until(|| signalr.connection_count() == 0).await;
}
