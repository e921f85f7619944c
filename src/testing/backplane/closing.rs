//! The end of a server.

use super::harness::BackplaneHarness;
use super::report::CheckOutcome;
use super::server::{GuaranteeCheck, expect_no_more};
use crate::pubsub::{Backplane, BackplaneError};

/// Checks that `close` completes pending calls, that later calls fail with
/// [`BackplaneError::Closed`], and that a closed backplane is not ready.
///
/// # Panics
///
/// Panics when the backplane violates this guarantee.
///
/// # Cancel safety
///
/// Dropping the future closes the backplanes of the check.
pub async fn closed_backplanes_reject_calls(harness: &impl BackplaneHarness) -> CheckOutcome {
    let check = GuaranteeCheck::new(harness, "calls of a closed backplane fail with `Closed`");
    let room = check.channel("room");
    let server = check.subscriber(&[&room]).await;
    let published = server.backplane.publish(&room, "pending".into());
    let subscribed = server.backplane.subscribe(&check.channel("pending"));
    server.backplane.close();
    // They may have completed before.
    let _ = server.call("publish before close", published).await;
    let _ = server.call("subscribe before close", subscribed).await;
    for _ in 0..2 {
        if server.backplane.is_ready() {
            server.fail("a closed backplane is ready");
        }
        let published = server.call("publish", server.backplane.publish(&room, "late".into())).await;
        if published != Err(BackplaneError::Closed) {
            server.fail(format_args!("publish returned {published:?}"));
        }
        let subscribed = server.call("subscribe", server.backplane.subscribe(&room)).await;
        if subscribed != Err(BackplaneError::Closed) {
            server.fail(format_args!("subscribe returned {subscribed:?}"));
        }
        server.backplane.unsubscribe(&room);
        // None of these connects again.
        server.backplane.start();
        server.backplane.close();
    }
    CheckOutcome::Passed
}

/// Checks that `close` ends all subscriptions of its server, and none of others.
///
/// # Panics
///
/// Panics when the backplane violates this guarantee.
///
/// # Cancel safety
///
/// Dropping the future closes the backplanes of the check.
pub async fn closed_backplanes_receive_nothing(harness: &impl BackplaneHarness) -> CheckOutcome {
    let check = GuaranteeCheck::new(harness, "a closed backplane receives nothing, and others are not affected");
    let room = check.channel("room");
    let mut open = check.subscriber(&[&room]).await;
    let mut closed = check.subscriber(&[&room]).await;
    expect_no_more(&open, &room, &mut [&mut closed]).await;
    for marker in ["first marker", "second marker"] {
        open.expect(&room, marker).await;
    }
    closed.backplane.close();
    if closed.backplane.stats().subscriptions != 0 {
        closed.fail("subscriptions of a closed backplane are counted");
    }
    for number in 0..10 {
        open.publish(&room, number.to_string()).await;
        open.expect(&room, number.to_string()).await;
    }
    closed.expect_nothing();
    CheckOutcome::Passed
}
