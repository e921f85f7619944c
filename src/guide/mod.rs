//! Guides: one page per subject, each with examples that are compiled and run as tests.
//!
//! | page | content |
//! |---|---|
//! | [`getting_started`] | a hub, its client, groups, background tasks, presence |
//! | [`axum`] | every way to mount hubs in a router, CORS, client addresses, logging layers |
//! | [`authentication`] | bearer tokens, claims, policies, issuing a token, other routes |
//! | [`errors`] | which errors a client sees, and how to choose |
//! | [`streams`] | streams in both directions, cancellation, backpressure |
//! | [`testing`] | hubs in memory, with paused time |
//! | [`logging`] | targets, levels and fields; spans and metrics by a filter |
//! | [`limits`] | every limit and timeout, its default and its effect |
//! | [`deployment`] | SIGTERM, proxies, several servers, TLS, memory |
//! | [`scaling_out`] | several servers: backplanes, affinity, failures, sizes |
//! | [`moving_off_aspnet_core`] | one server at a time, on the same Redis |
//! | [`from_csharp`] | the same hub in both languages, and a table of all names |
//! | [`from_socket_io`] | rooms, acknowledgements and namespaces in SignalR's terms |
//!
//! [`auth::schemes`](crate::auth::schemes) and [`auth::security`](crate::auth::security) are pages
//! on other ways to sign in and on tokens in URLs, browsers and abuse.

#[doc = include_str!("getting_started.md")]
pub mod getting_started {}

#[doc = include_str!("axum.md")]
pub mod axum {}

#[doc = include_str!("authentication.md")]
pub mod authentication {}

#[doc = include_str!("errors.md")]
pub mod errors {}

#[doc = include_str!("streams.md")]
pub mod streams {}

#[doc = include_str!("testing.md")]
pub mod testing {}

#[doc = include_str!("logging.md")]
pub mod logging {}

#[doc = include_str!("limits.md")]
pub mod limits {}

#[doc = include_str!("deployment.md")]
pub mod deployment {}

#[doc = include_str!("scaling_out.md")]
pub mod scaling_out {}

#[doc = include_str!("moving_off_aspnet_core.md")]
pub mod moving_off_aspnet_core {}

#[doc = include_str!("from_csharp.md")]
pub mod from_csharp {}

#[doc = include_str!("from_socket_io.md")]
pub mod from_socket_io {}
