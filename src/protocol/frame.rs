//! Cutting a stream of bytes into messages.

use super::error::ProtocolError;
use super::format::HubProtocolKind;

/// Cuts what arrives on one connection into messages, and holds them to the size limit.
///
/// A message that lies whole in the input is handed out where it lies. Only the rest of an unfinished one is kept, and
/// never more of it than the limit allows.
///
/// ```
/// use signalr::protocol::{HubProtocolKind, Framer};
///
/// let mut framer = Framer::new(HubProtocolKind::Json, Some(1024));
/// let mut input = &b"{\"type\":6}\x1e{\"ty"[..];
/// assert_eq!(framer.next(&mut input).unwrap(), Some(&b"{\"type\":6}"[..]));
/// assert_eq!(framer.next(&mut input).unwrap(), None);
/// let mut rest = &b"pe\":6}\x1e"[..];
/// assert_eq!(framer.next(&mut rest).unwrap(), Some(&b"{\"type\":6}"[..]));
/// ```
#[derive(Debug)]
pub struct Framer {
    format: HubProtocolKind,
    limit: Option<usize>,
    /// The start of a message that is not complete yet, or the message that was handed out last.
    pending: Vec<u8>,
    handed_out: bool,
}

impl Framer {
    /// Creates a framer; `limit` is the largest message in bytes, its framing included.
    pub fn new(format: HubProtocolKind, limit: Option<usize>) -> Self {
        Self { format, limit, pending: Vec::new(), handed_out: false }
    }

    /// Takes from `input` what the next message needs, and yields the message without its framing.
    ///
    /// Call it until it yields `None`: then `input` is used up, and the start of an unfinished message is kept.
    ///
    /// # Errors
    ///
    /// The message exceeds the limit, or its length is no length. The connection is to be closed.
    pub fn next<'b, 'i: 'b>(&'b mut self, input: &mut &'i [u8]) -> Result<Option<&'b [u8]>, ProtocolError> {
        if self.handed_out {
            self.clear();
        }
        if input.is_empty() {
            return Ok(None);
        }
        match self.format {
            HubProtocolKind::Json => self.next_text(input),
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => self.next_binary(input),
        }
    }

    /// Whether no part of a message is kept.
    pub fn is_empty(&self) -> bool {
        self.handed_out || self.pending.is_empty()
    }

    /// How many bytes of an unfinished message are kept.
    pub(crate) fn unfinished(&self) -> usize {
        if self.handed_out { 0 } else { self.pending.len() }
    }

    /// Forgets the part of a message that is kept.
    pub fn clear(&mut self) {
        self.pending = Vec::new();
        self.handed_out = false;
    }

    /// `aspnet: TextMessageParser.cs`: a message ends with the record separator.
    fn next_text<'b, 'i: 'b>(&'b mut self, input: &mut &'i [u8]) -> Result<Option<&'b [u8]>, ProtocolError> {
        let room = self.room();
        let window = &input[..input.len().min(room)];
        let Some(end) = memchr::memchr(RECORD_SEPARATOR, window) else {
            return self.keep_all(input);
        };
        let (body, rest) = (&input[..end], &input[end + 1..]);
        *input = rest;
        if self.pending.is_empty() {
            return Ok(Some(body));
        }
        self.keep(body);
        self.handed_out = true;
        Ok(Some(&self.pending))
    }

    /// `aspnet: BinaryMessageParser.cs`: a message follows its length.
    #[cfg(feature = "messagepack")]
    fn next_binary<'b, 'i: 'b>(&'b mut self, input: &mut &'i [u8]) -> Result<Option<&'b [u8]>, ProtocolError> {
        let Some((prefix, body)) = self.length(input)? else {
            return self.keep_all(input);
        };
        let Some(missing) = (prefix + body).checked_sub(self.pending.len()) else {
            return self.keep_all(input);
        };
        if missing > input.len().min(self.room()) {
            return self.keep_all(input);
        }
        let (part, rest) = input.split_at(missing);
        *input = rest;
        if self.pending.is_empty() {
            return Ok(Some(&part[prefix..]));
        }
        self.keep(part);
        self.handed_out = true;
        Ok(Some(&self.pending[prefix..]))
    }

    /// The length of the prefix and of the body behind it, as soon as the prefix is there.
    #[cfg(feature = "messagepack")]
    fn length(&self, input: &[u8]) -> Result<Option<(usize, usize)>, ProtocolError> {
        let mut length = 0;
        for (index, &byte) in self.pending.iter().chain(input).take(self.room() + self.pending.len()).enumerate() {
            length |= usize::from(byte & 0x7f) << (7 * index);
            let last = index + 1 == MAX_PREFIX_BYTES;
            if last && byte > 0x07 {
                return Err(ProtocolError::new("FormatException", TOO_LONG_TO_FRAME));
            }
            if byte & 0x80 == 0 {
                return Ok(Some((index + 1, length)));
            }
        }
        Ok(None)
    }

    /// How many more bytes of the current message there may be.
    fn room(&self) -> usize {
        self.limit.map_or(usize::MAX - self.pending.len(), |limit| limit.saturating_sub(self.pending.len()))
    }

    /// Keeps the input of an unfinished message, unless it exceeds the limit.
    fn keep_all<'b>(&mut self, input: &mut &[u8]) -> Result<Option<&'b [u8]>, ProtocolError> {
        if let Some(limit) = self.limit
            && input.len() > self.room()
        {
            self.clear();
            return Err(ProtocolError::invalid_data(format!(
                "The maximum message size of {limit}B was exceeded. The message size can be configured in AddHubOptions."
            )));
        }
        let all = std::mem::take(input);
        self.keep(all);
        Ok(None)
    }

    /// The first part is kept at its exact size, since it may stay; then the storage grows by doubling, up to the
    /// limit.
    fn keep(&mut self, part: &[u8]) {
        let needed = self.pending.len() + part.len();
        if needed > self.pending.capacity() {
            let doubled = (self.pending.len() * 2).min(self.limit.unwrap_or(usize::MAX));
            self.pending.reserve_exact(needed.max(doubled) - self.pending.len());
        }
        self.pending.extend_from_slice(part);
    }
}

/// Ends a message in JSON, and every message of the handshake.
pub(super) const RECORD_SEPARATOR: u8 = 0x1e;

/// A length has at most five bytes of seven bits, and is at most 2^31 - 1.
#[cfg(feature = "messagepack")]
const MAX_PREFIX_BYTES: usize = 5;

#[cfg(feature = "messagepack")]
const TOO_LONG_TO_FRAME: &str = "Messages over 2GB in size are not supported.";
