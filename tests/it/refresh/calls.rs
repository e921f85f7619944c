//! Claims that calls and hubs see after an authentication refresh.

use serde_json::{Value, json};
use signalr_test_support::ClientKind;

use super::{Host, POLLS, SOCKET, ann, assert_lifetime, error, now, token};

#[tokio::test]
async fn calls_after_a_refresh_see_the_new_claims_on_every_transport() {
    let mut host = Host::new(|ward| ward).await;
    for kind in ClientKind::all() {
        let mut connection = host.connect(kind, &ann(600, "a")).await;
        assert_eq!(connection.invoke("Extra").await, "a", "{kind:?}");
        let refused = "Failed to invoke 'Order' because user is unauthorized";
        assert_eq!(connection.invoke("Order").await, refused, "{kind:?}");
        let doctor = token(&json!({ "sub": "ann", "role": "Doctor", "extra": "b", "exp": now() + 1200 }));
        assert_lifetime(&host.refresh(&connection.id, &doctor).await, 1200);
        assert_eq!(connection.invoke("Extra").await, "b", "{kind:?}");
        assert_eq!(connection.invoke("Order").await, "ordered", "{kind:?}");
        assert_eq!(connection.invoke("UserId").await, "ann", "{kind:?}");
        assert_eq!(host.heard().await, "refreshed: b", "{kind:?}");
        // A claim that the new token lacks is removed at once.
        assert_lifetime(&host.refresh(&connection.id, &ann(1800, "c")).await, 1800);
        assert_eq!(connection.invoke("Order").await, refused, "{kind:?}");
        assert_eq!(host.heard().await, "refreshed: c", "{kind:?}");
    }
}

#[tokio::test]
async fn groups_and_user_id_survive_a_refresh() {
    let mut host = Host::new(|ward| ward).await;
    for kind in ClientKind::all() {
        let nurse = |department: &str, seconds| {
            token(&json!({ "sub": "ann", "department": department, "exp": now() + seconds }))
        };
        let mut connection = host.connect(kind, &nurse("icu", 600)).await;
        assert_eq!(connection.invoke("Join").await, Value::Null, "{kind:?}");
        assert_eq!(host.refresh(&connection.id, &nurse("er", 900)).await.0, 200, "{kind:?}");
        assert_eq!(host.heard().await, "refreshed: nothing", "{kind:?}");
        connection.call("1", "Tell", &["ann".into()]).await;
        for expected in ["Group", "User"] {
            assert_eq!(connection.next().await.unwrap()["target"], expected, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn running_call_keeps_its_claims_and_delays_the_refresh_callback() {
    let mut host = Host::new(|ward| ward).await;
    for kind in [SOCKET, POLLS] {
        let mut connection = host.connect(kind, &ann(600, "a")).await;
        connection.call("w", "Wait", &[]).await;
        assert_eq!(host.heard().await, "waits");
        assert_eq!(host.refresh(&connection.id, &ann(900, "b")).await.0, 200);
        connection.call("e", "Extra", &[]).await;
        // The refresh is applied, but `on_authentication_refreshed` waits for the running call.
        assert_eq!(host.refresh(&connection.id, &ann(900, "b")).await.0, 200);
        assert!(host.heard.is_empty(), "{kind:?}");
        host.gate.add_permits(1);
        let answer = connection.next().await.unwrap();
        assert_eq!((&answer["invocationId"], &answer["result"]), (&json!("w"), &json!(["a", "a"])), "{kind:?}");
        let answer = connection.next().await.unwrap();
        assert_eq!((&answer["invocationId"], &answer["result"]), (&json!("e"), &json!("b")), "{kind:?}");
        assert_eq!(host.heard().await, "refreshed: b", "{kind:?}");
    }
}

#[tokio::test]
async fn failing_refresh_callback_keeps_the_connection_open() {
    let mut host = Host::new(|ward| ward).await;
    let mut connection = host.connect(SOCKET, &ann(600, "a")).await;
    for (seconds, extra) in [(700, "bad"), (800, "worse"), (900, "good")] {
        assert_lifetime(&host.refresh(&connection.id, &ann(seconds, extra)).await, seconds);
        assert_eq!(host.heard().await, format!("refreshed: {extra}"));
        assert_eq!(connection.invoke("Extra").await, extra);
    }
}

#[tokio::test]
async fn rejected_refresh_keeps_the_old_claims() {
    let host = Host::new(|ward| ward).await;
    for kind in ClientKind::all() {
        let mut connection = host.connect(kind, &ann(600, "a")).await;
        let bob = token(&json!({ "sub": "bob", "role": "Doctor", "exp": now() + 900 }));
        assert_eq!(host.refresh(&connection.id, &bob).await, (403, error("user_changed")), "{kind:?}");
        assert_eq!(host.refresh(&connection.id, "not.a.token").await.0, 401, "{kind:?}");
        assert_eq!(connection.invoke("Extra").await, "a", "{kind:?}");
        assert_eq!(connection.invoke("UserId").await, "ann", "{kind:?}");
        assert!(host.heard.is_empty(), "{kind:?}");
    }
}
