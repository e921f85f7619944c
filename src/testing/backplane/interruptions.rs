//! Interruptions of the service.

use super::harness::BackplaneHarness;
use super::report::CheckOutcome;
use super::server::{CheckedServer, GuaranteeCheck};
use crate::pubsub::Backplane;

/// Checks that a backplane is ready unless its service is interrupted, and that interruptions are
/// counted.
///
/// # Panics
///
/// Panics when the backplane violates this guarantee.
///
/// # Cancel safety
///
/// Dropping the future closes the backplanes of the check. The service may stay interrupted.
pub async fn readiness_follows_the_connection(harness: &impl BackplaneHarness) -> CheckOutcome {
    if !harness.can_interrupt() {
        return NO_INTERRUPTION;
    }
    let check = GuaranteeCheck::new(harness, "a backplane is ready while it is connected");
    let server = check.subscriber(&[&check.channel("room")]).await;
    for _ in 0..2 {
        let before = server.backplane.stats().interruptions;
        interrupt(harness, &server).await;
        restore(harness, &server).await;
        if server.backplane.stats().interruptions <= before {
            server.fail("the interruption is not counted");
        }
    }
    CheckOutcome::Passed
}

/// Checks that calls fail in time while the service is interrupted, and that a channel whose
/// `subscribe` failed is not received afterwards.
///
/// # Panics
///
/// Panics when the backplane violates this guarantee.
///
/// # Cancel safety
///
/// Dropping the future closes the backplanes of the check. The service may stay interrupted.
pub async fn calls_fail_in_time_while_interrupted(harness: &impl BackplaneHarness) -> CheckOutcome {
    if !harness.can_interrupt() {
        return NO_INTERRUPTION;
    }
    let check = GuaranteeCheck::new(harness, "calls fail in time while the service is interrupted");
    let (room, new) = (check.channel("room"), check.channel("new"));
    let mut server = check.subscriber(&[&room]).await;
    interrupt(harness, &server).await;
    for _ in 0..3 {
        if let Ok(receivers) = server.call("publish", server.backplane.publish(&room, "lost".into())).await {
            server.fail(format_args!("publish returned Ok({receivers:?})"));
        }
    }
    if server.call("subscribe", server.backplane.subscribe(&new)).await.is_ok() {
        server.fail("subscribe succeeded");
    }
    let failed = server.backplane.stats().failed_publishes;
    if failed != 3 {
        server.fail(format_args!("{failed} failed publishes are counted instead of 3"));
    }
    restore(harness, &server).await;
    server.publish(&new, "not received").await;
    server.subscribe(&new).await;
    server.publish(&new, "received").await;
    // A publish that has failed may arrive late.
    loop {
        let (channel, payload) = server.receive().await;
        match (&*channel, &*payload) {
            (channel, b"lost") if channel == room => (),
            (channel, b"received") if channel == new => break,
            _ => server.fail(format_args!("{payload:?} arrived on {channel:?}")),
        }
    }
    CheckOutcome::Passed
}

/// Checks that 200 subscriptions are restored after an interruption without a call, and that those
/// are not which ended during the interruption.
///
/// # Panics
///
/// Panics when the backplane violates this guarantee.
///
/// # Cancel safety
///
/// Dropping the future closes the backplanes of the check. The service may stay interrupted.
pub async fn subscriptions_are_restored_after_an_interruption(harness: &impl BackplaneHarness) -> CheckOutcome {
    if !harness.can_interrupt() {
        return NO_INTERRUPTION;
    }
    let check = GuaranteeCheck::new(harness, "subscriptions are restored after an interruption");
    let rooms: Vec<String> = (0..200).map(|number| check.channel(&format!("room {number}"))).collect();
    let ended = check.channel("ended");
    let publisher = check.server().await;
    let mut subscriber = check.subscriber(&[&ended]).await;
    for room in &rooms {
        subscriber.subscribe(room).await;
    }
    interrupt(harness, &subscriber).await;
    subscriber.backplane.unsubscribe(&ended);
    restore(harness, &subscriber).await;
    publisher.wait_until("another server is ready again", |backplane| backplane.is_ready()).await;
    publisher.publish(&ended, "not received").await;
    for room in &rooms {
        publisher.publish(room, "hello").await;
        subscriber.expect(room, "hello").await;
    }
    let counted = subscriber.backplane.stats().subscriptions;
    if counted != rooms.len() {
        subscriber.fail(format_args!("{counted} subscriptions are counted instead of {}", rooms.len()));
    }
    CheckOutcome::Passed
}

async fn interrupt<H: BackplaneHarness>(harness: &H, server: &CheckedServer<H::Backplane>) {
    harness.interrupt().await;
    server.wait_until("the backplane is not ready after an interruption", |backplane| !backplane.is_ready()).await;
}

async fn restore<H: BackplaneHarness>(harness: &H, server: &CheckedServer<H::Backplane>) {
    harness.restore().await;
    server.wait_until("the backplane is ready after an interruption", |backplane| backplane.is_ready()).await;
}

const NO_INTERRUPTION: CheckOutcome = CheckOutcome::Skipped("the harness cannot interrupt the service");
