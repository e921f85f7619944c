//! Connections without a hub: bytes in, bytes out, with the same negotiation and transports.
//!
//! The handler owns the shared half of its connection and may move it to other tasks. Received
//! bytes wait for it in an `InputPipe`. The connection task runs the handler, fills the pipe and
//! writes, as that of a hub connection does.

mod connection;
mod error;
mod handle;
mod input_pipe;
mod serve;

pub use connection::{RawConnection, RawWriter};
pub use error::RawWriteError;
pub use input_pipe::RawEnd;
pub(crate) use serve::RawHandler;
