//! HTTP ⇄ bytes: negotiate, the transports, and which connection a request belongs to. Knows no hub and no message.
//!
//! A new connection goes up through [`Accept`], as a [`Connection`]: bytes in, bytes out, and who is at the other end.

mod body;
mod endpoint;
mod entry;
mod held;
mod inbox;
mod incoming;
mod long_polling;
mod negotiate;
mod redirect;
mod refresh;
mod request_body;
mod send;
mod sse;
mod table;
mod websocket;

pub use body::Body;
#[cfg(feature = "rate-limit")]
pub(crate) use endpoint::is_unnegotiated;
pub(crate) use endpoint::{Answer, Endpoint, Exchange, TransportOptions, kind_of};
pub(crate) use entry::{Entry, Limits, Watched};
pub(crate) use incoming::{End, Incoming, Read};
pub use redirect::Redirect;
pub(crate) use redirect::Redirector;
pub use refresh::AuthenticationRefresh;
pub(crate) use refresh::{RefreshCheck, RefreshOptions};
pub(crate) use request_body::RequestBody;
pub(crate) use table::Table;
pub(crate) use websocket::{AllowedOrigins, SubProtocolSelector};

use std::sync::Arc;

use crate::future::BoxFuture;
use crate::origin::{ConnectionId, RequestInfo, TransportType};
use crate::outbound::Outbound;

/// One open connection, as a transport hands it upward.
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) transport: TransportType,
    pub(crate) request: Arc<RequestInfo>,
    pub(crate) incoming: Incoming,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) entry: Arc<Entry>,
}

/// What takes new connections: the one way upward from this module.
pub(crate) trait Accept: Send + Sync {
    /// Serves the connection to its end.
    fn accept(&self, connection: Connection) -> BoxFuture<'static, Served>;
}

/// What is left of a connection that was served to its end.
pub(crate) struct Served {
    pub(crate) incoming: Incoming,
    /// The end itself failed (`on_disconnected` did): WebSockets close with 1011.
    pub(crate) faulted: bool,
}
