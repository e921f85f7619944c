//! Storage of unacknowledged messages; short ones are stored contiguously in blocks of 4 KiB.

use std::collections::VecDeque;
use std::mem;

use bytes::{Buf, Bytes};

use super::EncodedMessage;
use super::frame::{header, payload_range};
use super::state::{BLOCK_BYTES, COALESCE_LIMIT_BYTES};

/// WebSocket frames of one message each, in order. A message takes its own size and that of its
/// header, which also stores the length: 2 bytes for messages of up to 125 bytes, 4 for longer
/// ones.
#[derive(Default)]
pub(super) struct Kept {
    /// Long frames, shared with the queue and with other connections, and full blocks.
    sealed: VecDeque<Bytes>,
    /// Block to which short messages are appended.
    block: Vec<u8>,
    /// Number of acknowledged bytes at the beginning of the block.
    removed: usize,
    /// Number of bytes of all messages, without headers.
    payload: usize,
}

impl Kept {
    /// Number of bytes of all messages, without headers.
    pub(super) fn payload(&self) -> usize {
        self.payload
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.block.is_empty()
    }

    /// Appends a short message.
    pub(super) fn add(&mut self, message: &[u8], binary: bool) {
        let (header, start) = header(message.len(), binary);
        self.extend(&[&header[start..], message]);
        self.payload += message.len();
    }

    /// Appends a message that other queues may share.
    pub(super) fn share(&mut self, frame: &EncodedMessage) {
        let len = frame.payload().len();
        if len <= COALESCE_LIMIT_BYTES {
            self.extend(&[frame.bytes()]);
        } else {
            self.seal();
            self.sealed.push_back(frame.shared());
        }
        self.payload += len;
    }

    /// Removes the first message. Returns `false` if there is none.
    pub(super) fn remove_first(&mut self) -> bool {
        let frames = self.sealed.front().map_or(&self.block[self.removed..], |first| first);
        if frames.is_empty() {
            return false;
        }
        let (payload, is_last) = (payload_range(frames), payload_range(frames).end == frames.len());
        self.payload -= payload.len();
        match self.sealed.front_mut() {
            Some(_) if is_last => drop(self.sealed.pop_front()),
            Some(first) => first.advance(payload.end),
            None if is_last => (self.block, self.removed) = (Vec::new(), 0),
            None => self.removed += payload.end,
        }
        true
    }

    /// Iterates over all frames. Only the last block is copied.
    pub(super) fn frames(&self) -> impl Iterator<Item = Bytes> {
        let block = Some(&self.block[self.removed..]).filter(|block| !block.is_empty());
        self.sealed.iter().cloned().chain(block.map(Bytes::copy_from_slice))
    }

    fn extend(&mut self, parts: &[&[u8]]) {
        if self.block.len() + parts.iter().map(|part| part.len()).sum::<usize>() > BLOCK_BYTES {
            self.seal();
        }
        parts.iter().for_each(|part| self.block.extend_from_slice(part));
    }

    fn seal(&mut self) {
        if !self.block.is_empty() {
            let mut block = mem::take(&mut self.block);
            block.shrink_to_fit();
            let mut block = Bytes::from(block);
            block.advance(mem::take(&mut self.removed));
            self.sealed.push_back(block);
        }
    }
}

#[cfg(test)]
mod tests;
