//! Splits a stream of bytes into messages.

use super::error::ProtocolError;
use super::format::HubProtocolKind;

/// Splits the input of one connection into messages and enforces the size limit.
///
/// A message that the input contains completely is returned without copying. Only the start of an
/// incomplete message is buffered, up to the limit.
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
    kind: HubProtocolKind,
    limit: Option<usize>,
    /// Start of an incomplete message, or the message that was returned last.
    pending: Vec<u8>,
    yielded: bool,
}

impl Framer {
    /// Creates a framer; `limit` is the maximum size of a message in bytes, including its framing.
    pub fn new(kind: HubProtocolKind, limit: Option<usize>) -> Self {
        Self { kind, limit, pending: Vec::new(), yielded: false }
    }

    /// Consumes the bytes of the next message from `input` and returns the message without its
    /// framing.
    ///
    /// `None` means that `input` is consumed and the start of an incomplete message is buffered.
    /// Call this method until then.
    ///
    /// # Errors
    ///
    /// Returns an error if the message exceeds the limit or its length prefix is invalid. The
    /// caller then closes the connection.
    pub fn next<'b, 'i: 'b>(&'b mut self, input: &mut &'i [u8]) -> Result<Option<&'b [u8]>, ProtocolError> {
        if self.yielded {
            self.clear();
        }
        if input.is_empty() {
            return Ok(None);
        }
        match self.kind {
            HubProtocolKind::Json => self.next_text(input),
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => self.next_binary(input),
        }
    }

    /// Returns whether no incomplete message is buffered.
    pub fn is_empty(&self) -> bool {
        self.yielded || self.pending.is_empty()
    }

    /// Returns the number of buffered bytes of an incomplete message.
    pub(crate) fn unfinished(&self) -> usize {
        if self.yielded { 0 } else { self.pending.len() }
    }

    /// Discards the buffered part of a message.
    pub fn clear(&mut self) {
        self.pending = Vec::new();
        self.yielded = false;
    }

    /// Returns a message that ends with the record separator (`aspnet: TextMessageParser.cs`).
    fn next_text<'b, 'i: 'b>(&'b mut self, input: &mut &'i [u8]) -> Result<Option<&'b [u8]>, ProtocolError> {
        let allowance = self.allowance();
        let window = &input[..input.len().min(allowance)];
        let Some(end) = memchr::memchr(RECORD_SEPARATOR, window) else {
            return self.buffer_all(input);
        };
        let (body, rest) = (&input[..end], &input[end + 1..]);
        *input = rest;
        if self.pending.is_empty() {
            return Ok(Some(body));
        }
        self.buffer(body);
        self.yielded = true;
        Ok(Some(&self.pending))
    }

    /// Returns a message that follows its length (`aspnet: BinaryMessageParser.cs`).
    #[cfg(feature = "messagepack")]
    fn next_binary<'b, 'i: 'b>(&'b mut self, input: &mut &'i [u8]) -> Result<Option<&'b [u8]>, ProtocolError> {
        let Some((prefix, body)) = self.length_prefix(input)? else {
            return self.buffer_all(input);
        };
        let Some(missing) = (prefix + body).checked_sub(self.pending.len()) else {
            return self.buffer_all(input);
        };
        if missing > input.len().min(self.allowance()) {
            return self.buffer_all(input);
        }
        let (part, rest) = input.split_at(missing);
        *input = rest;
        if self.pending.is_empty() {
            return Ok(Some(&part[prefix..]));
        }
        self.buffer(part);
        self.yielded = true;
        Ok(Some(&self.pending[prefix..]))
    }

    /// Returns the lengths of the prefix and of the body, or `None` while the prefix is incomplete.
    #[cfg(feature = "messagepack")]
    fn length_prefix(&self, input: &[u8]) -> Result<Option<(usize, usize)>, ProtocolError> {
        let mut length = 0;
        for (index, &byte) in self.pending.iter().chain(input).take(self.allowance() + self.pending.len()).enumerate() {
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

    /// Returns how many more bytes of the current message the limit allows.
    fn allowance(&self) -> usize {
        self.limit.map_or(usize::MAX - self.pending.len(), |limit| limit.saturating_sub(self.pending.len()))
    }

    /// Buffers the input of an incomplete message, unless it exceeds the limit.
    fn buffer_all<'b>(&mut self, input: &mut &[u8]) -> Result<Option<&'b [u8]>, ProtocolError> {
        if let Some(limit) = self.limit
            && input.len() > self.allowance()
        {
            self.clear();
            return Err(ProtocolError::invalid_data(format!(
                "The maximum message size of {limit}B was exceeded. The message size can be configured in AddHubOptions."
            )));
        }
        let all = std::mem::take(input);
        self.buffer(all);
        Ok(None)
    }

    /// Appends a part of a message to the buffer.
    ///
    /// The first part gets a buffer of its exact size, because a connection may keep it for long.
    /// The buffer then grows by doubling, up to the limit.
    fn buffer(&mut self, part: &[u8]) {
        let needed = self.pending.len() + part.len();
        if needed > self.pending.capacity() {
            let doubled = (self.pending.len() * 2).min(self.limit.unwrap_or(usize::MAX));
            self.pending.reserve_exact(needed.max(doubled) - self.pending.len());
        }
        self.pending.extend_from_slice(part);
    }
}

/// Last byte of every JSON message and of every handshake message.
pub(super) const RECORD_SEPARATOR: u8 = 0x1e;

/// Maximum number of bytes of a length prefix. Each byte has seven bits of the length, which is at
/// most 2^31 - 1.
#[cfg(feature = "messagepack")]
const MAX_PREFIX_BYTES: usize = 5;

#[cfg(feature = "messagepack")]
const TOO_LONG_TO_FRAME: &str = "Messages over 2GB in size are not supported.";
