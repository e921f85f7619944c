//! Registry: the connections, groups and users of one hub type, and messages to them.

mod audience;
mod client_results;
mod disconnect;
mod handle;
mod hub_registry;
mod send;

pub(crate) use audience::{Audience, SortedSet};
pub(crate) use client_results::{ClientResult, ClientResultError};
pub use disconnect::Disconnect;
pub(crate) use handle::{ConnectionHandle, ConnectionSnapshot, Flags};
pub(crate) use hub_registry::Registry;
pub(crate) use send::{EncodedMessages, Undelivered};
