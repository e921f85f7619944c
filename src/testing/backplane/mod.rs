//! Conformance suite for implementations of [`Backplane`](crate::backplane::Backplane).
//!
//! [`check`] runs all checks on an implementation. Each check is also a function, so that a test can
//! be named after it. A check panics with the guarantee that was violated.
//!
//! The suite creates channels with random names, so several runs can share one service. It measures
//! time with `tokio::time`, which must not be paused unless the service lives in the same process.
//!
//! ```
//! use signalr::backplane::{MemoryBackplane, MemoryBus};
//! use signalr::testing::backplane::{self, BackplaneHarness};
//!
//! struct MemoryHarness(MemoryBus);
//!
//! impl BackplaneHarness for MemoryHarness {
//!     type Backplane = MemoryBackplane;
//!
//!     async fn connect(&self) -> MemoryBackplane {
//!         self.0.connect()
//!     }
//!
//!     fn can_interrupt(&self) -> bool {
//!         true
//!     }
//!
//!     async fn interrupt(&self) {
//!         self.0.set_interrupted(true);
//!     }
//!
//!     async fn restore(&self) {
//!         self.0.set_interrupted(false);
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let report = backplane::check(&MemoryHarness(MemoryBus::new())).await;
//! assert!(report.skipped().is_empty(), "{report}");
//! # }
//! ```
//!
//! | file | checks |
//! |---|---|
//! | `delivery.rs` | which payloads arrive, in which order |
//! | `channels.rs` | names of channels, subscriptions |
//! | `interruptions.rs` | interruptions of the service |
//! | `closing.rs` | the end of a server |

mod channels;
mod closing;
mod delivery;
mod harness;
mod interruptions;
mod report;
mod server;

pub use channels::{
    channel_names_are_literal, concurrent_subscribes_share_one_subscription, last_subscribe_wins,
    last_unsubscribe_wins, unsubscribed_channels_are_not_received,
};
pub use closing::{closed_backplanes_receive_nothing, closed_backplanes_reject_calls};
pub use delivery::{
    concurrent_tasks_keep_their_orders, payloads_are_opaque, payloads_are_passed_one_at_a_time,
    payloads_of_one_task_arrive_in_order, payloads_reach_every_subscriber_once, receivers_are_counted,
};
pub use harness::BackplaneHarness;
pub use interruptions::{
    calls_fail_in_time_while_interrupted, readiness_follows_the_connection,
    subscriptions_are_restored_after_an_interruption,
};
pub use report::{CheckOutcome, CheckReport, check};
