//! WebSocket transport.

mod decoder;
mod frame_reader;
mod handshake;
mod origins;
mod reconnect;
mod sub_protocol;
mod upgrade;

pub(super) use frame_reader::FrameReader;
pub(super) use handshake::is_websocket_request;
pub(crate) use origins::AllowedOrigins;
pub(super) use reconnect::{ReconnectSlot, resume};
pub(crate) use sub_protocol::SubProtocolSelector;
pub(super) use upgrade::open;
