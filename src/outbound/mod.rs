//! Outbound queue of one connection.
//!
//! Every transport writes from an [`Outbound`]: a queue of complete hub messages, bounded in bytes.
//! Queued messages are written together. A broadcast enqueues the same shared bytes for every
//! connection ([`EncodedMessage`]).
//!
//! A TCP socket is written by the connection task at the end of each batch that it has read, and by
//! the [`Flusher`] for messages of other tasks, both under the lock of the queue. Other writers are
//! written only by the connection task, which owns the queue. Bodies of HTTP responses dequeue by
//! themselves.
//!
//! With stateful reconnect, the queue retains messages until the client acknowledges them
//! (`message_buffer.rs`).

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
