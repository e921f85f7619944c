//! Redis that refuses a login, a command or a channel.

use super::*;

#[tokio::test]
async fn denied_publish_is_rejected() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let mut node = Node::of(&redis);
    node.subscribe("all").await.unwrap();
    assert_eq!(redis.run(&["ACL", "SETUSER", "default", "-publish"]), "OK");
    let Err(BackplaneError::Rejected(reason)) = node.publish("all", "denied").await else { panic!("not rejected") };
    assert!(reason.contains("no permissions"), "{reason}");
    redis.run(&["ACL", "SETUSER", "default", "+publish"]);
    node.round_trip("all").await;
    let stats = node.backplane.stats();
    assert_eq!((stats.failed_publishes, stats.interruptions), (1, 0));
}

#[tokio::test]
async fn denied_channel_fails_alone() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    redis.run(&["ACL", "SETUSER", "default", "resetchannels", "&open:*"]);
    let node = Node::of(&redis);
    let names: Vec<_> = (0..100).map(|n| format!("{}:{n}", if n == 37 { "secret" } else { "open" })).collect();
    // All are part of the first request.
    let subscribing: Vec<_> = names.iter().map(|name| node.backplane.subscribe(name)).collect();
    for (name, subscribing) in names.iter().zip(subscribing) {
        match within(subscribing).await {
            Ok(()) => assert!(name.starts_with("open"), "{name}"),
            Err(error) => {
                assert!(matches!(error, BackplaneError::Rejected(_)), "{error}");
                assert!(name.starts_with("secret"), "{name}");
            }
        }
    }
    assert_eq!(node.backplane.stats().subscriptions, 99);
    node.ready().await;
}

#[tokio::test]
async fn established_channel_that_is_denied_is_retried() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let mut node = Node::of(&redis);
    for name in ["kept", "denied"] {
        node.subscribe(name).await.unwrap();
    }
    // Redis closes connections that have a subscription which is not permitted any more.
    redis.run(&["ACL", "SETUSER", "default", "resetchannels", "&kept"]);
    eventually(|| node.backplane.stats().interruptions == 1).await;
    eventually(|| redis.run(&["PUBSUB", "CHANNELS"]) == "kept").await;
    node.round_trip("kept").await;
    assert!(!node.backplane.is_ready());
    assert_eq!(node.backplane.stats().subscriptions, 2);
    redis.run(&["ACL", "SETUSER", "default", "allchannels"]);
    node.ready().await;
    node.round_trip("denied").await;
}

#[tokio::test]
async fn server_without_free_connections_is_tried_again() {
    let Some(redis) = RedisServer::start(&["--maxclients", "3"]) else { return };
    let first = Node::of(&redis);
    first.ready().await;
    // One connection is left.
    let mut second = Node::impatient(&redis);
    // Its subscriber or its publisher gets it.
    let failed = match second.publish("all", "text").await {
        Ok(_) => second.subscribe("all").await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(failed, BackplaneError::Disconnected(_)), "{failed}");
    drop(first);
    second.ready().await;
    second.subscribe("all").await.unwrap();
    second.round_trip("all").await;
}

#[tokio::test]
async fn wrong_password_is_reported_without_it() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    redis.run(&["ACL", "SETUSER", "app", "on", ">right", "allchannels", "-@all", "+publish", "+subscribe", "+ping"]);
    let address = format!("127.0.0.1:{}", redis.port());
    let wrong = format!("redis://app:incorrect@{address}");
    let node = Node::start(RedisBackplane::new(&wrong).unwrap().request_timeout(SHORT));
    let Err(BackplaneError::Disconnected(reason)) = node.publish("all", "text").await else { panic!("connected") };
    assert!(reason.contains("authentication failed"), "{reason}");
    for text in [reason.to_string(), format!("{:?}", node.backplane)] {
        assert!(!text.contains("incorrect"), "{text}");
    }
    for backplane in [
        RedisBackplane::new(format!("redis://app:right@{address}/2")).unwrap(),
        RedisBackplane::new(&wrong).unwrap().credentials("app", "right"),
    ] {
        let mut node = Node::start(backplane);
        node.subscribe("all").await.unwrap();
        node.round_trip("all").await;
        assert!(!format!("{:?}", node.backplane).contains("right"));
    }
}
