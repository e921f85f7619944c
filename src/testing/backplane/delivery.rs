//! Which payloads arrive, and in which order.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::harness::BackplaneHarness;
use super::report::CheckOutcome;
use super::server::{CheckedServer, GuaranteeCheck, expect_no_more};
use crate::pubsub::Backplane;

/// Checks that a payload arrives once at each subscribed server, including the one that publishes
/// it, and at no other server.
///
/// # Panics
///
/// Panics when the backplane violates this guarantee.
///
/// # Cancel safety
///
/// Dropping the future closes the backplanes of the check.
pub async fn payloads_reach_every_subscriber_once(harness: &impl BackplaneHarness) -> CheckOutcome {
    let check =
        GuaranteeCheck::new(harness, "a payload arrives once at each subscribed server, its publisher included");
    let (room, other) = (check.channel("room"), check.channel("other"));
    let mut first = check.subscriber(&[&room]).await;
    let mut second = check.subscriber(&[&room]).await;
    let mut elsewhere = check.subscriber(&[&other]).await;
    let outside = check.server().await;
    for publisher in [&first, &second, &outside] {
        publisher.publish(&room, "hello").await;
    }
    for subscriber in [&mut first, &mut second] {
        for _ in 0..3 {
            subscriber.expect(&room, "hello").await;
        }
    }
    expect_no_more(&outside, &room, &mut [&mut first, &mut second]).await;
    expect_no_more(&outside, &other, &mut [&mut elsewhere]).await;
    CheckOutcome::Passed
}

/// Checks that 1,000 payloads, published one after another, arrive in that order at each
/// subscribed server, and that none is lost.
///
/// # Panics
///
/// Panics when the backplane violates this guarantee.
///
/// # Cancel safety
///
/// Dropping the future closes the backplanes of the check.
pub async fn payloads_of_one_task_arrive_in_order(harness: &impl BackplaneHarness) -> CheckOutcome {
    let check = GuaranteeCheck::new(harness, "payloads of one task arrive in the order in which it publishes them");
    let room = check.channel("room");
    let mut publisher = check.subscriber(&[&room]).await;
    let mut other = check.subscriber(&[&room]).await;
    for number in 0..1000 {
        publisher.publish(&room, number.to_string()).await;
    }
    for subscriber in [&mut publisher, &mut other] {
        for number in 0..1000 {
            subscriber.expect(&room, number.to_string()).await;
        }
    }
    expect_no_more(&publisher, &room, &mut [&mut other]).await;
    CheckOutcome::Passed
}

/// Checks that payloads of several tasks of two servers arrive, those of each task in the order in
/// which it publishes them, and that none is lost.
///
/// # Panics
///
/// Panics when the backplane violates this guarantee.
///
/// # Cancel safety
///
/// Dropping the future closes the backplanes of the check.
pub async fn concurrent_tasks_keep_their_orders(harness: &impl BackplaneHarness) -> CheckOutcome {
    const TASKS: usize = 8;
    const PAYLOADS: usize = 100;
    let check = GuaranteeCheck::new(harness, "payloads of each task arrive in order while other tasks publish");
    let room = check.channel("room");
    let mut subscriber = check.subscriber(&[&room]).await;
    let publishers = [Arc::new(check.server().await), Arc::new(check.server().await)];
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (publisher, room) = (Arc::clone(&publishers[task % 2]), room.clone());
        tasks.spawn(async move {
            for number in 0..PAYLOADS {
                publisher.publish(&room, format!("{task}:{number}")).await;
            }
        });
    }
    tasks.join_all().await;
    let mut next = [0; TASKS];
    for _ in 0..TASKS * PAYLOADS {
        let (_, payload) = subscriber.receive().await;
        let text = String::from_utf8_lossy(&payload);
        let numbers = text.split_once(':').map(|(task, number)| (task.parse::<usize>(), number.parse::<usize>()));
        match numbers {
            Some((Ok(task), Ok(number))) if next.get(task) == Some(&number) => next[task] += 1,
            _ => subscriber.fail(format_args!("{text} arrived when these were the next of each task: {next:?}")),
        }
    }
    expect_no_more(&publishers[0], &room, &mut [&mut subscriber]).await;
    CheckOutcome::Passed
}

/// Checks that the receiver is not called for a channel while a call for this channel runs.
///
/// # Panics
///
/// Panics when the backplane violates this guarantee.
///
/// # Cancel safety
///
/// Dropping the future closes the backplanes of the check.
pub async fn payloads_are_passed_one_at_a_time(harness: &impl BackplaneHarness) -> CheckOutcome {
    const TASKS: usize = 4;
    const PAYLOADS: usize = 100;
    let check = GuaranteeCheck::new(harness, "the receiver is called for one payload of a channel at a time");
    let room = check.channel("room");
    let mut subscriber = check.subscriber(&[&room]).await;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (publisher, room) = (check.server().await, room.clone());
        tasks.spawn(async move {
            for _ in 0..PAYLOADS {
                publisher.publish(&room, "hello").await;
            }
        });
    }
    tasks.join_all().await;
    // Each call of `receive` fails the check if the receiver ran twice at once.
    for _ in 0..TASKS * PAYLOADS {
        subscriber.receive().await;
    }
    CheckOutcome::Passed
}

/// Checks that payloads of all bytes and of many lengths arrive unchanged: 0 bytes, 1 byte, 64 KiB
/// and 1 MiB, as far as [`max_payload_bytes`](BackplaneHarness::max_payload_bytes) allows.
///
/// # Panics
///
/// Panics when the backplane violates this guarantee.
///
/// # Cancel safety
///
/// Dropping the future closes the backplanes of the check.
pub async fn payloads_are_opaque(harness: &impl BackplaneHarness) -> CheckOutcome {
    let check = GuaranteeCheck::new(harness, "payloads of all bytes and lengths arrive unchanged");
    let room = check.channel("room");
    let publisher = check.server().await;
    let mut subscriber = check.subscriber(&[&room]).await;
    let max = harness.max_payload_bytes().min(1024 * 1024);
    for length in [0, 1, 2, 255, 256, 4096, 64 * 1024, max] {
        // A period of 256 would hide pieces of buffers that are exchanged.
        let payload: Vec<u8> = (0..=255).chain([13, 10, 0]).cycle().take(length.min(max)).collect();
        publisher.publish(&room, payload.clone()).await;
        subscriber.expect(&room, payload).await;
    }
    expect_no_more(&publisher, &room, &mut [&mut subscriber]).await;
    CheckOutcome::Passed
}

/// Checks the number of receivers that [`publish`](Backplane::publish) returns. Skipped if it
/// returns `None`.
///
/// # Panics
///
/// Panics when the backplane violates this guarantee.
///
/// # Cancel safety
///
/// Dropping the future closes the backplanes of the check.
pub async fn receivers_are_counted(harness: &impl BackplaneHarness) -> CheckOutcome {
    let check =
        GuaranteeCheck::new(harness, "`publish` returns the number of servers that are subscribed to the channel");
    let room = check.channel("room");
    let first = check.server().await;
    let second = check.server().await;
    if first.publish(&room, "for none").await.is_none() {
        return CheckOutcome::Skipped("the backplane does not count receivers");
    }
    expect_receivers(&first, &room, 0).await;
    first.subscribe(&room).await;
    expect_receivers(&first, &room, 1).await;
    second.subscribe(&room).await;
    expect_receivers(&first, &room, 2).await;
    second.backplane.unsubscribe(&room);
    // Takes effect within the timeout of a call.
    let begin = Instant::now();
    while begin.elapsed() < harness.call_timeout() && first.publish(&room, "counted").await != Some(1) {
        sleep(Duration::from_millis(2)).await;
    }
    expect_receivers(&first, &room, 1).await;
    CheckOutcome::Passed
}

async fn expect_receivers<B: Backplane>(publisher: &CheckedServer<B>, channel: &str, expected: u64) {
    let counted = publisher.publish(channel, "counted").await;
    if counted != Some(expected) {
        publisher.fail(format_args!("{counted:?} receivers instead of {expected}"));
    }
}
