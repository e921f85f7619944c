//! Messages behind held calls, while the connection waits for an acknowledgement.

use super::acknowledgements::text;
use super::*;

/// Encodes a call of [`announced_total`](Ward::announced_total) with the stream `u`.
fn announced_total() -> Vec<u8> {
    text(&json!({ "type": 1, "invocationId": "t", "target": "AnnouncedTotal", "arguments": [], "streamIds": ["u"] }))
}

fn item(length: usize) -> Vec<u8> {
    text(&json!({ "type": 2, "invocationId": "u", "item": "i".repeat(length) }))
}

fn end_of_stream() -> Vec<u8> {
    text(&json!({ "type": 3, "invocationId": "u" }))
}

/// The method sends a message that exceeds the message buffer before it reads its stream. The items
/// first wait behind the call, then for the second acknowledgement.
#[tokio::test(start_paused = true)]
async fn stream_items_are_processed_once_their_held_call_runs() {
    for items in [1, 40, 100] {
        let host = Host::new(|ward| ward.stateful_reconnect_buffer_size(1000));
        let (mut client, _) = host.connect_in_memory().await;
        client.echo(&"x".repeat(2000)).await;
        client.send(&announced_total()).await;
        client.call(Some("held"), "Echo", &["held".into()]).await;
        // Fewer items than are read ahead.
        for _ in 0..items.min(40) {
            client.send(&item(1000)).await;
        }
        send_sequence_id(&mut client, HubProtocolKind::Json, 8, 1).await;
        for _ in items.min(40)..items {
            client.send(&item(1000)).await;
        }
        client.send(&end_of_stream()).await;
        assert_eq!(client.next_numbered().await["target"], "Told");
        assert_eq!(client.next_numbered().await, answer("t", items * 1000));
        send_sequence_id(&mut client, HubProtocolKind::Json, 8, 3).await;
        assert_eq!(client.next_numbered().await, answer("held", "held"));
    }
}

#[tokio::test(start_paused = true)]
async fn cancellations_are_processed_once_their_held_call_runs() {
    let host = Host::new(|ward| ward.stateful_reconnect_buffer_size(1000));
    let (mut client, _) = host.connect_in_memory().await;
    client.echo(&"x".repeat(2000)).await;
    client.send(&announced_total()).await;
    client.send(&text(&json!({ "type": 4, "invocationId": "s", "target": "Endless", "arguments": [] }))).await;
    client.call(Some("held"), "Echo", &["held".into()]).await;
    client.send(&text(&json!({ "type": 5, "invocationId": "s" }))).await;
    client.send(&end_of_stream()).await;
    send_sequence_id(&mut client, HubProtocolKind::Json, 8, 1).await;
    assert_eq!(client.next_numbered().await["target"], "Told");
    assert_eq!(client.next_numbered().await, answer("t", 0));
    send_sequence_id(&mut client, HubProtocolKind::Json, 8, 3).await;
    let (first, second) = (client.next_numbered().await, client.next_numbered().await);
    let mut ended = [first, second].map(|message| message["invocationId"].as_str().unwrap().to_owned());
    ended.sort();
    assert_eq!(ended, ["held", "s"]);
}
