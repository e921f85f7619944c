//! Metadata of a connection: its id and token, its transport, the request that opened it, and the
//! origin of the web page.

mod connection_id;
pub(crate) mod query;
mod request;
mod transport;
mod web_origin;

pub use connection_id::ConnectionId;
pub(crate) use connection_id::ConnectionToken;
pub use request::RequestInfo;
pub use transport::{TransportType, Transports};
pub(crate) use web_origin::{is_origin, origin};
