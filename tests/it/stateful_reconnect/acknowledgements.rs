//! Connections that wait for acknowledgements: the messages they process meanwhile, and the end of
//! the wait.

use super::*;

/// Encodes a call of [`Total`](Ward::total) with the stream `u`.
fn total_call(format: HubProtocolKind, id: &str) -> Vec<u8> {
    if format.is_binary() {
        let headers = std::collections::BTreeMap::<(), ()>::new();
        return prefixed(&rmp_serde::to_vec(&(1, headers, id, "Total", [(); 0], ["u"])).unwrap());
    }
    text(&json!({ "type": 1, "invocationId": id, "target": "Total", "arguments": [], "streamIds": ["u"] }))
}

fn item(format: HubProtocolKind, item: &str) -> Vec<u8> {
    if format.is_binary() {
        let headers = std::collections::BTreeMap::<(), ()>::new();
        return prefixed(&rmp_serde::to_vec(&(2, headers, "u", item)).unwrap());
    }
    text(&json!({ "type": 2, "invocationId": "u", "item": item }))
}

/// Encodes the end of the stream `u`.
fn completion(format: HubProtocolKind) -> Vec<u8> {
    if format.is_binary() {
        let headers = std::collections::BTreeMap::<(), ()>::new();
        return prefixed(&rmp_serde::to_vec(&(3, headers, "u", 2)).unwrap());
    }
    text(&json!({ "type": 3, "invocationId": "u" }))
}

pub(super) fn text(message: &Value) -> Vec<u8> {
    format!("{message}\u{1e}").into_bytes()
}

/// Sends 130 KiB of stream items, twice what is read ahead.
async fn send_items<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Client<S>, format: HubProtocolKind) {
    let message = item(format, &"i".repeat(1000));
    for _ in 0..130 {
        client.send(&message).await;
    }
}

/// Returns when the server has read everything that was sent before.
async fn wait_until_read(client: &mut Client<DuplexStream>) {
    within(client.websocket().get_mut().write_all(&[0x89, 0x80, 0, 0, 0, 0])).await.unwrap();
    let mut pong = [0; 2];
    within(client.websocket().get_mut().read_exact(&mut pong)).await.unwrap();
    assert_eq!(pong, [0x8a, 0]);
}

/// Sends the call `cut` in two parts, between which a long result is received that is not acknowledged.
/// Returns the bytes of the call.
async fn call_split_around_a_long_result(
    host: &mut Host,
    client: &mut Client<DuplexStream>,
    format: HubProtocolKind,
) -> Vec<u8> {
    client.call(Some("long"), "WaitAndRepeat", &[2000.into()]).await;
    assert_eq!(host.next_event().await, "waits");
    let call = signalr_test_support::invocation(format, Some("cut"), "Echo", &["cut".into()]);
    let (first, second) = call.split_at(call.len() / 2);
    client.send(first).await;
    wait_until_read(client).await;
    host.gate.add_permits(1);
    assert_eq!(client.next_numbered().await, answer("long", "x".repeat(2000)));
    client.send(second).await;
    call
}

fn assert_closed_after_5s(since: Instant) {
    let after = since.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(7)).contains(&after), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn stream_items_before_an_acknowledgement_are_processed() {
    for (format, with_call) in
        [HubProtocolKind::Json, HubProtocolKind::MessagePack].into_iter().flat_map(|f| [(f, false), (f, true)])
    {
        let host = Host::new(|ward| ward.stateful_reconnect_buffer_size(1000));
        let (mut client, _) = host.connect_in_memory_as(format).await;
        client.send(&total_call(format, "total")).await;
        client.echo(&"x".repeat(2000)).await;
        if with_call {
            client.call(Some("held"), "Echo", &["held".into()]).await;
        }
        send_items(&mut client, format).await;
        send_sequence_id(&mut client, format, 8, 1).await;
        if with_call {
            assert_eq!(client.next_numbered().await, answer("held", "held"));
        }
        client.send(&completion(format)).await;
        assert_eq!(client.next_numbered().await, answer("total", 130_000));
        client.call(Some("after"), "Echo", &["after".into()]).await;
        assert_eq!(client.next_numbered().await, answer("after", "after"));
    }
}

#[tokio::test(start_paused = true)]
async fn call_behind_stream_items_waits_at_most_5s_for_an_acknowledgement() {
    for format in [HubProtocolKind::Json, HubProtocolKind::MessagePack] {
        let mut host = Host::new(|ward| ward.stateful_reconnect_buffer_size(1000));
        let (mut client, _) = host.connect_in_memory_as(format).await;
        client.send(&total_call(format, "total")).await;
        client.echo(&"x".repeat(2000)).await;
        send_items(&mut client, format).await;
        let asked = Instant::now();
        client.call(Some("late"), "Echo", &["late".into()]).await;
        assert_eq!(host.next_event().await, "gone from first: The operation was canceled.");
        assert_closed_after_5s(asked);
    }
}

#[tokio::test(start_paused = true)]
async fn acknowledgement_behind_a_split_message_is_processed() {
    for format in [HubProtocolKind::Json, HubProtocolKind::MessagePack] {
        let mut host = Host::new(|ward| ward.stateful_reconnect_buffer_size(1000));
        let (mut client, _) = host.connect_in_memory_as(format).await;
        call_split_around_a_long_result(&mut host, &mut client, format).await;
        send_sequence_id(&mut client, format, 8, 1).await;
        assert_eq!(client.next_numbered().await, answer("cut", "cut"));
    }
}

#[tokio::test(start_paused = true)]
async fn split_message_is_received_once_after_a_reconnect() {
    for format in [HubProtocolKind::Json, HubProtocolKind::MessagePack] {
        let mut host = Host::new(|ward| ward.stateful_reconnect_buffer_size(1000));
        let (mut client, token) = host.connect_in_memory_as(format).await;
        let call = call_split_around_a_long_result(&mut host, &mut client, format).await;
        wait_until_read(&mut client).await;
        drop(client);

        let mut client = host.open_in_memory_as(&token, "second", format).await;
        send_sequence_id(&mut client, format, 8, 1).await;
        send_sequence_id(&mut client, format, 9, 2).await;
        client.send(&call).await;
        assert_eq!(client.next_numbered().await, answer("long", "x".repeat(2000)));
        assert_eq!(client.next_numbered().await, answer("cut", "cut"));
        client.call(Some("count"), "Echoes", &[]).await;
        assert_eq!(client.next_numbered().await, answer("count", 1));
    }
}

#[tokio::test(start_paused = true)]
async fn on_connected_waits_at_most_5s_for_an_acknowledgement() {
    let mut host = Host::new(|ward| ward.enable_detailed_errors(true));
    let token = host.negotiate_in_memory().await;
    let mut client = host.open_in_memory(&token, "first&history=3").await;
    let asked = Instant::now();
    client.handshake_version(2).await;
    for _ in 0..2 {
        assert_eq!(client.next().await.unwrap()["target"], "History");
    }
    let error = "Connection closed with an error. OperationCanceledException: The operation was canceled.";
    let close = json!({ "type": 7, "error": error, "allowReconnect": true });
    assert_eq!(client.last().await, (close, End::Closed(1000)));
    assert_closed_after_5s(asked);
    assert_eq!(host.next_event().await, "gone from first: The operation was canceled.");
    assert_eq!(host.upgrade_status_in_memory(&token).await, 404);
}

/// The completions fill the message buffer while the acknowledgements are behind held calls.
#[tokio::test]
async fn acknowledgements_behind_held_calls_are_processed() {
    let host = Host::new(|ward| ward.stateful_reconnect_buffer_size(1000));
    let addr = serve(&host.signalr).await;
    let (mut client, _) = connect(addr, HubProtocolKind::Json).await;
    let text = "x".repeat(600);
    let mut batch = String::new();
    for n in 0..6 {
        let call = json!({ "type": 1, "invocationId": n.to_string(), "target": "Echo", "arguments": [text] });
        batch.push_str(&format!("{call}\u{1e}"));
    }
    client.send(batch.as_bytes()).await;
    for n in 0..6 {
        assert_eq!(client.next().await.unwrap(), answer(&n.to_string(), text.clone()));
        send_sequence_id(&mut client, HubProtocolKind::Json, 8, n + 1).await;
    }
    client.echo("and on").await;
}

#[tokio::test(start_paused = true)]
async fn senders_wait_at_most_5s_for_a_client_that_never_acks() {
    let mut host = Host::new(|ward| ward.stateful_reconnect_buffer_size(1000).enable_detailed_errors(true));
    let (mut client, token) = host.connect_in_memory().await;
    let text = "x".repeat(2000);
    client.echo(&text).await;
    // The 5 s start only when a sender waits.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let hub: HubContext<Ward> = host.signalr.context();
    let asked = Instant::now();
    hub.clients().all().send("Told", ("late",)).await.unwrap();
    let after = asked.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(7)).contains(&after), "{after:?}");
    assert_eq!(client.next().await.unwrap(), json!({ "type": 8, "sequenceId": 1 }));
    let error = "Connection closed with an error. OperationCanceledException: The operation was canceled.";
    let close = json!({ "type": 7, "error": error, "allowReconnect": true });
    assert_eq!(client.last().await, (close, End::Closed(1000)));
    assert_eq!(host.next_event().await, "gone from first: The operation was canceled.");
    until(|| host.signalr.connection_count() == 0).await;
    assert_eq!(host.upgrade_status_in_memory(&token).await, 404);
}

/// The client's own calls wait as well.
#[tokio::test(start_paused = true)]
async fn call_waits_at_most_5s_for_an_acknowledgement() {
    let mut host = Host::new(|ward| ward.stateful_reconnect_buffer_size(1000));
    let (mut client, _) = host.connect_in_memory().await;
    client.echo(&"x".repeat(2000)).await;
    let asked = Instant::now();
    client.call(Some("late"), "Echo", &["late".into()]).await;
    assert_eq!(host.next_event().await, "gone from first: The operation was canceled.");
    let after = asked.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(7)).contains(&after), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn message_buffer_of_a_detached_client_is_limited() {
    let mut host = Host::new(|ward| ward);
    let (client, _) = host.connect_in_memory().await;
    let hub: HubContext<Ward> = host.signalr.context();
    drop(client);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let text = "x".repeat(1000);
    let mut sent = 0;
    while hub.clients().all().send("Told", (&text,)).now_or_never().is_some() {
        sent += 1;
    }
    assert!((90..=100).contains(&sent), "{sent} messages of a good 1,000 bytes in 100,000");
    let asked = Instant::now();
    hub.clients().all().send("Told", (&text,)).await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(7));
    assert_eq!(host.next_event().await, "gone from first: The operation was canceled.");
}

#[tokio::test(start_paused = true)]
async fn ack_is_sent_again_until_the_client_receives_it() {
    let host = Host::new(|ward| ward);
    let (mut client, token) = host.connect_in_memory().await;
    client.echo("one").await;
    let ack = json!({ "type": 8, "sequenceId": 1 });
    assert_eq!(client.next().await.unwrap(), ack);
    drop(client);
    // This client has not received the Ack.
    let mut client = host.open_in_memory(&token, "second").await;
    assert_eq!(client.next().await.unwrap(), sequence(1));
    assert_eq!(client.next().await.unwrap(), answer("echo", "one"));
    send_sequence_id(&mut client, HubProtocolKind::Json, 9, 1).await;
    client.call(Some("echo"), "Echo", &["one".into()]).await;
    assert_eq!(client.next().await.unwrap(), ack);
    // The Ack is sent once.
    assert!(timeout(Duration::from_secs(8), client.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn dropped_sends_do_not_end_the_connection() {
    let mut host = Host::new(|ward| ward.stateful_reconnect_buffer_size(1000));
    let (mut client, _) = host.connect_in_memory().await;
    client.echo(&"x".repeat(2000)).await;
    let hub: HubContext<Ward> = host.signalr.context();
    // At each moment a sender waits, but no sender waits for 5 s.
    let senders = (0..20).map(|n| {
        let hub = &hub;
        async move {
            tokio::time::sleep(Duration::from_secs(n)).await;
            let all = hub.clients().all();
            assert!(timeout(Duration::from_secs(2), all.send("Told", ("late",))).await.is_err());
        }
    });
    futures_util::future::join_all(senders).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(host.events.try_recv().is_err());
    send_sequence_id(&mut client, HubProtocolKind::Json, 8, 1).await;
    client.call(Some("after"), "Echo", &["after".into()]).await;
    assert_eq!(client.next_numbered().await, answer("after", "after"));
}

/// An Ack that admits one of two senders restarts the wait of the other one.
#[tokio::test(start_paused = true)]
async fn ack_restarts_the_5s_of_the_next_waiting_sender() {
    let mut host = Host::new(|ward| ward.stateful_reconnect_buffer_size(1000));
    let (mut client, _) = host.connect_in_memory().await;
    client.echo(&"x".repeat(2000)).await;
    for _ in 0..2 {
        let hub: HubContext<Ward> = host.signalr.context();
        tokio::spawn(async move { hub.clients().all().send("Told", ("x".repeat(2000),)).await });
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    send_sequence_id(&mut client, HubProtocolKind::Json, 8, 1).await;
    assert_eq!(client.next_numbered().await["target"], "Told");
    let asked = Instant::now();
    assert_eq!(host.next_event().await, "gone from first: The operation was canceled.");
    assert_closed_after_5s(asked);
}
