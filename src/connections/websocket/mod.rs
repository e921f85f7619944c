//! The WebSocket transport: a byte pipe that writes once a batch.

mod decoder;
mod handshake;
mod origins;
mod reader;
mod resume;
mod serve;
mod sub_protocol;

pub(super) use handshake::is_websocket_request;
pub(crate) use origins::AllowedOrigins;
pub(super) use reader::Reader;
pub(super) use resume::{Mailbox, resume};
pub(super) use serve::open;
pub(crate) use sub_protocol::SubProtocolSelector;
