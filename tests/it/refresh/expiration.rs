//! Connections that close when their credentials expire.

use futures_util::future::join_all;
use std::time::Duration;

use serde_json::json;

use super::{Host, POLLS, SOCKET, ann, assert_lifetime, error, now, target, token};
use signalr_test_support::ClientKind;

#[tokio::test]
async fn connection_closes_when_its_newest_credentials_expire() {
    let ends = async |kind| {
        let host = Host::new(|ward| ward.close_on_authentication_expiration(true)).await;
        let mut connection = host.connect(kind, &ann(2, "a")).await;
        let refreshed = ann(4, "b");
        let end = now() + 3;
        assert_eq!(host.refresh(&connection.id, &refreshed).await.0, 200);
        assert_eq!(connection.invoke("Extra").await, "b", "{kind:?}");
        assert_eq!(connection.next().await, Some(json!({ "type": 7, "allowReconnect": true })), "{kind:?}");
        assert!(now() >= end, "{kind:?}");
        assert_eq!(connection.next().await, None, "{kind:?}");
    };
    join_all(ClientKind::all().into_iter().map(ends)).await;
}

#[tokio::test]
async fn connection_closes_at_the_maximum_unless_its_credentials_are_refreshed() {
    let ends = async |kind| {
        let longest = Some(Duration::from_secs(2));
        let host =
            Host::new(|ward| ward.close_on_authentication_expiration(true).maximum_authentication_expiration(longest))
                .await;
        let token = ann(600, "a");
        let begun = now();
        let mut connection = host.connect(kind, &token).await;
        while now() < begun + 5 {
            assert_eq!(host.refresh(&connection.id, &token).await.0, 200, "{kind:?}");
            assert_eq!(connection.invoke("Extra").await, "a", "{kind:?}");
        }
        assert_eq!(connection.next().await, Some(json!({ "type": 7, "allowReconnect": true })), "{kind:?}");
        assert_eq!(connection.next().await, None, "{kind:?}");
        assert!(host.heard.is_empty(), "the claims are the same");
    };
    join_all(ClientKind::all().into_iter().map(ends)).await;
}

#[tokio::test]
async fn rejected_refresh_does_not_extend_expiration() {
    let host = Host::new(|ward| {
        ward.close_on_authentication_expiration(true)
            .maximum_authentication_expiration(Some(Duration::from_secs(2)))
            .on_authentication_refresh(async |_| false)
    })
    .await;
    let token = ann(600, "a");
    let begun = now();
    let mut connection = host.connect(SOCKET, &token).await;
    // If a rejected refresh extended the expiration, this loop would not end in time.
    loop {
        match host.refresh(&connection.id, &token).await {
            (404, _) => break,
            refused => assert_eq!(refused, (403, error("permission_change_rejected"))),
        }
        assert!(now() < begun + 8);
    }
    assert_eq!(connection.next().await, Some(json!({ "type": 7, "allowReconnect": true })));
}

#[tokio::test]
async fn poll_extends_only_the_expiration_when_refresh_is_disabled() {
    let host =
        Host::new(|ward| ward.enable_authentication_refresh(false).close_on_authentication_expiration(true)).await;
    let mut connection = host.connect(POLLS, &ann(2, "a")).await;
    connection.use_token(&ann(4, "b"));
    let end = now() + 3;
    for _ in 0..2 {
        assert_eq!(connection.invoke("Extra").await, "a");
    }
    assert_eq!(connection.next().await, Some(json!({ "type": 7, "allowReconnect": true })));
    assert!(now() >= end);
    assert!(host.heard.is_empty());
}

#[tokio::test]
async fn polls_with_new_tokens_keep_the_connection_open() {
    let host = Host::new(|ward| ward.close_on_authentication_expiration(true)).await;
    let mut connection = host.connect(POLLS, &ann(2, "0")).await;
    let begun = now();
    let mut tokens = 0;
    while now() < begun + 4 {
        tokens += 1;
        connection.use_token(&ann(2, &tokens.to_string()));
        // The first response may still be for the previous token.
        connection.invoke("Extra").await;
        assert_eq!(connection.invoke("Extra").await, tokens.to_string());
    }
}

#[tokio::test]
async fn poll_with_expired_credentials_is_answered_with_409() {
    let host = Host::new(|ward| ward.close_on_authentication_expiration(true)).await;
    let in_grace = token(&json!({ "sub": "ann", "extra": "a", "exp": now() - 60 }));
    let id = host.negotiate(&in_grace).await["connectionToken"].as_str().unwrap().to_owned();
    // Before the handshake, the connection does not expire.
    let mut client = ClientKind::LONG_POLLING.open(host.addr, &target(&id, &in_grace)).await;
    for _ in 0..2 {
        let (status, body) = client.poll().await;
        assert_eq!((status, serde_json::from_str(&body).unwrap()), (409, error("authentication_refresh_required")));
    }
    assert_lifetime(&host.refresh(&id, &ann(600, "b")).await, 600);
    client.post("{\"protocol\":\"json\",\"version\":1}\u{1e}").await;
    assert_eq!(client.next().await, Some(json!({})));
}
