//! Testing hubs in memory (feature `testing`): a server without sockets, and clients that speak the real protocol to it.
//!
//! [`TestHost`] serves a hub, with the same builder, rules and options as in production. A [`TestClient`] negotiates with
//! it, opens a WebSocket over a pipe in memory and shakes hands, in either format; what it calls runs through all that a
//! call over the network runs through. The user is given directly, without a token.
//!
//! What does not come fails the test after five seconds, with a text that says what was waited for. Nothing here waits in
//! real time, so with `#[tokio::test(start_paused = true)]` (tokio's feature `test-util`) those seconds cost none, and
//! keep-alive, timeouts and periods of your own pass at once.
//!
//! C# has `WebApplicationFactory` with its `TestServer` for it, whose handler is given to a `HubConnection`.
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
//! let refused = nurse.invoke::<()>("Subscribe", ("8",)).await.unwrap_err();
//! assert!(refused.to_string().ends_with("HubException: This ward is another department's."));
//! # Ok(())
//! # }
//! ```

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

/// A user with this id, to be given roles and claims: `user("n1").role("Nurse")`. Nobody in particular is
/// [`User::anonymous`].
pub fn user(id: impl Into<Box<str>>) -> UserBuilder {
    User::builder().id(id)
}

#[cfg(test)]
mod tests;
