//! HTTP ⇄ bytes: negotiate, the transports, and which connection a request belongs to. Knows no hub and no message.
//!
//! A new connection goes up through [`Accept`], as a [`Connection`]: bytes in, bytes out, and who is at the other end.

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
pub(crate) use transport_input::{Read, TransportEnd, TransportInput};
pub(crate) use websocket::{AllowedOrigins, SubProtocolSelector};

use std::sync::Arc;

use futures_core::future::BoxFuture;

use crate::connection_info::{ConnectionId, RequestInfo, TransportType};
use crate::outbound::Outbound;

/// One open connection, as a transport hands it upward.
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) transport: TransportType,
    pub(crate) request: Arc<RequestInfo>,
    pub(crate) incoming: TransportInput,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) entry: Arc<HttpConnection>,
}

/// What takes new connections: the one way upward from this module.
pub(crate) trait Accept: Send + Sync {
    /// Serves the connection to its end.
    fn accept(&self, connection: Connection) -> BoxFuture<'static, Completed>;
}

/// What is left of a connection that was served to its end.
pub(crate) struct Completed {
    pub(crate) incoming: TransportInput,
    /// The end itself failed (`on_disconnected` did): WebSockets close with 1011.
    pub(crate) failed: bool,
}
