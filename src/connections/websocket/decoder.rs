//! Decoder of client frames (RFC 6455 § 5), without I/O and without assembling messages.
//!
//! Payload is unmasked in place and returned as it arrives, before its frame and its message are
//! complete: the hub protocol delimits its own messages (`aspnet: WebSocketsServerTransport`).

mod text;

use std::io::Cursor;
use std::mem;

use hyper_tungstenite::tungstenite::protocol::frame::FrameHeader;
use hyper_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use text::Utf8Validator;

/// Decoder of client frames.
///
/// Between two inputs the decoder stores a partial header, a partial payload of a control frame and
/// a partial UTF-8 character.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// Number of payload bytes of the current frame that have not arrived yet.
    remaining: u64,
    /// Beginning of a header or of the payload of a control frame. On the heap, because frames
    /// rarely span two inputs.
    partial: Box<[u8]>,
    /// Masking key, rotated to begin at the next payload byte.
    mask: [u8; 4],
    text: Utf8Validator,
    frame: Frame,
    message: Message,
}

/// Expected input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Frame {
    /// Header of a frame.
    #[default]
    None,
    /// Payload of a message.
    Data { is_final: bool },
    /// Payload of a control frame.
    Control(Control),
}

/// Message whose final frame has not been decoded yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Message {
    #[default]
    None,
    Text,
    Binary,
}

/// Decoded event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'i> {
    /// Part of a text or binary message. Text is valid UTF-8, but a part may end within a
    /// character.
    Data(&'i [u8]),
    /// Ping frame, to be answered with [`ControlPayload::pong`].
    Ping(ControlPayload),
    Pong,
    /// Close frame and its code, if any. The caller must not decode further input.
    Close(Option<u16>),
}

/// Payload of a ping frame, which its pong repeats.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ControlPayload {
    /// Complete pong frame.
    pong: Vec<u8>,
}

impl Decoder {
    /// Decodes the next event and advances `input` past it. Returns `None` at the end of the input.
    ///
    /// The caller passes each byte received from the client once and in order.
    ///
    /// # Errors
    ///
    /// Returns the close code for a protocol violation: 1002, or 1007 for text that is not UTF-8.
    /// The caller must not decode further input.
    pub(crate) fn next<'i>(&mut self, input: &mut &'i mut [u8]) -> Result<Option<Event<'i>>, CloseCode> {
        loop {
            match self.frame {
                Frame::None => {
                    if !self.begin_frame(input)? {
                        return Ok(None);
                    }
                }
                Frame::Data { is_final } => {
                    let piece = self.take_data(is_final, input)?;
                    if !piece.is_empty() {
                        return Ok(Some(Event::Data(piece)));
                    }
                    if self.remaining > 0 {
                        return Ok(None);
                    }
                }
                Frame::Control(control) => return self.take_control(control, input),
            }
        }
    }

    /// Whether the decoder is inside a text message.
    pub(crate) fn is_within_text(&self) -> bool {
        self.message == Message::Text
    }

    /// Decodes a header. Returns `false` and stores the input if the header is incomplete.
    fn begin_frame(&mut self, input: &mut &mut [u8]) -> Result<bool, CloseCode> {
        if input.is_empty() {
            return Ok(false);
        }
        let kept = self.partial.len();
        if kept == 0 && self.begin_usual_frame(input) {
            return Ok(true);
        }
        let parsed = if kept == 0 {
            parse(input)?
        } else {
            let mut start = [0; MAX_HEADER_BYTES];
            start[..kept].copy_from_slice(&self.partial);
            let more = input.len().min(MAX_HEADER_BYTES - kept);
            start[kept..kept + more].copy_from_slice(&input[..more]);
            parse(&start[..kept + more])?
        };
        let Some((header, length, size)) = parsed else {
            self.keep(input);
            *input = &mut [];
            return Ok(false);
        };
        self.partial = Box::default();
        *input = &mut mem::take(input)[size - kept..];
        self.frame = self.check(&header, length)?;
        self.mask = header.mask.ok_or(CloseCode::Protocol)?;
        self.remaining = length;
        Ok(true)
    }

    /// Fast path for complete headers of unfragmented text or binary messages of up to 64 KiB.
    /// Returns `false` for all other headers.
    fn begin_usual_frame(&mut self, input: &mut &mut [u8]) -> bool {
        let message = match input.first() {
            Some(0x81) => Message::Text,
            Some(0x82) => Message::Binary,
            _ => return false,
        };
        let (length, size) = match **input {
            [_, short @ 0x80..=0xfd, _, _, _, _, ..] => (u64::from(short & 0x7f), 2),
            [_, 0xfe, high, low, _, _, _, _, ..] => (u64::from(u16::from_be_bytes([high, low])), 4),
            _ => return false,
        };
        if self.message != Message::None {
            return false;
        }
        let end = size + self.mask.len();
        self.mask.copy_from_slice(&input[size..end]);
        *input = &mut mem::take(input)[end..];
        (self.message, self.frame, self.remaining) = (message, Frame::Data { is_final: true }, length);
        true
    }

    /// Validates a header (RFC 6455 § 5.2, 5.4, 5.5).
    fn check(&mut self, header: &FrameHeader, length: u64) -> Result<Frame, CloseCode> {
        let reserved = header.rsv1 || header.rsv2 || header.rsv3;
        if reserved || length > MAX_PAYLOAD_BYTES {
            return Err(CloseCode::Protocol);
        }
        let is_first = self.message == Message::None;
        match header.opcode {
            OpCode::Data(Data::Text) if is_first => self.message = Message::Text,
            OpCode::Data(Data::Binary) if is_first => self.message = Message::Binary,
            OpCode::Data(Data::Continue) if !is_first => {}
            OpCode::Control(control) if header.is_final && length <= MAX_CONTROL_PAYLOAD_BYTES => {
                return Ok(Frame::Control(control));
            }
            _ => return Err(CloseCode::Protocol),
        }
        Ok(Frame::Data { is_final: header.is_final })
    }

    /// Returns the available payload of a data frame, which may be empty.
    fn take_data<'i>(&mut self, is_final: bool, input: &mut &'i mut [u8]) -> Result<&'i [u8], CloseCode> {
        let piece = self.take_payload(input);
        let is_text = self.message == Message::Text;
        if is_text && !self.text.push(piece) {
            return Err(CloseCode::Invalid);
        }
        if self.remaining == 0 {
            self.frame = Frame::None;
            if is_final {
                self.message = Message::None;
                if is_text && !self.text.is_whole() {
                    return Err(CloseCode::Invalid);
                }
            }
        }
        Ok(piece)
    }

    /// Reads the payload of a control frame. Returns an event if it is complete.
    fn take_control<'i>(&mut self, control: Control, input: &mut &'i mut [u8]) -> Result<Option<Event<'i>>, CloseCode> {
        let piece = self.take_payload(input);
        if self.remaining > 0 {
            self.keep(piece);
            return Ok(None);
        }
        self.frame = Frame::None;
        if self.partial.is_empty() {
            return control_event(control, piece).map(Some);
        }
        self.keep(piece);
        control_event(control, &mem::take(&mut self.partial)).map(Some)
    }

    /// Unmasks and returns the available payload of the current frame.
    fn take_payload<'i>(&mut self, input: &mut &'i mut [u8]) -> &'i mut [u8] {
        let length = usize::try_from(self.remaining).map_or(input.len(), |remaining| remaining.min(input.len()));
        let (payload, rest) = mem::take(input).split_at_mut(length);
        *input = rest;
        unmask(payload, self.mask);
        self.mask.rotate_left(length % 4);
        self.remaining -= length as u64;
        payload
    }

    fn keep(&mut self, piece: &[u8]) {
        self.partial = [&self.partial, piece].concat().into();
    }
}

impl ControlPayload {
    fn new(payload: &[u8]) -> Self {
        debug_assert!(payload.len() as u64 <= MAX_CONTROL_PAYLOAD_BYTES);
        let length = u8::try_from(payload.len()).unwrap_or_default();
        Self { pong: [&[FINAL_PONG, length], payload].concat() }
    }

    /// Returns the pong frame.
    pub(crate) fn pong(self) -> Vec<u8> {
        self.pong
    }
}

/// Maximum size of a client header: 2 bytes, 8 bytes of length, 4 bytes of masking key.
const MAX_HEADER_BYTES: usize = 14;

/// Maximum payload size of a control frame.
const MAX_CONTROL_PAYLOAD_BYTES: u64 = 125;

/// Lengths have 63 bits (RFC 6455 § 5.2).
const MAX_PAYLOAD_BYTES: u64 = u64::MAX >> 1;

const FINAL_PONG: u8 = 0x8a;

/// Bad gateway: a registered close code that tungstenite rejects.
const BAD_GATEWAY: u16 = 1014;

/// Parses a header. Returns the header, the payload length and the header length, or `None` if the
/// header is incomplete.
fn parse(bytes: &[u8]) -> Result<Option<(FrameHeader, u64, usize)>, CloseCode> {
    let mut cursor = Cursor::new(bytes);
    let parsed = FrameHeader::parse(&mut cursor).map_err(|_| CloseCode::Protocol)?;
    let size = usize::try_from(cursor.position()).unwrap_or(bytes.len());
    Ok(parsed.map(|(header, length)| (header, length, size)))
}

fn control_event<'i>(control: Control, payload: &[u8]) -> Result<Event<'i>, CloseCode> {
    match control {
        Control::Ping => Ok(Event::Ping(ControlPayload::new(payload))),
        Control::Pong => Ok(Event::Pong),
        Control::Close => close_code(payload).map(Event::Close),
        Control::Reserved(_) => Err(CloseCode::Protocol),
    }
}

/// Parses the payload of a close frame. A payload of one byte, a code that must not be sent and a
/// reason that is not UTF-8 are errors (`aspnet: ManagedWebSocket.HandleReceivedCloseAsync`).
fn close_code(payload: &[u8]) -> Result<Option<u16>, CloseCode> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [_] => return Err(CloseCode::Protocol),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    let is_allowed = CloseCode::from(code).is_allowed() || code == BAD_GATEWAY;
    if is_allowed && std::str::from_utf8(reason).is_ok() { Ok(Some(code)) } else { Err(CloseCode::Protocol) }
}

/// Unmasks 8 bytes at a time; the compiler can vectorize the loop.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests;
