//! Names of channels, and subscriptions.

use futures_util::future::join;

use super::harness::BackplaneHarness;
use super::report::CheckOutcome;
use super::server::{CheckedServer, GuaranteeCheck, expect_no_more, wait_until_received};
use crate::pubsub::Backplane;

/// Names of groups that a service could take for patterns, separators or equal to others.
const NAMES: &[&str] = &[
    "",
    " ",
    "a",
    "A",
    "*",
    "?",
    ">",
    ".",
    ":",
    "a*",
    "a?",
    "a.*",
    "a.>",
    "a.",
    ".a",
    "a.b",
    "a..b",
    "a.b.c",
    "a:b",
    "a b",
    "a[bc]",
    "ab",
    "[a",
    "{a}",
    "a/b",
    "a\\*",
    "\\",
    "%41",
    "$a",
    "#",
    "+",
    "\"a\"",
    "'a'",
    "a\0b",
    "a\tb",
    "a\r\nb",
    "_",
    "-",
    "=",
    "ä",
    "a\u{308}",
    "Ä",
    "ß",
    "ss",
    "日本語",
    "日本",
    "😀",
];

/// Checks that channels are literal names: of any text, at least 200 bytes long, and with no two
/// names that are one channel.
///
/// # Panics
///
/// Panics when the backplane violates this guarantee.
///
/// # Cancel safety
///
/// Dropping the future closes the backplanes of the check.
pub async fn channel_names_are_literal(harness: &impl BackplaneHarness) -> CheckOutcome {
    let check = GuaranteeCheck::new(harness, "channels are literal names, and different names are different channels");
    let long = "x".repeat(200);
    let longer = "x".repeat(201);
    let channels: Vec<String> = NAMES.iter().chain([&&*long, &&*longer]).map(|name| check.channel(name)).collect();
    // Two servers with every other channel each: what only one of them may receive would show.
    let mut servers = [check.server().await, check.server().await];
    for (index, channel) in channels.iter().enumerate() {
        servers[index % 2].subscribe(channel).await;
    }
    for (index, channel) in channels.iter().enumerate() {
        servers[0].publish(channel, index.to_string()).await;
        servers[index % 2].expect(channel, index.to_string()).await;
    }
    let last = check.channel("last");
    let [first, second] = &mut servers;
    first.subscribe(&last).await;
    second.subscribe(&last).await;
    expect_no_more(&check.server().await, &last, &mut [first, second]).await;
    CheckOutcome::Passed
}

/// Checks that a channel is no longer received after it was unsubscribed, until it is subscribed
/// again.
///
/// # Panics
///
/// Panics when the backplane violates this guarantee.
///
/// # Cancel safety
///
/// Dropping the future closes the backplanes of the check.
pub async fn unsubscribed_channels_are_not_received(harness: &impl BackplaneHarness) -> CheckOutcome {
    let check = GuaranteeCheck::new(harness, "an unsubscribed channel is not received");
    let (room, other) = (check.channel("room"), check.channel("other"));
    let publisher = check.server().await;
    let mut subscriber = check.subscriber(&[&room, &other]).await;
    publisher.publish(&room, "before").await;
    subscriber.expect(&room, "before").await;
    for _ in 0..10 {
        subscriber.backplane.unsubscribe(&room);
        expect_subscriptions(&subscriber, 1);
        wait_until_received(false, &publisher, &room, &mut subscriber, &other).await;
        subscriber.subscribe(&room).await;
        expect_subscriptions(&subscriber, 2);
        publisher.publish(&room, "afterwards").await;
        subscriber.expect(&room, "afterwards").await;
    }
    // A channel that is not subscribed.
    subscriber.backplane.unsubscribe(&check.channel("unknown"));
    expect_no_more(&publisher, &room, &mut [&mut subscriber]).await;
    CheckOutcome::Passed
}

/// Checks that a channel is subscribed after `subscribe`, `unsubscribe` and `subscribe`, although
/// no future was polled.
///
/// # Panics
///
/// Panics when the backplane violates this guarantee.
///
/// # Cancel safety
///
/// Dropping the future closes the backplanes of the check.
pub async fn last_subscribe_wins(harness: &impl BackplaneHarness) -> CheckOutcome {
    let check = GuaranteeCheck::new(harness, "`subscribe` takes effect after an earlier `unsubscribe`, polled or not");
    let (room, other) = (check.channel("room"), check.channel("other"));
    let publisher = check.server().await;
    let mut subscriber = check.subscriber(&[&other]).await;
    for round in 0..20 {
        drop(subscriber.backplane.subscribe(&room));
        subscriber.backplane.unsubscribe(&room);
        let last = subscriber.backplane.subscribe(&room);
        if round % 2 == 0 {
            drop(last);
            wait_until_received(true, &publisher, &room, &mut subscriber, &other).await;
        } else if let Err(error) = subscriber.call("subscribe", last).await {
            subscriber.fail(format_args!("subscribe failed: {error}"));
        }
        publisher.publish(&room, format!("round {round}")).await;
        subscriber.expect(&room, format!("round {round}")).await;
    }
    expect_no_more(&publisher, &room, &mut [&mut subscriber]).await;
    CheckOutcome::Passed
}

/// Checks that a channel is not subscribed after `unsubscribe`, `subscribe` and `unsubscribe`, and
/// that the future of `subscribe` completes nevertheless, with either result.
///
/// # Panics
///
/// Panics when the backplane violates this guarantee.
///
/// # Cancel safety
///
/// Dropping the future closes the backplanes of the check.
pub async fn last_unsubscribe_wins(harness: &impl BackplaneHarness) -> CheckOutcome {
    let check = GuaranteeCheck::new(harness, "`unsubscribe` takes effect after an earlier `subscribe`, polled or not");
    let (room, other) = (check.channel("room"), check.channel("other"));
    let publisher = check.server().await;
    let mut subscriber = check.subscriber(&[&other]).await;
    for round in 0..20 {
        subscriber.backplane.unsubscribe(&room);
        let subscribed = subscriber.backplane.subscribe(&room);
        subscriber.backplane.unsubscribe(&room);
        if round % 2 == 0 {
            drop(subscribed);
        } else {
            let _ = subscriber.call("subscribe before unsubscribe", subscribed).await;
        }
        wait_until_received(false, &publisher, &room, &mut subscriber, &other).await;
        expect_subscriptions(&subscriber, 1);
        subscriber.subscribe(&room).await;
        publisher.publish(&room, format!("round {round}")).await;
        subscriber.expect(&room, format!("round {round}")).await;
    }
    expect_no_more(&publisher, &room, &mut [&mut subscriber]).await;
    CheckOutcome::Passed
}

/// Checks that two concurrent calls of `subscribe` for one channel both complete, that payloads
/// arrive once, and that one `unsubscribe` ends the subscription.
///
/// # Panics
///
/// Panics when the backplane violates this guarantee.
///
/// # Cancel safety
///
/// Dropping the future closes the backplanes of the check.
pub async fn concurrent_subscribes_share_one_subscription(harness: &impl BackplaneHarness) -> CheckOutcome {
    let check = GuaranteeCheck::new(harness, "concurrent calls of `subscribe` for one channel share a subscription");
    let (room, other) = (check.channel("room"), check.channel("other"));
    let publisher = check.server().await;
    let mut subscriber = check.subscriber(&[&other]).await;
    for _ in 0..10 {
        let (first, second) = (subscriber.backplane.subscribe(&room), subscriber.backplane.subscribe(&room));
        let (first, second) =
            join(subscriber.call("first subscribe", first), subscriber.call("second subscribe", second)).await;
        if let Err(error) = first.and(second) {
            subscriber.fail(format_args!("subscribe failed: {error}"));
        }
        // Subscribed already.
        subscriber.subscribe(&room).await;
        expect_subscriptions(&subscriber, 2);
        expect_no_more(&publisher, &room, &mut [&mut subscriber]).await;
        subscriber.backplane.unsubscribe(&room);
        wait_until_received(false, &publisher, &room, &mut subscriber, &other).await;
    }
    CheckOutcome::Passed
}

fn expect_subscriptions<B: Backplane>(server: &CheckedServer<B>, expected: usize) {
    let counted = server.backplane.stats().subscriptions;
    if counted != expected {
        server.fail(format_args!("{counted} subscriptions are counted instead of {expected}"));
    }
}
