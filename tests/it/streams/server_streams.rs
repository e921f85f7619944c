//! Server streams, and cancellation.

use serde_json::{Value, json};

use super::{Host, call, cancel, end, item, large, result, send_all, streaming, uploading};
use signalr_test_support::{ClientKind, until, within};

#[tokio::test]
async fn client_cancels_calls_by_invocation_id() {
    for slots in [1, 2] {
        let mut host = Host::new(|ward| ward.maximum_parallel_invocations_per_client(slots)).await;
        let mut client = host.connect().await;
        for message in [call("1", "WaitForCancel", &json!([])), uploading("1", "IgnoreUntilCancelled", "u")] {
            send_all(&mut client, &[message]).await;
            assert_eq!(host.next_event().await, "waits");
            // No cancellable call has these ids.
            send_all(&mut client, &[cancel("2"), cancel("u")]).await;
            send_all(&mut client, &[cancel("1")]).await;
            assert_eq!(client.next().await.unwrap(), result("1", "cancelled"));
        }
        // The end of the connection cancels the call too.
        send_all(&mut client, &[call("1", "WaitForCancel", &json!([]))]).await;
        assert_eq!(host.next_event().await, "waits");
        drop(client);
        until(|| host.ward.counts() == (3, 3)).await;
        host.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn cancelled_stream_is_dropped_and_completes_without_an_error() {
    let host = Host::new(|ward| ward).await;
    let mut client = host.connect().await;
    send_all(&mut client, &[streaming("1", "Forever", &json!([])), cancel("1"), cancel("1")]).await;
    // The first item may arrive before the cancellation.
    while client.next().await.unwrap() != end("1") {}
    client.echo("no second end").await;
    let (begun, ended) = host.ward.counts();
    assert_eq!(begun, ended);
}

#[tokio::test]
async fn always_ready_stream_yields_to_other_calls() {
    let host = Host::new(|ward| ward).await;
    let mut client = host.connect().await;
    send_all(&mut client, &[streaming("1", "Endless", &json!([])), streaming("2", "Endless", &json!([]))]).await;
    send_all(&mut client, &[call("0", "Echo", &json!(["between"]))]).await;
    let mut seen = [false; 3];
    while seen != [true; 3] {
        let message = client.next().await.unwrap();
        seen[message["invocationId"].as_str().unwrap().parse::<usize>().unwrap()] = true;
    }
    send_all(&mut client, &[cancel("1"), cancel("2")]).await;
    let mut ends = 0;
    while ends < 2 {
        ends += usize::from(client.next().await.unwrap()["type"] == 3);
    }
    until(|| host.ward.counts() == (2, 2)).await;
}

#[tokio::test]
async fn panic_in_a_stream_ends_only_that_stream() {
    let host = Host::new(|ward| ward).await;
    let mut client = host.connect().await;
    send_all(&mut client, &[streaming("1", "Breaks", &json!([]))]).await;
    assert_eq!(client.next().await.unwrap(), item("1", 0));
    let last = client.next().await.unwrap();
    assert_eq!((&last["type"], &last["invocationId"]), (&json!(3), &json!("1")));
    assert!(last["error"].as_str().unwrap().starts_with("An error occurred on the server while streaming results."));
    client.echo("still here").await;
    assert_eq!(host.ward.counts(), (1, 1));
}

#[tokio::test]
async fn items_larger_than_every_buffer_arrive_on_every_transport() {
    const COUNT: usize = 10;
    let host = Host::new(|ward| ward).await;
    let request = streaming("1", "Large", &json!([COUNT]));
    let expected: Vec<_> = (0..COUNT).map(|n| item("1", large(n))).chain([end("1")]).collect();

    let mut client = host.connect().await;
    send_all(&mut client, std::slice::from_ref(&request)).await;
    for message in &expected {
        assert!(client.next().await.unwrap() == *message);
    }
    for kind in [ClientKind::SERVER_SENT_EVENTS, ClientKind::LONG_POLLING] {
        let mut client = kind.connect(host.addr, "/ward").await;
        client.post(&format!("{request}\u{1e}")).await;
        let mut text = String::new();
        while text.matches('\u{1e}').count() < expected.len() {
            text += &within(client.next_text()).await.unwrap();
        }
        let messages = text.split_terminator('\u{1e}').map(serde_json::from_str::<Value>);
        assert!(messages.collect::<Result<Vec<_>, _>>().unwrap() == expected);
    }
}
