//! Connections over HTTP: negotiate, the transports, and the connection table. The module
//! transports bytes; it does not depend on hubs or on the hub protocol.
//!
//! A transport passes each new [`Connection`] to [`Accept`]: input, outbound queue and the request
//! that opened it.

mod connection_guard;
mod connection_table;
mod endpoint;
mod http_connection;
mod long_polling;
mod negotiate;
mod negotiate_redirect;
mod post;
mod post_buffer;
mod refresh;
mod request_body;
mod response_body;
mod server_url;
mod sse;
mod transport_input;
mod websocket;

pub(crate) use connection_table::ConnectionTable;
#[cfg(feature = "rate-limit")]
pub(crate) use endpoint::is_unnegotiated;
pub(crate) use endpoint::{AuthenticatedRequest, Endpoint, EndpointResponse, TransportOptions, classify_request};
pub(crate) use http_connection::{HttpConnection, Limits, SessionMonitor};
pub use negotiate_redirect::Redirect;
pub(crate) use negotiate_redirect::Redirector;
pub use refresh::AuthenticationRefresh;
pub(crate) use refresh::{RefreshCheck, RefreshOptions};
pub(crate) use request_body::RequestBody;
pub use response_body::ResponseBody;
pub(crate) use server_url::ServerUrl;
pub(crate) use transport_input::{Read, TransportEnd, TransportInput};
pub(crate) use websocket::{AllowedOrigins, SubProtocolSelector};

use std::sync::Arc;

use futures_core::future::BoxFuture;

use crate::connection_info::{ConnectionId, RequestInfo, TransportType};
use crate::outbound::Outbound;

/// Open connection that a transport passes to [`Accept`].
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) transport: TransportType,
    pub(crate) request: Arc<RequestInfo>,
    pub(crate) incoming: TransportInput,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) entry: Arc<HttpConnection>,
}

/// Serves new connections. Implemented by hub sessions and connection handlers, on which this
/// module does not depend.
pub(crate) trait Accept: Send + Sync {
    /// Serves the connection until it ends.
    fn accept(&self, connection: Connection) -> BoxFuture<'static, Completed>;
}

/// Result of a connection that has ended.
pub(crate) struct Completed {
    pub(crate) incoming: TransportInput,
    /// Whether `on_disconnected` failed: WebSockets close with 1011.
    pub(crate) failed: bool,
}
