#![doc = include_str!("../README.md")]

mod connection_info;
mod connections;
mod future;
mod options;
mod ordinal;
mod outbound;
mod quoted;
mod registry;
mod scratch;
mod session;
mod socket;
mod tasks;

pub mod auth;
pub mod hosting;
pub mod hub;
pub mod protocol;
pub mod raw;
#[cfg(feature = "testing")]
pub mod testing;
#[doc = include_str!("from_csharp.md")]
pub mod from_csharp {}

/// Values and member names as .NET writes and reads them.
pub mod dotnet {
    #[doc(inline)]
    pub use crate::protocol::Naming;
    pub use crate::protocol::naming::FORMAT_DEPENDENT;
    pub use crate::protocol::values::{
        Binary, DateTime, DateTimeKind, DateTimeOffset, Decimal, Guid, Number, TimeSpan, Value, ValueError,
    };
}

pub use connection_info::ConnectionId;
pub use hosting::SignalR;
pub use hub::{
    Caller, Clients, DisconnectReason, Expose, Filter, Groups, Hub, HubClient, HubContext, HubError, HubResult,
    InvocationContext, Next, UploadStream,
};
pub use protocol::HubProtocolKind;
#[doc(inline)]
pub use signalr_macros::{allow_anonymous, authorize, hub, hub_client};

#[doc(hidden)]
pub use hub::macro_support as __private;
