//! The WebSocket transport: a byte pipe that writes once a batch.

mod decoder;
mod handshake;
mod reader;
mod resume;
mod serve;

pub(super) use handshake::is_websocket_request;
pub(super) use reader::Reader;
pub(super) use resume::{Mailbox, resume};
pub(super) use serve::open;
