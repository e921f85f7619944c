//! All checks, and their outcomes.

use std::fmt;

use super::harness::BackplaneHarness;
use super::{channels, closing, delivery, interruptions};

/// Outcome of a check that did not fail. A check that fails panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckOutcome {
    /// The backplane gives the guarantee.
    Passed,
    /// The check does not apply, for this reason.
    Skipped(&'static str),
}

/// Outcomes of all checks, in the order in which they ran. `Display` prints one line for each.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    outcomes: Vec<(&'static str, CheckOutcome)>,
}

impl CheckReport {
    /// Returns the names of the checks that passed.
    pub fn passed(&self) -> Vec<&'static str> {
        self.names(|outcome| outcome == CheckOutcome::Passed)
    }

    /// Returns the names of the checks that do not apply.
    pub fn skipped(&self) -> Vec<&'static str> {
        self.names(|outcome| outcome != CheckOutcome::Passed)
    }

    fn names(&self, select: impl Fn(CheckOutcome) -> bool) -> Vec<&'static str> {
        self.outcomes.iter().filter(|(_, outcome)| select(*outcome)).map(|(name, _)| *name).collect()
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, outcome) in &self.outcomes {
            match outcome {
                CheckOutcome::Passed => writeln!(f, "{name}: passed")?,
                CheckOutcome::Skipped(reason) => writeln!(f, "{name}: skipped, {reason}")?,
            }
        }
        Ok(())
    }
}

/// Runs all checks, one after another.
///
/// # Panics
///
/// Panics when the backplane violates a guarantee, and names it.
///
/// # Cancel safety
///
/// Dropping the future closes the backplanes of the check that runs. The service may stay
/// interrupted.
pub async fn check(harness: &impl BackplaneHarness) -> CheckReport {
    let mut report = CheckReport::default();
    macro_rules! run {
        ($($module:ident::$check:ident,)*) => {
            $(report.outcomes.push((stringify!($check), Box::pin($module::$check(harness)).await));)*
        };
    }
    run!(
        delivery::payloads_reach_every_subscriber_once,
        delivery::payloads_of_one_task_arrive_in_order,
        delivery::concurrent_tasks_keep_their_orders,
        delivery::payloads_are_passed_one_at_a_time,
        delivery::payloads_are_opaque,
        delivery::receivers_are_counted,
        channels::channel_names_are_literal,
        channels::unsubscribed_channels_are_not_received,
        channels::last_subscribe_wins,
        channels::last_unsubscribe_wins,
        channels::concurrent_subscribes_share_one_subscription,
        closing::closed_backplanes_reject_calls,
        closing::closed_backplanes_receive_nothing,
        interruptions::readiness_follows_the_connection,
        interruptions::calls_fail_in_time_while_interrupted,
        interruptions::subscriptions_are_restored_after_an_interruption,
    );
    report
}
