//! The runner against servers that do wrong on purpose: what it finds is what makes the other tests worth something.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::time::Duration;

use protocol_tests::{Runner, Server, Timeouts, Transcript};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What a server does that keeps to [`transcript`].
const RIGHT: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"id\":\"1 of 2\"}";

#[tokio::test]
async fn server_that_keeps_to_the_transcript_is_not_blamed() {
    assert_eq!(differences(&answer(15, "")).await, [""; 0]);
}

#[tokio::test]
async fn other_status_header_and_body_are_each_found() {
    let found = differences(&answer(15, "").replace("200 OK", "404 Not Found")).await;
    assert_eq!(found, ["#1 http of h: .status: want 200 got 404"]);
    let found = differences(&answer(15, "pragma: no-cache\r\n")).await;
    assert_eq!(found, ["#1 http of h: .headers.pragma: unexpected \"no-cache\""]);
    let found = differences(&answer(15, "").replace("1 of", "2 of")).await;
    assert_eq!(found, ["#1 http of h: .json.id: want \"1 of 2\" got \"2 of 2\""]);
}

#[tokio::test]
async fn response_that_breaks_off_is_found() {
    let found = differences(&answer(100, "")).await;
    assert!(found.iter().any(|it| it.contains(".error: unexpected")), "{found:?}");
}

#[tokio::test]
async fn silent_server_is_found_when_patience_ends() {
    let found = differences("").await;
    assert!(matches!(&found[..], [it] if it.starts_with("#1 http of h: nothing within 300ms")), "{found:?}");
}

#[tokio::test]
async fn server_that_is_not_there_is_found() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = server(&listener);
    drop(listener);
    let found = play(server).await;
    assert!(found.iter().any(|it| it.contains("no connection to the server")), "{found:?}");
}

/// [`RIGHT`] with a length and a header more.
fn answer(length: usize, header: &str) -> String {
    RIGHT.replace("content-length: 15\r\n", &format!("content-length: {length}\r\n{header}"))
}

/// What the runner says of a server that answers every request so; one that says nothing keeps the connection.
async fn differences(answer: &str) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let played = play(server(&listener));
    let answer = answer.to_owned();
    let serve = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        if answer.is_empty() {
            std::future::pending::<()>().await;
        }
    };
    let serving = tokio::spawn(serve);
    let found = played.await;
    serving.abort();
    found
}

fn server(listener: &TcpListener) -> Server {
    format!("http://{}", listener.local_addr().unwrap()).parse().unwrap()
}

async fn play(server: Server) -> Vec<String> {
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
    serde_json::from_value(json!({ "format": 1, "name": "a/b", "about": "An answer.", "events": events })).unwrap()
}
