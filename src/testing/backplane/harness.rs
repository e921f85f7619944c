//! Connection of the suite to a backplane.

use std::time::Duration;

use crate::pubsub::Backplane;

/// Connects the suite to a [`Backplane`] and its service.
///
/// For an example, see the [module](super).
pub trait BackplaneHarness: Sync {
    /// The implementation to check.
    type Backplane: Backplane;

    /// Returns the backplane of another server. The suite attaches a receiver to it and starts it.
    ///
    /// # Cancel safety
    ///
    /// Not needed: the suite awaits the future to its end.
    fn connect(&self) -> impl Future<Output = Self::Backplane> + Send;

    /// Returns the longest time that a call may take, and the service to be connected again.
    /// Payloads that have not arrived by then are lost.
    ///
    /// Default 10 seconds; it has to be longer than the timeout of the backplane.
    fn call_timeout(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// Returns the length of the largest payload that the service takes.
    ///
    /// Default 1 MiB, above which the suite does not go.
    fn max_payload_bytes(&self) -> usize {
        1024 * 1024
    }

    /// Returns whether [`interrupt`](Self::interrupt) interrupts the service.
    ///
    /// Default `false`: checks that interrupt the service are skipped, which the
    /// [`CheckReport`](super::CheckReport) contains.
    fn can_interrupt(&self) -> bool {
        false
    }

    /// Makes the service unreachable for all servers, such as by ending its process.
    ///
    /// # Cancel safety
    ///
    /// Not needed: the suite awaits the future to its end.
    fn interrupt(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Makes the service reachable again at the same address.
    ///
    /// # Cancel safety
    ///
    /// Not needed: the suite awaits the future to its end.
    fn restore(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}
