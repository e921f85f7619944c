//! Limits and ids of open streams, and their cleanup.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::Message;

use super::client_results::next_invocation_id;
use super::{Host, call, cancel, end, error, failed, item, result, send_all, streaming, uploading};
use signalr_test_support::until;

const TOO_MANY: &str = "HubException: The connection has 3 streams open already.";

#[tokio::test]
async fn lost_connection_with_1000_streams_leaves_no_state() {
    const EACH: usize = 500;
    let mut host = Host::new(|ward| ward).await;
    let mut client = host.connect().await;
    let ids: Vec<_> = (0..EACH).map(|n| [format!("s{n}"), format!("c{n}"), format!("u{n}")]).collect();
    for [stream, call, upload] in &ids {
        let messages =
            [streaming(stream, "Forever", &json!([])), uploading(call, "Collect", upload), item(upload, "x")];
        send_all(&mut client, &messages).await;
    }
    for [stream, ..] in &ids {
        assert_eq!(client.next().await.unwrap(), item(stream, 0));
    }
    client.echo("all are open").await;
    assert_eq!(host.ward.counts(), (2 * EACH, 0));
    assert!(host.signalr.stats().tasks > 2 * EACH);

    drop(client);
    until(|| host.ward.counts() == (2 * EACH, 2 * EACH)).await;
    host.assert_nothing_left().await;
    for _ in 0..EACH {
        assert_eq!(host.next_event().await, "OperationCanceledException: The underlying connection was closed.");
    }
}

#[tokio::test]
async fn duplicate_invocation_ids_are_rejected_and_duplicate_uploads_replaced() {
    let mut host = Host::new(|ward| ward).await;
    let mut client = host.connect().await;
    let forever = streaming("1", "Forever", &json!([]));
    send_all(&mut client, std::slice::from_ref(&forever)).await;
    assert_eq!(client.next().await.unwrap(), item("1", 0));
    send_all(&mut client, std::slice::from_ref(&forever)).await;
    assert_eq!(client.next().await.unwrap(), error("1", "Invocation ID '1' is already in use."));
    // The first stream still runs, and its id is free after its end.
    send_all(&mut client, &[cancel("1")]).await;
    assert_eq!(client.next().await.unwrap(), end("1"));
    send_all(&mut client, &[forever]).await;
    assert_eq!(client.next().await.unwrap(), item("1", 0));

    send_all(&mut client, &[uploading("2", "Collect", "u"), item("u", "old"), uploading("3", "Collect", "u")]).await;
    let replaced = "OperationCanceledException: Another stream of the same id took its place.";
    assert_eq!(host.next_event().await, replaced);
    assert_eq!(client.next().await.unwrap(), failed("2", "Collect", replaced));
    send_all(&mut client, &[item("u", "four"), end("u"), item("u", "late"), end("u")]).await;
    assert_eq!(client.next().await.unwrap(), result("3", 4));
    client.echo("still here").await;
}

#[tokio::test]
async fn streams_of_both_directions_count_against_the_limit() {
    let host = Host::new(|ward| ward.max_streams(3)).await;
    let mut client = host.connect().await;
    let opened =
        [streaming("1", "Forever", &json!([])), uploading("2", "Collect", "u"), uploading("3", "Collect", "v")];
    send_all(&mut client, &opened).await;
    assert_eq!(client.next().await.unwrap(), item("1", 0));
    send_all(&mut client, &[streaming("4", "Forever", &json!([])), uploading("5", "Collect", "w"), item("w", "x")])
        .await;
    assert_eq!(client.next().await.unwrap(), failed("4", "Forever", TOO_MANY));
    assert_eq!(client.next().await.unwrap(), failed("5", "Collect", TOO_MANY));
    client.echo("calls pass").await;
    assert_eq!(host.ward.counts(), (3, 0));
    for (close, ended) in [(end("u"), result("2", 0)), (cancel("1"), end("1"))] {
        send_all(&mut client, &[close]).await;
        assert_eq!(client.next().await.unwrap(), ended);
        send_all(&mut client, &[uploading("6", "Collect", "x"), item("x", "four"), end("x")]).await;
        assert_eq!(client.next().await.unwrap(), result("6", 4));
    }
}

#[tokio::test]
async fn calls_awaiting_client_results_count_against_the_limit() {
    let host = Host::new(|ward| ward.max_streams(3)).await;
    let (mut client, id) = host.connect_with_id().await;
    let ask = |n: &str| call(n, "Ask", &json!([id, n]));
    let mut pending = Vec::new();
    // The limit of streams, and one call for the slot.
    for n in ["1", "2", "3", "4"] {
        send_all(&mut client, &[ask(n)]).await;
        pending.push(next_invocation_id(&mut client, n).await);
    }
    send_all(&mut client, &[ask("5")]).await;
    assert_eq!(client.next().await.unwrap(), failed("5", "Ask", TOO_MANY));
    assert_eq!(host.signalr.stats().pending_client_results, 4);
    send_all(&mut client, &[result(&pending[2], "so")]).await;
    assert_eq!(client.next().await.unwrap(), result("3", "so"));
    send_all(&mut client, &[ask("6")]).await;
    next_invocation_id(&mut client, "6").await;
    drop(client);
    host.assert_nothing_left().await;
}

/// Each call is short and is answered. A client that does not read the completions is stopped.
#[tokio::test(start_paused = true)]
async fn unread_completions_stop_the_client() {
    const ID: usize = 8 * 1024;
    /// Buffers on the path in both directions: the pipe, HTTP, the WebSocket, the read-ahead and
    /// the queue.
    const BOUND: usize = 512 * 1024;
    let host = Host::new(|ward| ward).await;
    let mut other = host.connect_in_memory().await;
    send_all(&mut other, &[call("id", "Id", &json!([]))]).await;
    let other_id = other.next().await.unwrap()["result"].clone();
    let answering = tokio::spawn(async move {
        while let Some(Ok(asked)) = other.websocket().next().await {
            for asked in asked.into_text().unwrap().split_terminator('\u{1e}') {
                let asked: Value = serde_json::from_str(asked).unwrap();
                if asked["type"] == 1 {
                    send_all(&mut other, &[result(asked["invocationId"].as_str().unwrap(), "so")]).await;
                }
            }
        }
    });
    let id = |n: usize| format!("{n:0ID$}");
    let begun = [
        |id: &str, _: &Value| vec![streaming(id, "Forever", &json!([])), cancel(id)],
        |id: &str, _: &Value| vec![uploading(id, "Collect", "u"), end("u")],
        |id: &str, other: &Value| vec![call(id, "Ask", &json!([other, "?"]))],
    ];
    for begin in begun {
        let mut client = host.connect_in_memory().await;
        let frame = |n: usize| {
            let messages = begin(&id(n), &other_id);
            Message::text(messages.iter().map(|message| format!("{message}\u{1e}")).collect::<String>())
        };
        let mut sent = 0;
        // Paused time advances only when no task can run.
        while let Ok(outcome) = timeout(Duration::from_secs(1), client.websocket().send(frame(sent))).await {
            outcome.unwrap();
            sent += 1;
            assert!(sent * ID < BOUND, "{} bytes were taken", sent * ID);
        }
        let mut answered = 0;
        while answered < sent {
            answered += usize::from(client.next().await.unwrap()["type"] == 3);
        }
    }
    answering.abort();
}
