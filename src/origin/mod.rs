//! Where a connection comes from: its names, its transport, and the request that opened it.

mod id;
pub(crate) mod query;
mod request;
mod transport;

pub use id::ConnectionId;
pub(crate) use id::ConnectionToken;
pub use request::RequestInfo;
pub use transport::{TransportType, Transports};
