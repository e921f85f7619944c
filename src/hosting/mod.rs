//! The outermost layer: the server, its builder, and the HTTP service that a host mounts.

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

use self::router::Router;
pub use crate::connection_info::{RequestInfo, TransportType, Transports};
use crate::connections::ConnectionTable;
pub use crate::connections::{AuthenticationRefresh, Redirect, ResponseBody};
use crate::hub::{Hub, HubContext, HubShared};
pub use crate::socket::{SocketHandle, TimeoutStream};
use crate::tasks::Tasks;

/// A server of hubs, and of connections without one. A cheap clone; when the last one is gone, and the last [`Service`] of
/// it, so are its connections.
///
/// It belongs to the tokio runtime in which its first client comes, and works as long as that does.
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
/// // In a server of its own ..
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:5000").await?;
/// tokio::spawn(signalr.clone().serve(listener));
///
/// // .. or in that of a framework:
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
    tasks: Tasks,
    /// How long a socket may take nothing.
    write_timeout: Duration,
    /// Cancelled when a shutdown begins.
    closing: CancellationToken,
    /// Ends all tasks with the server.
    _stop: DropGuard,
}

impl SignalR {
    /// Starts describing a server.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The service to mount: for `hyper` and for everything that takes a `tower` service. It answers the paths of the
    /// hubs, and 404 to all others.
    ///
    /// In axum prefer `fallback_service`: it keeps the path as it is, where `nest_service` cuts its prefix off.
    ///
    /// Under hyper, serve connections with upgrades, and HTTP/2 with `enable_connect_protocol()`: WebSockets need both.
    pub fn service(&self) -> Service {
        Service::new(Arc::clone(&self.server))
    }

    /// Wraps a stream so that it fails once a write has made no progress for the largest
    /// [`transport_send_timeout`](Builder::transport_send_timeout) of the server, by default 10 seconds, and 2 seconds
    /// more, so that the connections on it are aborted first. For other hosts; [`serve`](Self::serve) does this by itself.
    ///
    /// The examples `hyper_only`, `tls` and `axum` serve with it.
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

    /// Sends to the clients of a hub from anywhere (C#: `IHubContext<THub>`). There is one for a hub *type*, wherever it
    /// is mapped; sends to the clients of a type that is not mapped reach nobody.
    pub fn context<H: Hub>(&self) -> HubContext<H> {
        HubContext::new(self.server.hubs.get(&TypeId::of::<H>()).cloned().unwrap_or_default())
    }

    /// What the server holds at this moment.
    pub fn stats(&self) -> Stats {
        let server = &*self.server;
        Stats {
            connections: server.table.len(),
            hub_connections: server.hubs.values().map(|hub| hub.registry.len()).sum(),
            pending_client_results: server.hubs.values().map(|hub| hub.registry.results.len()).sum(),
            groups: server.hubs.values().map(|hub| hub.registry.group_count()).sum(),
            tasks: server.tasks.len(),
            queued_bytes: server.table.queued_bytes(),
        }
    }

    /// How many connections there are on this server, those included that are negotiated and not open yet.
    pub fn connection_count(&self) -> usize {
        self.server.table.len()
    }

    /// Ends all connections: no new ones are taken (503), every client gets a Close message that allows it to reconnect,
    /// elsewhere or here when the server is back, and running calls go on until they end or `grace` is over. Where there is
    /// no hub, the reads of a [`RawConnection`](crate::raw::RawConnection) end instead.
    ///
    /// ASP.NET Core cuts WebSockets without a word.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is complete, no new connections are taken and the others end all the same.
    pub async fn shutdown(&self, grace: Duration) {
        self.server.closing.cancel();
        self.server.table.shutdown(grace).await;
    }
}

impl fmt::Debug for SignalR {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalR").field("connections", &self.connection_count()).finish_non_exhaustive()
    }
}
