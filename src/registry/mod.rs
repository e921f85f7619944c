//! The connections of a hub type as others see them: who is there, who is in which group, and how a message reaches them.

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
