//! In-memory tests of hubs (feature `testing`).
//!
//! [`TestHost`] serves a hub without network sockets, with the builder, the authorization rules and
//! the options of production. [`TestClient`] negotiates, opens a WebSocket over an in-memory pipe
//! and performs the handshake with either hub protocol, so an invocation runs through the same code
//! as over the network. The user of a client is passed directly, without a token.
//!
//! A wait that takes more than 5 seconds panics with a message that names the missing call or
//! result. All waits use `tokio::time`: with `#[tokio::test(start_paused = true)]` (feature
//! `test-util` of tokio), keep-alive, timeouts and the timers of the application elapse at once.
//!
//! C#: `WebApplicationFactory` and its `TestServer`, whose handler is passed to a `HubConnection`.
//!
//! ```
//! use signalr::testing::{TestHost, user};
//! use signalr::{Caller, HubProtocolKind, HubError, HubResult, hub};
//! use signalr::auth::Policy;
//!
//! struct Wards;
//!
//! #[hub]
//! #[authorize]
//! impl Wards {
//!     #[authorize(policy = "ClinicalStaff")]
//!     async fn subscribe(&self, caller: &Caller<Self>, ward: String) -> HubResult {
//!         if caller.user().claim("department") != Some(&ward) {
//!             return Err(HubError::new("This ward is another department's."));
//!         }
//!         caller.join(format!("ward:{ward}")).await?;
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let host = TestHost::builder(Wards).policy("ClinicalStaff", Policy::require_role("Nurse")).build();
//!
//! let nurse = host.connect(HubProtocolKind::Json, user("n1").role("Nurse").claim("department", "7")).await;
//! nurse.invoke::<()>("Subscribe", ("7",)).await?;
//! host.context().clients().group("ward:7").send("HeartRate", (72,)).await?;
//! let (rate,): (u32,) = nurse.receive("HeartRate").await;
//! assert_eq!(rate, 72);
//!
//! let error = nurse.invoke::<()>("Subscribe", ("8",)).await.unwrap_err();
//! assert!(error.to_string().ends_with("HubException: This ward is another department's."));
//! # Ok(())
//! # }
//! ```

pub mod backplane;
mod client;
mod connection;
mod deadline;
mod host;
mod invocation;
mod stream;

pub use client::TestClient;
pub use connection::ConnectionClosed;
pub use host::{ConnectError, TestHost, TestHostBuilder};
pub use invocation::{InvocationError, InvokeFuture};
pub use stream::{ItemStream, UploadHandle};

use crate::auth::{User, UserBuilder};

/// Returns a builder for a user with this id: `user("n1").role("Nurse")`. For an unauthenticated
/// user, see [`User::anonymous`].
pub fn user(id: impl Into<Box<str>>) -> UserBuilder {
    User::builder().id(id)
}

#[cfg(test)]
mod tests;
