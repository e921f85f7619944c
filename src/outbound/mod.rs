//! What waits to be sent to one connection, and who writes it.
//!
//! Every transport takes its bytes from an [`Outbound`]: a queue bounded in bytes, of complete hub messages. Messages that
//! wait together leave in one write. A broadcast puts the same shared bytes into every queue ([`Frame`]).
//!
//! Two may write to one TCP socket, both under the queue's lock: the connection's own task at the end of each batch it
//! has read, and its [`Flusher`] for what others sent meanwhile. Any other writer is written to by the task that owns the
//! queue; responses of HTTP take what waits by themselves.
//!
//! A connection that may go on with another socket keeps its messages until the client has them (`replay.rs`).

mod capacity;
mod flusher;
mod frame;
mod kept;
mod pull;
mod queue;
mod replay;
mod state;
mod tail;
#[cfg(test)]
mod tests;
mod waiters;

pub(crate) use flusher::{Flusher, Flushers};
pub(crate) use frame::Frame;
use frame::HEADROOM;
pub(crate) use pull::{GivenUp, HandedOver, Taken};
pub(crate) use queue::{Full, Outbound};
