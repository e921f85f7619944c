//! What a client sends, taken apart frame by frame (RFC 6455 § 5), without I/O and without collecting messages.
//!
//! Payload is unmasked where it lies and handed on as it comes, before its frame and its message are complete: hubs
//! find the ends of their own messages (`aspnet: WebSocketsServerTransport`).

mod text;

use std::io::Cursor;
use std::mem;

use hyper_tungstenite::tungstenite::protocol::frame::FrameHeader;
use hyper_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use text::Utf8Validator;

/// Takes frames apart.
///
/// Between two inputs it keeps what lies in both: a part of a header, of a control frame's payload or of a character.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// How much payload of the current frame is still to come.
    remaining: u64,
    /// The beginning of a header or of a control frame's payload. Frames seldom lie in two inputs, so it is not inline.
    partial: Box<[u8]>,
    /// Turned so that it begins with the byte for the payload that comes next.
    mask: [u8; 4],
    text: Utf8Validator,
    frame: Frame,
    message: Message,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Frame {
    /// The header of a frame.
    #[default]
    None,
    /// Payload of a message.
    Data { is_final: bool },
    /// Payload of a control frame.
    Control(Control),
}

/// The message that has begun and not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Message {
    #[default]
    None,
    Text,
    Binary,
}

/// What was found in the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'i> {
    /// A piece of a text or binary message. Text is valid UTF-8, but pieces may end within a character.
    Data(&'i [u8]),
    /// Wants a [`ControlPayload::pong`].
    Ping(ControlPayload),
    Pong,
    /// The client's goodbye and its code, if it gave one. Nothing after it is to be decoded.
    Close(Option<u16>),
}

/// What a Ping carries and its Pong has to repeat.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ControlPayload {
    /// With the header of the Pong in front.
    pong: Vec<u8>,
}

impl Decoder {
    /// Takes the next event from the front of `input`: what was read from the client, each byte once and in order.
    /// `None` once all of it is taken.
    ///
    /// # Errors
    ///
    /// The code to close with if the client broke the rules: 1002 or, for text that is no UTF-8, 1007. Nothing after
    /// that is to be decoded.
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

    /// Whether a text message has begun and not ended.
    pub(crate) fn is_within_text(&self) -> bool {
        self.message == Message::Text
    }

    /// Takes a header, or the part of it that is there: `false` then.
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

    /// The header that almost every frame has: of a whole text or binary message, up to 64 KiB, all there. `false` leaves
    /// it to the parser.
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

    /// The rules for headers (RFC 6455 § 5.2, 5.4, 5.5).
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

    /// Takes the payload of a data frame that is there, maybe none.
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

    /// Takes the payload of a control frame; an event once it is complete.
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

    /// Takes what is there of the current frame's payload and unmasks it.
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

    /// The frame that answers the Ping.
    pub(crate) fn pong(self) -> Vec<u8> {
        self.pong
    }
}

/// A client's header at its longest: two bytes, eight of length, four of mask.
const MAX_HEADER_BYTES: usize = 14;

/// The longest payload of a control frame.
const MAX_CONTROL_PAYLOAD_BYTES: u64 = 125;

/// Lengths have 63 bits.
const MAX_PAYLOAD_BYTES: u64 = u64::MAX >> 1;

const FINAL_PONG: u8 = 0x8a;

/// Bad gateway: registered, and unknown to tungstenite.
const BAD_GATEWAY: u16 = 1014;

/// The header at the front, the length of its payload, and its own; `None` if it is not all there.
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

/// Half a code, a code that nobody may send and a reason that is no UTF-8 are errors
/// (`aspnet: ManagedWebSocket.HandleReceivedCloseAsync`).
fn close_code(payload: &[u8]) -> Result<Option<u16>, CloseCode> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [_] => return Err(CloseCode::Protocol),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    let is_allowed = CloseCode::from(code).is_allowed() || code == BAD_GATEWAY;
    if is_allowed && std::str::from_utf8(reason).is_ok() { Ok(Some(code)) } else { Err(CloseCode::Protocol) }
}

/// Eight bytes at a time, or more where the compiler finds wider registers.
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
