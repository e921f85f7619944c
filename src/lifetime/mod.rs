//! The connections of a hub type as others see them: who is there, who is in which group, and how a message reaches them.

mod audience;
mod disconnect;
mod handle;
mod registry;
mod results;
mod send;

pub(crate) use audience::{Audience, Distinct};
pub use disconnect::Disconnect;
pub(crate) use handle::{ConnectionHandle, Flags, Newest};
pub(crate) use registry::Registry;
pub(crate) use results::{Answer, NoAnswer};
