//! Tail of a queue, which merges small messages.

use bytes::{Buf, Bytes};

use super::HEADROOM_BYTES;
use super::frame::write_header;
use crate::buffer_pool;

/// Contiguous frames; the last one may be an open message to which more can be appended.
#[derive(Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    /// Position of the open message, which begins with [`HEADROOM_BYTES`] for its header.
    open_at: usize,
    is_open: bool,
    /// Number of unused bytes in front of the first frame.
    unused: u8,
}

impl Tail {
    /// Creates an empty tail: in a pooled buffer of the thread if the bytes leave soon, else in a
    /// buffer that grows with them.
    pub(super) fn new(leaves_soon: bool) -> Self {
        Self { bytes: if leaves_soon { buffer_pool::take() } else { Vec::new() }, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends to the open message, or opens one.
    pub(super) fn join(&mut self, message: &[u8]) {
        if !self.is_open {
            (self.open_at, self.is_open) = (self.bytes.len(), true);
            self.bytes.resize(self.open_at + HEADROOM_BYTES, 0);
        }
        self.bytes.extend_from_slice(message);
    }

    /// Appends a frame. The open message must be closed.
    pub(super) fn add(&mut self, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
    }

    /// Writes the header of the open message. Returns its length.
    pub(super) fn close(&mut self, binary: bool) -> usize {
        if !std::mem::take(&mut self.is_open) {
            return 0;
        }
        let start = write_header(&mut self.bytes[self.open_at..], binary);
        if self.open_at == 0 {
            self.unused = u8::try_from(start).unwrap_or_default();
        } else {
            self.bytes.drain(self.open_at..self.open_at + start);
        }
        HEADROOM_BYTES - start
    }

    /// Returns the frames. All must be closed.
    pub(super) fn wire(&self) -> &[u8] {
        &self.bytes[self.unused.into()..]
    }

    /// Whether the unused part of the buffer exceeds `tolerated` bytes and an eighth of the used
    /// part.
    pub(super) fn wastes(&self, tolerated: usize) -> bool {
        self.bytes.capacity() - self.bytes.len() > tolerated.max(self.bytes.len() / 8)
    }

    /// Returns the frames in a buffer of about their size. All must be closed.
    pub(super) fn into_bytes(self) -> Bytes {
        if self.wastes(0) {
            let bytes = Bytes::copy_from_slice(self.wire());
            self.recycle();
            return bytes;
        }
        let mut bytes = Bytes::from(self.bytes);
        bytes.advance(self.unused.into());
        bytes
    }

    /// Returns the buffer to the pool of the thread.
    pub(super) fn recycle(self) {
        buffer_pool::recycle(self.bytes);
    }
}
