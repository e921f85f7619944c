//! Servers and clients for the integration tests of the `signalr` crate.
//!
//! [`Client`] sends and receives bytes on the wire, over any transport; `signalr::testing` has the typed client. Every
//! wait has an end: what does not arrive fails the test.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod client;
mod client_kind;
pub mod fuzz_server;
mod http;
pub mod http2;
mod http_transport;
pub mod log_capture;
mod messages;
mod nats_server;
mod redis_server;
pub mod tls;
mod token;

use std::future::Future;
use std::net::SocketAddr;
use std::panic::Location;
use std::time::Duration;

use signalr::SignalR;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::timeout;

pub use self::client::{Client, End, upgrade, upgrade_status};
pub use self::client_kind::ClientKind;
pub use self::http::{Http1Connection, UPGRADE_HEADERS, begin_post, http, http_bytes, negotiate, response_status};
pub use self::http_transport::EventStream;
pub use self::messages::{close_message, invocation, prefixed, split};
pub use self::nats_server::NatsServer;
pub use self::redis_server::RedisServer;
pub use self::token::{bearer, token_query};

/// Far longer than any step of a test takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Returns the output of `future`, which must be ready before the [`DEADLINE`].
#[track_caller]
pub fn within<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = Location::caller();
    async move {
        let Ok(output) = timeout(DEADLINE, future).await else { panic!("not in time: {caller}") };
        output
    }
}

/// Polls `condition` until it holds, for state that has no notification.
#[track_caller]
pub fn until(condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    within(async move {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
}

/// Serves on a free port of the loopback interface.
pub async fn serve(signalr: &SignalR) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(signalr.clone().serve(listener));
    addr
}

/// Serves as [`serve`] does, on sockets with small kernel buffers, so that the queue of a client that does
/// not read fills.
pub fn serve_with_small_buffers(signalr: &SignalR) -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(16 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1024).unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(signalr.clone().serve(listener));
    addr
}
