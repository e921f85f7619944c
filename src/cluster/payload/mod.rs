//! Payloads that servers exchange through a backplane, in MessagePack (`aspnet: RedisProtocol.cs`).
//!
//! The channel decides what a payload is. `P` is the name of the hub type:
//!
//! | channel | payload |
//! |---|---|
//! | `P:all`, `P:group:NAME`, `P:user:ID`, `P:connection:ID` | [`Invocation`] |
//! | `P:internal:groups` | [`GroupCommand`] |
//! | `P:internal:ack:SERVER` | [`Ack`], which may be a [`ClusterReply`] |
//! | `P:internal:return:SERVER` | [`Completion`] |
//! | `P:internal:cluster` | [`ClusterQuery`] |
//!
//! Encoded payloads are those of ASP.NET Core byte for byte. Parsers read a payload once, without
//! recursion, and ignore further items at its end, which later versions may add. Parsed payloads
//! borrow texts and messages; their lists take at most 16 bytes for each byte of the payload.
//!
//! The fuzz target `payload` includes this module, which therefore uses no other one.

mod error;
mod message;
mod query;
mod reader;
mod writer;

pub(crate) use error::PayloadError;
pub(crate) use message::{Ack, Completion, GroupAction, GroupCommand, Invocation};
pub(crate) use query::{ClusterQuery, ClusterQueryKind, ClusterReply, DisconnectAudience};

#[cfg(test)]
mod tests;
