//! Encoded messages, framed once for all WebSockets that receive them.

use std::convert::Infallible;
use std::ops::Range;

use bytes::{Buf, Bytes};

/// Number of bytes reserved in front of a payload for the WebSocket header. The header of a server
/// has at most 10 bytes, because it has no masking key (RFC 6455 § 5.2).
pub(super) const HEADROOM_BYTES: usize = 10;

/// Initial capacity of an encoding buffer, sufficient for most messages.
const TYPICAL_MESSAGE_BYTES: usize = 128;

const FINAL_TEXT: u8 = 0x81;
const FINAL_BINARY: u8 = 0x82;
const FINAL_PONG: u8 = 0x8a;

/// Bit of the first byte that marks control frames.
const CONTROL: u8 = 0x08;

/// One or more complete hub messages in a WebSocket frame. The bytes are shared by all receivers:
/// WebSockets write the frame, other transports its payload.
#[derive(Clone, Debug)]
pub(crate) struct EncodedMessage {
    bytes: Bytes,
    /// Whether the message may be merged with others into one WebSocket message.
    joins: bool,
}

impl EncodedMessage {
    /// Encodes the message that `write` appends to the buffer.
    pub(crate) fn encode(binary: bool, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let Ok(frame) = Self::try_encode::<Infallible>(binary, |buffer| {
            write(buffer);
            Ok(())
        });
        frame
    }

    /// Encodes the message that `write` appends to the buffer.
    ///
    /// # Errors
    ///
    /// Returns the error of `write`.
    pub(crate) fn try_encode<E>(binary: bool, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Self, E> {
        let mut buffer = Vec::with_capacity(TYPICAL_MESSAGE_BYTES);
        buffer.resize(HEADROOM_BYTES, 0);
        write(&mut buffer)?;
        Ok(Self { joins: true, ..Self::from_buffer(buffer, binary) })
    }

    /// Copies a payload into a separate WebSocket message, which is not merged with others.
    pub(crate) fn from_payload(payload: &[u8], binary: bool) -> Self {
        let mut buffer = Vec::with_capacity(HEADROOM_BYTES + payload.len());
        buffer.resize(HEADROOM_BYTES, 0);
        buffer.extend_from_slice(payload);
        Self::from_buffer(buffer, binary)
    }

    /// Frames a message. `buffer` contains [`HEADROOM_BYTES`] unused bytes and the payload.
    fn from_buffer(mut buffer: Vec<u8>, binary: bool) -> Self {
        // Long frames are queued without a copy, so they must not retain unused capacity.
        if buffer.capacity() > TYPICAL_MESSAGE_BYTES {
            buffer.shrink_to_fit();
        }
        let start = write_header(&mut buffer, binary);
        let mut bytes = Bytes::from(buffer);
        bytes.advance(start);
        Self { bytes, joins: false }
    }

    /// Creates a WebSocket control frame. Other transports drop it.
    pub(crate) fn control(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), joins: false }
    }

    /// Returns the frame: header and payload.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the frame as shared bytes.
    pub(super) fn shared(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Returns the payload.
    pub(super) fn payload(&self) -> &[u8] {
        &self.bytes[payload_range(&self.bytes)]
    }

    pub(super) fn joins(&self) -> bool {
        self.joins
    }
}

/// Returns the range of the payload of the first frame. `frames` contains unmasked frames; the next
/// one begins at the end of the range.
pub(super) fn payload_range(frames: &[u8]) -> Range<usize> {
    let (start, length) = match frames[1] {
        126 => (4, &frames[2..4]),
        127 => (10, &frames[2..10]),
        _ => (2, &frames[1..2]),
    };
    start..start + length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
}

/// Iterates over contiguous frames.
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

/// Writes the header of an unfragmented message directly in front of its payload and returns the
/// start of the header.
pub(super) fn write_header(buffer: &mut [u8], binary: bool) -> usize {
    let (header, start) = header(buffer.len() - HEADROOM_BYTES, binary);
    buffer[start..HEADROOM_BYTES].copy_from_slice(&header[start..]);
    start
}

/// Returns the header of an unfragmented message at the end of an array, and the start of the
/// header in the array.
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
