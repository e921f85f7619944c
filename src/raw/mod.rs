//! Connections below hubs: bytes in, bytes out, by the same negotiation and the same transports.
//!
//! A handler gets the shared half of its connection, which may go to other tasks; what arrives waits for it in an
//! `InputPipe`. The connection's own task runs the handler, fills the input and writes, as a hub's does.

mod connection;
mod error;
mod handle;
mod input_pipe;
mod serve;

pub use connection::{RawConnection, RawWriter};
pub use error::RawWriteError;
pub use input_pipe::RawEnd;
pub(crate) use serve::RawHandler;
