//! Hosting: the server, its builder, and the HTTP service that a host mounts.

mod backplane;
mod builder;
mod cors;
mod endpoint;
mod error;
mod http_limits;
mod http_server;
mod mapped_endpoint;
#[cfg(feature = "rate-limit")]
mod negotiate_limit;
mod path;
#[cfg(feature = "tower")]
mod redact_layer;
mod refresh;
mod router;
mod settings;
mod stats;

#[cfg(feature = "testing")]
pub(crate) use self::router::TestUser;
pub use self::router::{PeerAddr, ResponseFuture, Service};
pub use crate::connection_info::{RequestInfo, TransportType, Transports};
pub use crate::connections::{AuthenticationRefresh, Redirect, ResponseBody};
pub use crate::socket::{SocketHandle, TimeoutStream};
pub use builder::Builder;
pub use cors::Cors;
pub use endpoint::{EndpointBuilder, IntoHub};
pub use error::BuildError;
#[cfg(feature = "rate-limit")]
pub use negotiate_limit::NegotiateLimit;
#[cfg(feature = "tower")]
pub use redact_layer::{RedactLayer, Redacted};
pub use stats::Stats;

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use self::backplane::ServerBackplane;
use self::router::Router;
use crate::connections::ConnectionTable;
use crate::hub::{Hub, HubContext, HubShared};
use crate::tasks::Tasks;

/// A SignalR server of hubs and connection handlers.
///
/// Cloning is cheap. When the last clone and the last [`Service`] of it are dropped, all
/// connections end.
///
/// The server runs on the tokio runtime in which the first client connects, and stops with that
/// runtime.
///
/// ```no_run
/// # use std::time::Duration;
/// # use signalr::hub::{AnyClient, Methods};
/// # use signalr::{Hub, SignalR};
/// # struct Chat;
/// # impl Hub for Chat {
/// #     type Client = AnyClient;
/// #     type Items = ();
/// #     fn methods(_: &mut Methods<Self>) {}
/// # }
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let signalr = SignalR::builder().hub("/chat", Chat).build()?;
///
/// // On its own HTTP server ..
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:5000").await?;
/// tokio::spawn(signalr.clone().serve(listener));
///
/// // .. or inside an application of a framework:
/// // axum::Router::new().fallback_service(signalr.service())
///
/// tokio::signal::ctrl_c().await?;
/// signalr.shutdown(Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SignalR {
    server: Arc<Server>,
}

struct Server {
    router: Router,
    table: Arc<ConnectionTable>,
    hubs: HashMap<TypeId, Arc<HubShared>>,
    backplane: Option<ServerBackplane>,
    tasks: Tasks,
    /// Maximum time without progress of a write to a socket.
    write_timeout: Duration,
    /// Cancelled when shutdown begins.
    closing: CancellationToken,
    /// Ends all tasks when the server is dropped.
    _stop: DropGuard,
}

impl SignalR {
    /// Returns a builder of a server.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns the HTTP service to mount in `hyper` or in a host that takes a `tower` service. It
    /// serves the mapped paths and responds with 404 to all others.
    ///
    /// In axum, use `fallback_service`, which keeps the path; `nest_service` strips its prefix from
    /// the path.
    ///
    /// In hyper, serve connections with upgrades, and HTTP/2 with `enable_connect_protocol()`;
    /// WebSockets need both.
    pub fn service(&self) -> Service {
        Service::new(Arc::clone(&self.server))
    }

    /// Wraps a stream so that it fails when a write makes no progress within the largest
    /// [`transport_send_timeout`](Builder::transport_send_timeout) of the server (default: 10
    /// seconds) plus 2 seconds, so that the connections on it are aborted first.
    ///
    /// For hosts other than [`serve`](Self::serve), which wraps its streams itself. The examples
    /// `hyper_only`, `tls` and `axum` use it.
    ///
    /// ```
    /// use hyper_util::rt::TokioIo;
    /// use signalr::hosting::TimeoutStream;
    /// use signalr::SignalR;
    /// use tokio::net::{TcpListener, TcpStream};
    ///
    /// async fn accept(signalr: &SignalR, listener: &TcpListener) -> std::io::Result<TokioIo<TimeoutStream<TcpStream>>> {
    ///     let (socket, _) = listener.accept().await?;
    ///     Ok(TokioIo::new(signalr.timeout_stream(socket)))
    /// }
    /// ```
    pub fn timeout_stream<S>(&self, stream: S) -> TimeoutStream<S> {
        TimeoutStream::new(stream, self.server.write_timeout)
    }

    /// Returns a handle that sends to the clients of a hub from anywhere (C#: `IHubContext<THub>`).
    /// It covers all paths to which the hub *type* is mapped; a type that is not mapped has no
    /// clients.
    pub fn context<H: Hub>(&self) -> HubContext<H> {
        HubContext::new(self.server.hubs.get(&TypeId::of::<H>()).cloned().unwrap_or_default())
    }

    /// Returns the current counters of the server.
    pub fn stats(&self) -> Stats {
        let server = &*self.server;
        Stats {
            connections: server.table.len(),
            hub_connections: server.hubs.values().map(|hub| hub.registry.len()).sum(),
            pending_client_results: server.hubs.values().map(|hub| hub.registry.results.len()).sum::<usize>()
                + server.backplane.as_ref().map_or(0, ServerBackplane::pending_client_results),
            groups: server.hubs.values().map(|hub| hub.registry.group_count()).sum(),
            tasks: server.tasks.len(),
            queued_bytes: server.table.queued_bytes(),
            backplane: server.backplane.as_ref().map(ServerBackplane::stats),
        }
    }

    /// Returns the number of connections, including those that are negotiated and not open yet.
    pub fn connection_count(&self) -> usize {
        self.server.table.len()
    }

    /// Shuts the server down and waits until all connections have ended.
    ///
    /// New connections are rejected with 503. Every client of a hub receives a Close message that
    /// allows it to reconnect, to another server or to this one after a restart. Running method
    /// calls continue until they complete or `grace` has elapsed. For a connection handler, the
    /// reads of its [`RawConnection`](crate::raw::RawConnection) end instead.
    ///
    /// ASP.NET Core closes WebSockets without a Close message.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, new connections are still rejected, and the
    /// existing connections still end.
    pub async fn shutdown(&self, grace: Duration) {
        self.server.closing.cancel();
        self.server.table.shutdown(grace).await;
        if let Some(backplane) = &self.server.backplane {
            backplane.close();
        }
    }
}

impl fmt::Debug for SignalR {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalR").field("connections", &self.connection_count()).finish_non_exhaustive()
    }
}
