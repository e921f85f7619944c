//! What waits to be sent to one connection, and who writes it.
//!
//! Every transport takes its bytes from an [`Outbound`]: a queue bounded in bytes, of complete hub messages. Messages that
//! wait together leave in one write. A broadcast puts the same shared bytes into every queue ([`EncodedMessage`]).
//!
//! Two may write to one TCP socket, both under the queue's lock: the connection's own task at the end of each batch it
//! has read, and its [`Flusher`] for what others sent meanwhile. Any other writer is written to by the task that owns the
//! queue; responses of HTTP take what waits by themselves.
//!
//! A connection that may go on with another socket keeps its messages until the client has them (`replay.rs`).

mod capacity;
mod flusher;
mod frame;
mod http_body;
mod kept;
mod message_buffer;
mod queue;
mod state;
mod tail;
#[cfg(test)]
mod tests;
mod waiters;

pub(crate) use flusher::{Flusher, Flushers};
pub(crate) use frame::EncodedMessage;
use frame::HEADROOM_BYTES;
pub(crate) use http_body::{BodyAborted, BodyChunks, Dequeued};
pub(crate) use queue::{FullReason, Outbound};
