//! Uploads.

use std::time::Duration;

use futures_util::SinkExt;
use serde_json::json;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::Message;

use super::{Host, call, end, item, result, send_all, uploading};
use signalr_test_support::{ClientKind, until, within};

#[tokio::test(start_paused = true)]
async fn unread_upload_stops_the_client_until_it_is_read() {
    const ITEM: usize = 8 * 1024;
    const ITEMS: usize = 512;
    /// Buffers on the path: the pipe, HTTP, the WebSocket, the read-ahead and the items that may
    /// wait.
    const BOUND: usize = 512 * 1024;
    let host = Host::new(|ward| ward).await;
    let mut client = host.connect_in_memory().await;
    send_all(&mut client, &[uploading("1", "CollectLater", "u")]).await;
    let frame = Message::text(format!("{}\u{1e}", item("u", "x".repeat(ITEM))));
    let mut sent = 0;
    // Paused time advances only when no task can run.
    while let Ok(outcome) = timeout(Duration::from_secs(1), client.websocket().send(frame.clone())).await {
        outcome.unwrap();
        sent += 1;
        assert!(sent * ITEM < BOUND, "{} bytes were taken", sent * ITEM);
    }
    assert!(sent >= 10, "{sent} items were taken");

    // The item of the cancelled send is in the client's buffer.
    host.ward.gate.add_permits(1);
    within(client.websocket().flush()).await.unwrap();
    for _ in sent + 1..ITEMS {
        within(client.websocket().send(frame.clone())).await.unwrap();
    }
    send_all(&mut client, &[end("u")]).await;
    assert_eq!(client.next().await.unwrap(), result("1", ITEM * ITEMS));
}

#[tokio::test]
async fn unread_items_are_discarded_when_the_method_returns() {
    let mut host = Host::new(|ward| ward).await;
    let mut client = host.connect().await;
    // More items than may wait, so the call behind them is held.
    let mut messages = vec![uploading("1", "First", "u")];
    messages.extend((0..40).map(|n| item("u", format!("item {n}"))));
    messages.extend([end("u"), call("2", "Echo", &json!(["behind"]))]);
    send_all(&mut client, &messages).await;
    assert_eq!(host.next_event().await, "waits");
    host.ward.gate.add_permits(1);
    assert_eq!(client.next().await.unwrap(), result("1", "item 0"));
    assert_eq!(client.next().await.unwrap(), result("2", "behind"));
    // The stream id is free again, and later items belong to its new upload.
    send_all(&mut client, &[item("u", "late"), uploading("3", "Collect", "u"), item("u", "new"), end("u")]).await;
    assert_eq!(client.next().await.unwrap(), result("3", 3));
}

/// The server has stopped reading, so only a failing write shows the lost socket.
#[tokio::test]
async fn lost_websocket_is_detected_behind_an_unread_upload() {
    let mut host = Host::new(|ward| ward.keep_alive_interval(Duration::from_secs(1))).await;
    for items in [5, 100] {
        let mut client = host.connect().await;
        send_all(&mut client, &[uploading("1", "IgnoreUntilCancelled", "u")]).await;
        assert_eq!(host.next_event().await, "waits");
        send_all(&mut client, &vec![item("u", "x".repeat(5_000)); items]).await;
        drop(client);
        host.assert_nothing_left().await;
    }
    assert_eq!(host.ward.counts(), (2, 2));
}

#[tokio::test]
async fn closed_http_transport_is_detected_behind_an_unread_upload() {
    let mut host = Host::new(|ward| ward).await;
    for kind in [ClientKind::SERVER_SENT_EVENTS, ClientKind::LONG_POLLING] {
        for items in [5, 100] {
            let mut client = kind.connect(host.addr, "/ward").await;
            client.post(&format!("{}\u{1e}", uploading("1", "IgnoreUntilCancelled", "u"))).await;
            assert_eq!(host.next_event().await, "waits");
            let flood = format!("{}\u{1e}", item("u", "x".repeat(5_000))).repeat(items);
            // A POST that exceeds the buffer gets its response when the connection ends.
            let post = client.begin_post(flood.as_bytes()).await;
            match client.take_events() {
                Some(events) => drop(events),
                None => assert_eq!(client.delete().await.0, 202),
            }
            until(|| host.signalr.connection_count() == 0).await;
            drop(post);
            host.assert_nothing_left().await;
        }
    }
    assert_eq!(host.ward.counts(), (4, 4));
}
