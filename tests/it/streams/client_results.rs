//! Client results.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::{Host, call, end, error, result, send_all};
use signalr_test_support::{Client, End};

/// Returns the invocation id of the next message, which must request a client result.
pub(crate) async fn next_invocation_id(client: &mut Client, text: &str) -> String {
    let next_invocation_id = client.next().await.unwrap();
    assert_eq!((&next_invocation_id["type"], &next_invocation_id["arguments"]), (&json!(1), &json!([text])));
    next_invocation_id["invocationId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn client_result_is_accepted_once() {
    let host = Host::new(|ward| ward).await;
    let mut asker = host.connect().await;
    let (mut client, id) = host.connect_with_id().await;
    send_all(&mut asker, &[call("1", "Ask", &json!([id, "how?"]))]).await;
    let asked = next_invocation_id(&mut client, "how?").await;
    // Ids with the same number that differ as text.
    let odd = [asked.replace('s', "s0"), asked.replace('s', "s+")];
    send_all(&mut client, &odd.map(|id| result(&id, "zero"))).await;
    send_all(&mut client, &[result(&asked, "one"), result(&asked, "two"), error(&asked, "three"), end(&asked)]).await;
    assert_eq!(asker.next().await.unwrap(), result("1", "one"));
    asker.echo("still here").await;
    client.echo("still here").await;
    assert_eq!(host.signalr.stats().pending_client_results, 0);
}

#[tokio::test]
async fn completion_for_another_connections_invocation_closes_the_sender() {
    let host = Host::new(|ward| ward).await;
    let mut asker = host.connect().await;
    let (mut client, id) = host.connect_with_id().await;
    let (mut intruder, intruders_id) = host.connect_with_id().await;
    send_all(&mut asker, &[call("1", "Ask", &json!([id, "how?"]))]).await;
    let asked = next_invocation_id(&mut client, "how?").await;
    send_all(&mut intruder, &[result(&asked, "forged")]).await;
    let text = format!(
        "Connection closed with an error. InvalidOperationException: \
        Connection ID '{intruders_id}' is not valid for invocation ID '{asked}'."
    );
    let closed = json!({ "type": 7, "error": text, "allowReconnect": true });
    assert_eq!(intruder.last().await, (closed, End::Closed(1000)));
    send_all(&mut client, &[result(&asked, "true")]).await;
    assert_eq!(asker.next().await.unwrap(), result("1", "true"));
}

#[tokio::test]
async fn client_results_can_be_requested_from_several_tasks() {
    for slots in [1, 2] {
        let host = Host::new(|ward| ward.maximum_parallel_invocations_per_client(slots)).await;
        let (mut client, id) = host.connect_with_id().await;
        send_all(&mut client, &[call("1", "AskTwice", &json!([id]))]).await;
        for _ in 0..2 {
            let asked = client.next().await.unwrap();
            let answer = format!("asked {}", asked["arguments"][0].as_str().unwrap());
            send_all(&mut client, &[result(asked["invocationId"].as_str().unwrap(), answer)]).await;
        }
        let answers = json!(["asked in the call", "asked in a task"]);
        assert_eq!(client.next().await.unwrap(), result("1", answers));
        client.echo("the slot is there").await;
    }
}

/// Otherwise the completion could be behind these calls, and none would run.
#[tokio::test]
async fn held_calls_run_while_the_running_call_awaits_a_client_result() {
    let host = Host::new(|ward| ward).await;
    let (mut client, id) = host.connect_with_id().await;
    for method in ["AskInATask", "AskTwice"] {
        send_all(&mut client, &[call("1", method, &json!([id])), call("2", "Echo", &json!(["behind"]))]).await;
        let mut asked = Vec::new();
        let mut echoed = false;
        while asked.len() < usize::from(method == "AskTwice") + 1 || !echoed {
            let message = client.next().await.unwrap();
            match message["type"].as_u64() {
                Some(1) => asked.push(message["invocationId"].as_str().unwrap().to_owned()),
                _ => echoed = message == result("2", "behind"),
            }
        }
        let answers: Vec<_> = asked.iter().map(|asked| result(asked, "so")).collect();
        send_all(&mut client, &answers).await;
        assert_eq!(client.next().await.unwrap()["invocationId"], "1");
    }
}

#[tokio::test]
async fn dropped_client_result_request_ignores_a_late_completion() {
    let mut host = Host::new(|ward| ward).await;
    let mut asker = host.connect().await;
    let (mut client, id) = host.connect_with_id().await;
    send_all(&mut asker, &[call("1", "AskUntilTheGateOpens", &json!([id]))]).await;
    let asked = next_invocation_id(&mut client, "?").await;
    assert_eq!(host.next_event().await, "waits");
    assert_eq!(host.signalr.stats().pending_client_results, 1);
    host.ward.gate.add_permits(1);
    assert_eq!(asker.next().await.unwrap(), result("1", "no answer"));
    assert_eq!(host.signalr.stats().pending_client_results, 0);
    send_all(&mut client, &[result(&asked, "late")]).await;
    client.echo("still here").await;
    asker.echo("still here").await;
    // A late completion does not complete a later request.
    send_all(&mut asker, &[call("2", "Ask", &json!([id, "again?"]))]).await;
    let again = next_invocation_id(&mut client, "again?").await;
    send_all(&mut client, &[result(&asked, "late"), result(&again, "in time")]).await;
    assert_eq!(asker.next().await.unwrap(), result("2", "in time"));
}

#[tokio::test]
async fn calls_awaiting_client_results_release_their_slot_once() {
    const SLOTS: usize = 2;
    const CALLS: usize = 6;
    let mut host = Host::new(|ward| ward.maximum_parallel_invocations_per_client(SLOTS)).await;
    let (mut client, id) = host.connect_with_id().await;
    let mut pending = Vec::new();
    for n in ["a", "b", "c", "d", "e"] {
        send_all(&mut client, &[call(n, "Ask", &json!([id, n]))]).await;
        pending.push((n, next_invocation_id(&mut client, n).await));
    }
    client.echo("calls pass").await;
    for (n, asked) in pending {
        send_all(&mut client, &[result(&asked, n)]).await;
        assert_eq!(client.next().await.unwrap(), result(n, n));
    }
    // If a completion released a slot twice, more of these calls would run at once.
    for n in 0..CALLS {
        send_all(&mut client, &[call(&n.to_string(), "Wait", &json!([]))]).await;
    }
    for begun in 1..=CALLS {
        assert_eq!(host.next_event().await, "waits");
        // Running calls wait until all slots are taken.
        if begun >= SLOTS {
            host.ward.gate.add_permits(1);
        }
    }
    host.ward.gate.add_permits(SLOTS - 1);
    for _ in 0..CALLS {
        assert_eq!(client.next().await.unwrap()["type"], 3);
    }
    assert_eq!(host.ward.max_running.load(Ordering::SeqCst), SLOTS);
}
