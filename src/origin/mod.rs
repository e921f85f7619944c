//! Where a connection comes from: its names, its transport, the page and the request that opened it.

mod id;
mod page;
pub(crate) mod query;
mod request;
mod transport;

pub use id::ConnectionId;
pub(crate) use id::ConnectionToken;
pub(crate) use page::{is_origin, origin};
pub use request::RequestInfo;
pub use transport::{TransportType, Transports};
