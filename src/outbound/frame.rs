//! Complete messages, framed once for every WebSocket that receives them.

use std::convert::Infallible;
use std::ops::Range;

use bytes::{Buf, Bytes};

/// Room that a message buffer keeps in front for the WebSocket header; a server's header has at most ten bytes, being
/// unmasked (RFC 6455 § 5.2).
pub(super) const HEADROOM_BYTES: usize = 10;

/// Room for most messages that are written.
const TYPICAL_MESSAGE_BYTES: usize = 128;

const FINAL_TEXT: u8 = 0x81;
const FINAL_BINARY: u8 = 0x82;
const FINAL_PONG: u8 = 0x8a;

/// Set in the first byte of control frames.
const CONTROL: u8 = 0x08;

/// One or more complete hub messages, shared by all that receive them: a WebSocket writes it whole, the other
/// transports take its payload.
#[derive(Clone, Debug)]
pub(crate) struct EncodedMessage {
    bytes: Bytes,
    /// Other messages may stand in the same WebSocket message.
    joins: bool,
}

impl EncodedMessage {
    /// The message that `write` appends to a buffer.
    pub(crate) fn encode(binary: bool, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let Ok(frame) = Self::try_encode::<Infallible>(binary, |buffer| {
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
    pub(crate) fn try_encode<E>(binary: bool, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Self, E> {
        let mut buffer = Vec::with_capacity(TYPICAL_MESSAGE_BYTES);
        buffer.resize(HEADROOM_BYTES, 0);
        write(&mut buffer)?;
        Ok(Self { joins: true, ..Self::from_buffer(buffer, binary) })
    }

    /// A WebSocket message that stays one.
    pub(crate) fn from_payload(payload: &[u8], binary: bool) -> Self {
        let mut buffer = Vec::with_capacity(HEADROOM_BYTES + payload.len());
        buffer.resize(HEADROOM_BYTES, 0);
        buffer.extend_from_slice(payload);
        Self::from_buffer(buffer, binary)
    }

    /// A message: `buffer` holds [`HEADROOM`] unused bytes, then the payload.
    fn from_buffer(mut buffer: Vec<u8>, binary: bool) -> Self {
        // Long frames wait as they are, short ones are copied.
        if buffer.capacity() > TYPICAL_MESSAGE_BYTES {
            buffer.shrink_to_fit();
        }
        let start = write_header(&mut buffer, binary);
        let mut bytes = Bytes::from(buffer);
        bytes.advance(start);
        Self { bytes, joins: false }
    }

    /// A control frame of a WebSocket; other transports get nothing of it.
    pub(crate) fn control(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), joins: false }
    }

    /// With the WebSocket header.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same bytes, shared.
    pub(super) fn shared(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Without the header.
    pub(super) fn payload(&self) -> &[u8] {
        &self.bytes[payload_range(&self.bytes)]
    }

    pub(super) fn joins(&self) -> bool {
        self.joins
    }
}

/// The position of the payload in the first of some frames that a server wrote, and with it that of the next frame.
pub(super) fn payload_range(frames: &[u8]) -> Range<usize> {
    let (start, length) = match frames[1] {
        126 => (4, &frames[2..4]),
        127 => (10, &frames[2..10]),
        _ => (2, &frames[1..2]),
    };
    start..start + length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
}

/// Frames that stand back to back.
pub(super) fn frames(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (first, rest) = (!bytes.is_empty()).then(|| bytes.split_at(payload_range(bytes).end))?;
        bytes = rest;
        Some(first)
    })
}

pub(super) fn is_control(frame: &[u8]) -> bool {
    frame[0] & CONTROL != 0
}

pub(super) fn is_pong(frame: &[u8]) -> bool {
    frame[0] == FINAL_PONG
}

/// Writes the header of one unfragmented message right in front of its payload and says where it begins.
pub(super) fn write_header(buffer: &mut [u8], binary: bool) -> usize {
    let (header, start) = header(buffer.len() - HEADROOM_BYTES, binary);
    buffer[start..HEADROOM_BYTES].copy_from_slice(&header[start..]);
    start
}

/// The header of one unfragmented message, and where it begins in these bytes.
pub(super) fn header(payload: usize, binary: bool) -> ([u8; HEADROOM_BYTES], usize) {
    let mut header = [0; HEADROOM_BYTES];
    let (start, length) = match payload {
        0..=125 => (8, u8::try_from(payload).unwrap_or_default()),
        126..=0xffff => (6, 126),
        _ => (0, 127),
    };
    header[2..].copy_from_slice(&(payload as u64).to_be_bytes());
    header[start] = if binary { FINAL_BINARY } else { FINAL_TEXT };
    header[start + 1] = length;
    (header, start)
}
