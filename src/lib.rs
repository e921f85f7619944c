#![doc = include_str!("../README.md")]

mod connections;
mod future;
mod hub;
mod lifetime;
mod options;
mod ordinal;
mod origin;
mod outbound;
mod quoted;
mod raw;
mod scratch;
mod service;
mod session;
mod socket;
mod tasks;

pub mod auth;
#[doc = include_str!("guide/from_csharp.md")]
pub mod from_csharp {}
pub mod protocol;
#[cfg(feature = "testing")]
pub mod testing;

pub use connections::{AuthenticationRefresh, Body, Redirect};
pub use hub::{
    AnyCaller, AnyClient, Call, Caller, Clients, DisconnectReason, Expose, Filter, Groups, Hub, HubClient, HubContext,
    HubError, HubResult, Invocation, InvokeError, Many, MethodOptions, Methods, Next, Param, Params, Proxy, Reply,
    SendError, Single, UploadStream,
};
pub use lifetime::Disconnect;
pub use origin::{ConnectionId, RequestInfo, TransportType, Transports};
pub use protocol::{
    Arguments, Binary, DateTime, DateTimeKind, DateTimeOffset, Decimal, Format, Guid, Naming, Number, TimeSpan, Value,
    ValueError,
};
pub use raw::{RawConnection, RawEnd, RawWriteError, RawWriter};
#[cfg(feature = "rate-limit")]
pub use service::NegotiateLimit;
pub use service::{
    BuildError, Builder, Cors, EndpointBuilder, IntoHub, PeerAddr, ResponseFuture, Service, SignalR, Stats,
};
#[cfg(feature = "tower")]
pub use service::{RedactLayer, Redacted};
#[doc(inline)]
pub use signalr_macros::{allow_anonymous, authorize, hub, hub_client};
pub use socket::{SocketHandle, TimeoutStream};

#[doc(hidden)]
pub use hub::generated as __private;
