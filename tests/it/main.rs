//! Integration tests of the crate, one module for each subject. Tests that need a process of their
//! own are separate binaries.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod backplane;
#[cfg(feature = "messagepack")]
mod backpressure;
#[cfg(feature = "messagepack")]
mod broadcast;
#[cfg(feature = "messagepack")]
mod callback_panics;
#[cfg(feature = "messagepack")]
mod caller;
#[cfg(feature = "messagepack")]
mod clients_and_groups;
mod cluster;
#[cfg(feature = "messagepack")]
mod connection_hijacking;
#[cfg(feature = "messagepack")]
mod cors;
#[cfg(feature = "messagepack")]
mod disconnect;
#[cfg(feature = "messagepack")]
mod echo_hub;
mod filters;
#[cfg(feature = "messagepack")]
mod hosting;
#[cfg(feature = "messagepack")]
mod http;
#[cfg(feature = "messagepack")]
mod http2;
mod links;
#[cfg(feature = "messagepack")]
mod malformed_input;
#[cfg(feature = "messagepack")]
mod missing_credentials_warning;
mod module_layers;
#[cfg(feature = "nats")]
mod nats;
#[cfg(all(feature = "messagepack", feature = "rate-limit"))]
mod negotiate_limit;
#[cfg(feature = "messagepack")]
mod negotiate_redirect;
#[cfg(all(feature = "messagepack", feature = "oidc"))]
mod oidc;
#[cfg(feature = "messagepack")]
mod parallel_invocations;
#[cfg(feature = "messagepack")]
mod policies;
mod random_requests;
#[cfg(feature = "messagepack")]
mod raw;
#[cfg(all(feature = "messagepack", feature = "tower"))]
mod redact_layer;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "messagepack")]
mod refresh;
mod schemes;
mod security_md;
#[cfg(feature = "messagepack")]
mod server_url;
#[cfg(feature = "messagepack")]
mod shutdown;
#[cfg(feature = "messagepack")]
mod sockets;
#[cfg(feature = "messagepack")]
mod stateful_reconnect;
#[cfg(feature = "messagepack")]
mod streams;
#[cfg(feature = "messagepack")]
mod subprotocols;
#[cfg(feature = "messagepack")]
mod testing;
#[cfg(feature = "messagepack")]
mod transports;
mod type_names;
mod users;
#[cfg(feature = "messagepack")]
mod websocket_origin;

/// The TLS example, which is the host of the tests over TLS.
#[cfg(feature = "messagepack")]
#[expect(dead_code, reason = "tests do not run its `main`")]
#[path = "../../examples/tls.rs"]
mod tls_example;
