//! The runner detects servers that deviate from a transcript.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::time::Duration;

use protocol_tests::{Runner, Server, Timeouts, Transcript};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Response of a server that conforms to [`transcript`].
const RESPONSE: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"id\":\"1 of 2\"}";

#[tokio::test]
async fn conforming_server_passes() {
    assert_eq!(differences(&response(15, "")).await, [""; 0]);
}

#[tokio::test]
async fn different_status_header_and_body_are_detected() {
    let found = differences(&response(15, "").replace("200 OK", "404 Not Found")).await;
    assert_eq!(found, ["#1 http of h: .status: want 200 got 404"]);
    let found = differences(&response(15, "pragma: no-cache\r\n")).await;
    assert_eq!(found, ["#1 http of h: .headers.pragma: unexpected \"no-cache\""]);
    let found = differences(&response(15, "").replace("1 of", "2 of")).await;
    assert_eq!(found, ["#1 http of h: .json.id: want \"1 of 2\" got \"2 of 2\""]);
}

#[tokio::test]
async fn truncated_response_is_detected() {
    let found = differences(&response(100, "")).await;
    assert!(found.iter().any(|it| it.contains(".error: unexpected")), "{found:?}");
}

#[tokio::test]
async fn missing_response_is_detected_after_the_timeout() {
    let found = differences("").await;
    assert!(matches!(&found[..], [it] if it.starts_with("#1 http of h: nothing within 300ms")), "{found:?}");
}

#[tokio::test]
async fn unreachable_server_is_detected() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = server(&listener);
    drop(listener);
    let found = run(server).await;
    assert!(found.iter().any(|it| it.contains("cannot connect to the server")), "{found:?}");
}

/// [`RESPONSE`] with another length and an additional header.
fn response(length: usize, header: &str) -> String {
    RESPONSE.replace("content-length: 15\r\n", &format!("content-length: {length}\r\n{header}"))
}

/// Differences that the runner finds with a server that sends this response. An empty one keeps the
/// connection open.
async fn differences(response: &str) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let run = run(server(&listener));
    let response = response.to_owned();
    let serve = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(response.as_bytes()).await.unwrap();
        if response.is_empty() {
            std::future::pending::<()>().await;
        }
    };
    let serving = tokio::spawn(serve);
    let found = run.await;
    serving.abort();
    found
}

fn server(listener: &TcpListener) -> Server {
    format!("http://{}", listener.local_addr().unwrap()).parse().unwrap()
}

async fn run(server: Server) -> Vec<String> {
    let mut timeouts = Timeouts::default();
    timeouts.other = Duration::from_millis(300);
    let runner = Runner::new(server).timeouts(timeouts);
    runner.replay(&transcript()).await.iter().map(ToString::to_string).collect()
}

fn transcript() -> Transcript {
    let headers = json!({ "content-type": "application/json" });
    let events = json!([
        { "do": "http", "as": "h", "path": "/" },
        { "see": "http", "of": "h", "status": 200, "headers": headers, "json": { "id": "1 of 2" } },
    ]);
    serde_json::from_value(json!({ "format": 1, "name": "a/b", "about": "A response.", "events": events })).unwrap()
}
