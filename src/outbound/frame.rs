//! Complete messages, framed once for every WebSocket that receives them.

use std::convert::Infallible;

use bytes::Bytes;

/// Room that a message buffer keeps in front for the WebSocket header; a server's header has at most ten bytes, being
/// unmasked (RFC 6455 § 5.2).
pub(super) const HEADROOM: usize = 10;

/// Room for most messages that are written.
const USUAL: usize = 128;

const FINAL_TEXT: u8 = 0x81;
const FINAL_BINARY: u8 = 0x82;

/// One or more complete hub messages, shared by all that receive them: a WebSocket writes it whole, the other
/// transports take its payload.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    bytes: Bytes,
    payload_at: usize,
}

impl Frame {
    /// The message that `write` appends to a buffer.
    pub(crate) fn written(binary: bool, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let Ok(frame) = Self::try_written::<Infallible>(binary, |buffer| {
            write(buffer);
            Ok(())
        });
        frame
    }

    /// The message that `write` appends to a buffer, unless it fails.
    ///
    /// # Errors
    ///
    /// Those of `write`.
    pub(crate) fn try_written<E>(binary: bool, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Self, E> {
        let mut buffer = Vec::with_capacity(USUAL);
        buffer.resize(HEADROOM, 0);
        write(&mut buffer)?;
        Ok(Self::message(buffer, binary))
    }

    /// A message that is there already.
    pub(crate) fn copied(payload: &[u8], binary: bool) -> Self {
        let mut buffer = Vec::with_capacity(HEADROOM + payload.len());
        buffer.resize(HEADROOM, 0);
        buffer.extend_from_slice(payload);
        Self::message(buffer, binary)
    }

    /// A message: `buffer` holds [`HEADROOM`] unused bytes, then the payload.
    pub(super) fn message(mut buffer: Vec<u8>, binary: bool) -> Self {
        let start = write_header(&mut buffer, binary);
        Self { bytes: Bytes::from(buffer).slice(start..), payload_at: HEADROOM - start }
    }

    /// A control frame of a WebSocket; other transports get nothing of it.
    pub(crate) fn control(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { payload_at: bytes.len(), bytes }
    }

    /// With the WebSocket header.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.bytes
    }

    /// Without it.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[self.payload_at..]
    }

    /// Without it, shared.
    pub(super) fn into_payload(mut self) -> Bytes {
        self.bytes.split_off(self.payload_at)
    }
}

/// Writes the header of one unfragmented message right in front of its payload and says where it begins.
pub(super) fn write_header(buffer: &mut [u8], binary: bool) -> usize {
    let payload = buffer.len() - HEADROOM;
    let opcode = if binary { FINAL_BINARY } else { FINAL_TEXT };
    let (start, length) = match payload {
        0..=125 => (8, u8::try_from(payload).unwrap_or_default()),
        126..=0xffff => (6, 126),
        _ => (0, 127),
    };
    buffer[start] = opcode;
    buffer[start + 1] = length;
    let extended = HEADROOM - start - 2;
    buffer[start + 2..HEADROOM].copy_from_slice(&(payload as u64).to_be_bytes()[8 - extended..]);
    start
}
