//! Delivery while Redis is connected.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};

use super::*;

#[tokio::test]
async fn payloads_of_literal_channels_arrive_in_order() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let (mut node, sender) = (Node::of(&redis), Node::of(&redis));
    let names = ["Chat:group:a b", "Chat:group:*", "Chat:group:?", "Chat:group:[a-z]", "Chat:group:\r\n\0ä", ""];
    for name in names {
        node.subscribe(name).await.unwrap();
    }
    assert_eq!(sender.publish("Chat:group:other", "no").await, Ok(Some(0)));
    for name in names {
        for payload in ["first", "", "third"] {
            assert_eq!(sender.publish(name, payload).await, Ok(Some(1)), "{name:?}");
            assert_eq!(node.next().await, (name.to_owned(), payload.into()));
        }
    }
    for number in 0..200 {
        let payload = Bytes::from(format!("{number}\r\n\0"));
        assert_eq!(within(sender.backplane.publish("Chat:group:*", payload.clone())).await, Ok(Some(1)));
        assert_eq!(node.next().await, ("Chat:group:*".to_owned(), payload));
    }
}

#[tokio::test]
async fn publishes_of_one_task_arrive_in_order() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let (mut node, sender) = (Node::of(&redis), Arc::new(Node::of(&redis)));
    let names: Vec<_> = (0..20).map(|number| format!("Chat:group:{number}")).collect();
    within(try_join_all(names.iter().map(|name| node.backplane.subscribe(name)))).await.unwrap();
    for name in names.clone() {
        let sender = sender.clone();
        tokio::spawn(async move {
            for number in 0..50 {
                sender.backplane.publish(&name, Bytes::from(vec![number; 1000])).await.unwrap();
            }
        });
    }
    let mut expected: HashMap<_, _> = names.into_iter().map(|name| (name, 0)).collect();
    for _ in 0..20 * 50 {
        let (channel, payload) = node.next().await;
        let number = expected.get_mut(&channel).unwrap();
        assert_eq!(payload[0], *number, "{channel}");
        *number += 1;
    }
}

#[tokio::test]
async fn large_payloads_arrive() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let mut node = Node::of(&redis);
    node.subscribe("all").await.unwrap();
    // More than may be queued, and than is read at once.
    for size in [8, 20] {
        let payload = Bytes::from(vec![7; size * 1024 * 1024]);
        assert_eq!(within(node.backplane.publish("all", payload.clone())).await, Ok(Some(1)));
        assert!(node.next().await.1 == payload);
    }
    assert_eq!(node.backplane.stats().interruptions, 0);
}

#[tokio::test]
async fn slow_receiver_gets_all_payloads() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let backplane = RedisBackplane::new(redis.url()).unwrap();
    let (tx, mut received) = mpsc::unbounded_channel();
    backplane.attach(BackplaneReceiver::new(move |_, payload| {
        std::thread::sleep(Duration::from_millis(1));
        tx.send(payload.len()).unwrap();
    }));
    backplane.start();
    within(backplane.subscribe("all")).await.unwrap();
    let payload = Bytes::from(vec![7; 64 * 1024]);
    let publishes = join_all((0..400).map(|_| backplane.publish("all", payload.clone())));
    assert!(within(publishes).await.iter().all(|published| *published == Ok(Some(1))));
    for _ in 0..400 {
        assert_eq!(within(received.recv()).await, Some(payload.len()));
    }
}

#[tokio::test]
async fn many_channels_are_subscribed_and_restored() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let mut node = Node::of(&redis);
    let names: Vec<_> = (0..10_000).map(|number| format!("Chat:connection:{number:032}")).collect();
    within(try_join_all(names.iter().map(|name| node.backplane.subscribe(name)))).await.unwrap();
    let subscribed = || redis.run(&["PUBSUB", "CHANNELS"]).lines().count();
    assert_eq!(subscribed(), names.len());
    assert_eq!(node.backplane.stats().subscriptions, names.len());

    redis.run(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    eventually(|| node.backplane.stats().interruptions == 1).await;
    node.ready().await;
    assert_eq!(subscribed(), names.len());
    node.round_trip(names.last().unwrap()).await;

    names.iter().for_each(|name| node.backplane.unsubscribe(name));
    eventually(|| subscribed() == 0).await;
    assert_eq!(node.backplane.stats().subscriptions, 0);
}

#[tokio::test]
async fn calls_for_one_channel_take_effect_in_order() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let node = Node::of(&redis);
    node.ready().await;
    let (first, second) = (node.backplane.subscribe("a"), node.backplane.subscribe("a"));
    node.backplane.unsubscribe("a");
    let unpolled = node.backplane.subscribe("b");
    node.backplane.unsubscribe("c");
    assert_eq!(within(first).await, Ok(()));
    assert_eq!(within(second).await, Ok(()));
    node.subscribe("c").await.unwrap();
    eventually(|| redis.run(&["PUBSUB", "NUMSUB", "a", "b", "c"]) == "a\n0\nb\n1\nc\n1").await;
    drop(unpolled);
    for _ in 0..3 {
        node.backplane.unsubscribe("c");
        let subscribing = node.backplane.subscribe("c");
        node.backplane.unsubscribe("b");
        within(subscribing).await.unwrap();
    }
    eventually(|| redis.run(&["PUBSUB", "NUMSUB", "a", "b", "c"]) == "a\n0\nb\n0\nc\n1").await;
}

#[tokio::test]
async fn channel_prefix_separates_applications() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let start = |prefix: &str| Node::start(RedisBackplane::new(redis.url()).unwrap().channel_prefix(prefix));
    let (mut test, live) = (start("test:"), start("live:"));
    test.subscribe("all").await.unwrap();
    assert_eq!(redis.run(&["PUBSUB", "CHANNELS"]), "test:all");
    assert_eq!(live.publish("all", "lost").await, Ok(Some(0)));
    assert_eq!(test.publish("all", "found").await, Ok(Some(1)));
    assert_eq!(test.next().await, ("all".to_owned(), "found".into()));
    test.backplane.unsubscribe("all");
    eventually(|| redis.run(&["PUBSUB", "CHANNELS"]).is_empty()).await;
}

#[tokio::test]
async fn backplane_has_two_connections_until_it_ends() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    // Without that of `redis-cli`.
    let connections = || redis.run(&["CLIENT", "LIST"]).lines().count() - 1;
    let node = Node::of(&redis);
    node.backplane.start();
    for name in ["a", "b", "c"] {
        node.subscribe(name).await.unwrap();
        node.publish(name, "text").await.unwrap();
    }
    assert_eq!(connections(), 2);
    let waiting = node.backplane.subscribe("d");
    node.backplane.close();
    eventually(|| connections() == 0).await;
    assert_eq!(within(waiting).await, Err(BackplaneError::Closed));
    assert_eq!(node.subscribe("a").await, Err(BackplaneError::Closed));
    assert_eq!(node.publish("a", "text").await, Err(BackplaneError::Closed));
    assert!(!node.backplane.is_ready());

    let node = Node::of(&redis);
    node.ready().await;
    assert_eq!(connections(), 2);
    drop(node);
    eventually(|| connections() == 0).await;
}
