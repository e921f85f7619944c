//! A SignalR server: hubs whose methods `@microsoft/signalr` and every other SignalR client call,
//! over WebSockets, Server-Sent Events or long polling.
//!
//! A *hub* is a type whose methods clients call by name. The server calls methods of its clients,
//! too: of one client, of a group, of a user, or of all. Both directions carry results and streams.
//! On the wire the crate does what ASP.NET Core 10 does, so that clients need no change.
//!
//! ```no_run
//! use signalr::{Caller, HubError, HubResult, SignalR, hub, hub_client};
//!
//! /// The methods that a chat client offers to the server.
//! #[hub_client]
//! trait ChatClient {
//!     fn receive_message(&self, user: &str, text: &str);
//! }
//!
//! struct Chat;
//!
//! #[hub(client = ChatClient)]
//! impl Chat {
//!     /// Clients call it `SendMessage`.
//!     async fn send_message(&self, caller: &Caller<Self>, user: String, text: String) -> HubResult {
//!         if text.trim().is_empty() {
//!             return Err(HubError::new("The message is empty."));
//!         }
//!         caller.clients().all().receive_message(&user, &text).await?;
//!         Ok(())
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let signalr = SignalR::builder().hub("/chat", Chat).build()?;
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:5000").await?;
//!     signalr.serve(listener).await;
//!     Ok(())
//! }
//! ```
//!
//! # Guides
//!
//! | page | content |
//! |---|---|
//! | [`getting_started`](guide::getting_started) | a hub, its client, groups, background tasks, presence |
//! | [`axum`](guide::axum) | every way to mount hubs in a router, CORS, client addresses, logging layers |
//! | [`authentication`](guide::authentication) | bearer tokens, claims, policies, issuing a token, other routes |
//! | [`errors`](guide::errors) | which errors a client sees, and how to choose |
//! | [`streams`](guide::streams) | streams in both directions, cancellation, backpressure |
//! | [`testing`](guide::testing) | hubs in memory, with paused time |
//! | [`logging`](guide::logging) | targets, levels and fields; spans and metrics by a filter |
//! | [`limits`](guide::limits) | every limit and timeout, its default and its effect |
//! | [`deployment`](guide::deployment) | SIGTERM, proxies, several servers, TLS, memory |
//! | [`scaling_out`](guide::scaling_out) | several servers: backplanes, affinity, failures, sizes |
//! | [`moving_off_aspnet_core`](guide::moving_off_aspnet_core) | one server at a time, on the same Redis |
//! | [`from_csharp`](guide::from_csharp) | the same hub in both languages, and a table of all names |
//! | [`from_socket_io`](guide::from_socket_io) | rooms, acknowledgements and namespaces in SignalR's terms |
//!
//! # Where to find what
//!
//! | to | use |
//! |---|---|
//! | write a hub | [`#[hub]`](macro@hub), or [`Hub`] and [`Methods`](hub::Methods) without the macro |
//! | declare the methods of clients | [`#[hub_client]`](macro@hub_client) |
//! | know the calling connection and its user | [`Caller`] |
//! | call clients | [`Clients`], [`Proxy`](hub::Proxy); from outside a hub [`HubContext`] |
//! | manage groups | [`Caller::join`], [`Groups`] |
//! | receive a stream | [`UploadStream`]; to send one, return `impl Stream` |
//! | choose what clients read of errors | [`HubError`], [`Expose`] |
//! | run code around every call | [`Filter`], [`Next`], [`InvocationContext`] |
//! | authenticate and authorize | [`auth`], [`#[authorize]`](macro@authorize), [`#[allow_anonymous]`](macro@allow_anonymous) |
//! | set options | [`Builder`](hosting::Builder) for all hubs, [`EndpointBuilder`](hosting::EndpointBuilder) for one path |
//! | serve | [`SignalR::serve`], or [`SignalR::service`] within hyper, axum or any tower stack |
//! | let pages of other origins connect | [`Cors`](hosting::Cors), [`Builder::allowed_origins`](hosting::Builder::allowed_origins) |
//! | exchange .NET's values | [`DateTime`](dotnet::DateTime), [`DateTimeOffset`](dotnet::DateTimeOffset), [`TimeSpan`](dotnet::TimeSpan), [`Decimal`](dotnet::Decimal), [`Guid`](dotnet::Guid), [`Binary`](dotnet::Binary), [`Value`](dotnet::Value) |
//! | speak bytes over the same transports | [`RawConnection`](raw::RawConnection), [`Builder::connection_handler`](hosting::Builder::connection_handler) |
//! | connect several servers | [`Builder::backplane`](hosting::Builder::backplane), [`backplane`] |
//! | test hubs in memory | [`testing`] |
//! | read and write the hub protocol | [`protocol`] |
//!
//! # Order of the builder's methods
//!
//! Options that stand before the first path hold for all hubs. After
//! [`Builder::hub`](hosting::Builder::hub), which returns an
//! [`EndpointBuilder`](hosting::EndpointBuilder), options belong to that path, until the next one is
//! mapped.
//! Authentication and policies belong to the server and therefore come first. `build()` returns an
//! error for mistakes that would otherwise show later: an unknown policy, two hubs on one path, a
//! rule on a server without authentication.
//!
//! # Runtime
//!
//! The crate needs tokio. [`SignalR::builder`] and `build()` work outside a runtime; the tasks of a
//! server start with its first connection. The minimum supported Rust version is 1.88.
//!
//! # Cargo features
//!
//! | feature | adds |
//! |---|---|
//! | `messagepack` (default) | the `messagepack` hub protocol, [`HubProtocolKind::MessagePack`] |
//! | `redis` | [`RedisBackplane`](backplane::RedisBackplane): several servers of one hub, also beside ASP.NET Core |
//! | `nats` | [`NatsBackplane`](backplane::NatsBackplane): several servers of one hub; needs Rust 1.89 |
//! | `oidc` | keys of bearer tokens from an identity provider: [`auth::IdentityProvider`] |
//! | `testing` | [`testing`]: servers and clients in memory; a feature for dev-dependencies |
//! | `tower` | [`SignalR::redact_layer`], which removes tokens from the requests that an application logs |
//! | `rate-limit` | [`Builder::negotiate_limit`](hosting::Builder::negotiate_limit), the number of connections that one address may request |
//! | `chrono`, `jiff`, `time`, `rust_decimal`, `uuid` | conversions between .NET's values and the types of these crates |

#![cfg_attr(docsrs, feature(doc_cfg))]
// Disabled features remove the targets of links.
#![cfg_attr(
    not(all(
        feature = "messagepack",
        feature = "nats",
        feature = "oidc",
        feature = "redis",
        feature = "rate-limit",
        feature = "testing",
        feature = "tower"
    )),
    allow(rustdoc::broken_intra_doc_links)
)]

mod buffer_pool;
mod cluster;
mod connection_info;
mod connections;
mod options;
mod ordinal;
mod outbound;
mod pubsub;
mod quoted;
mod registry;
mod session;
mod socket;
mod tasks;

pub mod auth;
pub mod guide;
pub mod hosting;
pub mod hub;
pub mod protocol;
pub mod raw;
#[cfg(feature = "testing")]
pub mod testing;

/// Connects the servers of a hub: what one of them sends reaches the clients of all (C#: a
/// "backplane", such as `AddStackExchangeRedis`).
///
/// ```
/// use signalr::backplane::MemoryBus;
/// use signalr::{SignalR, hub};
///
/// struct Chat;
///
/// #[hub]
/// impl Chat {}
///
/// // Two servers in one process, as a test needs them.
/// let bus = MemoryBus::new();
/// let north = SignalR::builder().backplane(bus.connect()).hub("/chat", Chat).build()?;
/// let south = SignalR::builder().backplane(bus.connect()).hub("/chat", Chat).build()?;
/// # Ok::<_, signalr::hosting::BuildError>(())
/// ```
pub mod backplane {
    pub use crate::hub::{ClusterAnswer, ClusterQueries, Emitter, EmitterHub};
    pub use crate::pubsub::{
        Backplane, BackplaneError, BackplaneFuture, BackplaneReceiver, BackplaneStats, MemoryBackplane, MemoryBus,
    };
    #[cfg(feature = "nats")]
    pub use crate::pubsub::{NatsBackplane, NatsConfigError};
    #[cfg(feature = "redis")]
    pub use crate::pubsub::{RedisBackplane, RedisConfigError};
}

/// Values and member names as .NET writes and reads them.
pub mod dotnet {
    #[doc(inline)]
    pub use crate::protocol::Naming;
    pub use crate::protocol::naming::FORMAT_DEPENDENT;
    pub use crate::protocol::values::{
        Binary, DateTime, DateTimeKind, DateTimeOffset, Decimal, Guid, Number, TimeSpan, Value, ValueError,
    };
}

pub use connection_info::ConnectionId;
pub use hosting::SignalR;
pub use hub::{
    Caller, Clients, DisconnectReason, Expose, Filter, Groups, Hub, HubClient, HubContext, HubError, HubResult,
    InvocationContext, Next, UploadStream,
};
pub use protocol::HubProtocolKind;
#[doc(inline)]
pub use signalr_macros::{allow_anonymous, authorize, hub, hub_client};

#[doc(hidden)]
pub use hub::macro_support as __private;

/// Runs the examples of README.md as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
