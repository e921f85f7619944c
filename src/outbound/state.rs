//! State of a queue, and one write of it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem;
use std::num::NonZeroU8;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::MutexGuard;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::Instant;

use super::EncodedMessage;
use super::frame::{frames, is_pong};
use super::http_body::BodySource;
use super::message_buffer::MessageBuffer;
use super::tail::Tail;
use super::waiters::Waiters;

/// Maximum number of buffers per system call. Linux allows 1,024; more than some dozens do not
/// improve throughput.
const MAX_IO_SLICES: usize = 64;

/// Messages up to this size in bytes are copied behind other queued messages instead of being
/// queued as a separate buffer.
pub(super) const COALESCE_LIMIT_BYTES: usize = 512;

/// Number of queued buffers from which shared short messages are copied, too. A shared message
/// retains more memory than its bytes.
const MIN_MESSAGES_PER_BLOCK: usize = 4;

/// Size in bytes at which the tail becomes a separate block, so that the memory of a long queue is
/// released block by block.
pub(super) const BLOCK_BYTES: usize = 4096;

/// State of a queue, under its lock.
pub(super) struct QueueState {
    /// Buffers of complete frames: one long frame, or several short ones.
    pub(super) frames: VecDeque<Bytes>,
    /// Short frames behind `frames`.
    pub(super) tail: Tail,
    /// Number of bytes of the first buffer that are written.
    pub(super) written: usize,
    /// Number of queued bytes, without the header of an open message.
    pub(super) bytes: usize,
    /// Set if the first buffer begins in the middle of a frame: the number of its pongs plus one.
    /// An `Option<u8>` would make each idle connection 8 bytes larger.
    pub(super) cut: Option<NonZeroU8>,
    /// Number of queued pongs.
    pub(super) pongs: u8,
    pub(super) binary: bool,
    pub(super) phase: QueuePhase,
    pub(super) sink: Sink,
    /// Whether the owner is processing a batch, at the end of which it writes.
    pub(super) busy: bool,
    /// Whether the queue is on the list of the flusher.
    pub(super) scheduled: bool,
    /// Whether the socket has accepted no more bytes; the owner waits for its readiness.
    pub(super) blocked: bool,
    /// Whether an owned writer may buffer bytes until it is flushed.
    pub(super) unflushed: bool,
    /// Start of an unfinished write, and the number of its remaining bytes.
    pub(super) stalled: Option<(Instant, usize)>,
    pub(super) owner: Option<Waker>,
    /// Senders that wait for capacity; `None` without any.
    pub(super) waiters: Option<Box<Waiters>>,
    /// Wakers that [`Locked`] wakes when the lock is released.
    woken: Vec<Waker>,
    /// Message buffer of stateful reconnect.
    pub(super) replay: Option<Box<MessageBuffer>>,
}

/// Guard of the state. Wakers can run any code, so they are woken after the lock is released.
pub(super) struct Locked<'a> {
    state: MutexGuard<'a, QueueState>,
    /// Declared after the guard, so that it is dropped after the lock is released.
    woken: Woken,
}

#[derive(Default)]
struct Woken(Vec<Waker>);

/// Phase of a queue. A queue only moves to later phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) enum QueuePhase {
    /// Messages are accepted.
    Open,
    /// The session is closing: further messages are dropped, except the Close message and the close
    /// frame.
    Aborted,
    /// No more messages are accepted; queued bytes are still written.
    Finished,
    /// The transport is lost or aborted; nothing can be written.
    Broken,
}

/// Destination of the bytes.
pub(super) enum Sink {
    /// No transport is attached.
    Detached,
    /// Written under the lock by any task.
    Tcp(OwnedWriteHalf),
    /// Written by the owner only, because waiting for readiness needs the context of a task.
    Owned(Box<dyn AsyncWrite + Send + Unpin>),
    /// Dequeued by the bodies of HTTP responses.
    Pulled(BodySource),
    /// No body will read: messages are dropped.
    Gone,
}

impl QueueState {
    pub(super) fn new() -> Self {
        Self {
            frames: VecDeque::new(),
            tail: Tail::default(),
            written: 0,
            bytes: 0,
            cut: None,
            pongs: 0,
            binary: false,
            phase: QueuePhase::Open,
            sink: Sink::Detached,
            busy: false,
            scheduled: false,
            blocked: false,
            unflushed: false,
            stalled: None,
            owner: None,
            waiters: None,
            woken: Vec::new(),
            replay: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.tail.is_empty()
    }

    pub(super) fn set_owner(&mut self, cx: &Context<'_>) {
        if !self.owner.as_ref().is_some_and(|owner| owner.will_wake(cx.waker())) {
            self.owner = Some(cx.waker().clone());
        }
    }

    pub(super) fn wake(&mut self, waker: Waker) {
        self.woken.push(waker);
    }

    /// Wakes the connection task.
    pub(super) fn wake_owner(&mut self) {
        self.woken.extend(self.owner.clone());
    }

    /// Wakes the sender that has waited longest.
    pub(super) fn wake_sender(&mut self) {
        self.woken.extend(self.waiters.as_mut().and_then(|waiters| waiters.next()));
    }

    /// Wakes all senders.
    pub(super) fn wake_senders(&mut self) {
        if let Some(waiters) = &mut self.waiters {
            self.woken.extend(std::iter::from_fn(|| waiters.next()));
        }
    }

    /// Removes a sender. Returns its waker unless it was woken.
    pub(super) fn leave(&mut self, slot: usize) -> Option<Waker> {
        let waiters = self.waiters.as_mut()?;
        let waker = waiters.leave(slot);
        if waiters.is_unused() {
            self.waiters = None;
        }
        waker
    }

    /// Wakes the owner and all senders.
    pub(super) fn wake_all(&mut self) {
        self.wake_senders();
        self.wake_owner();
    }

    /// Appends a message to the open WebSocket message.
    pub(super) fn append(&mut self, message: &[u8]) {
        self.prepare_tail(message.len());
        self.tail.join(message);
        self.bytes += message.len();
    }

    /// Appends a short frame.
    pub(super) fn add(&mut self, frame: &[u8]) {
        self.prepare_tail(frame.len());
        self.bytes += self.tail.close(self.binary) + frame.len();
        self.tail.add(frame);
    }

    pub(super) fn push(&mut self, frame: &EncodedMessage) {
        let payload = frame.payload();
        if payload.len() > COALESCE_LIMIT_BYTES || self.tail.is_empty() && self.frames.len() < MIN_MESSAGES_PER_BLOCK {
            self.seal();
            self.bytes += frame.bytes().len();
            self.frames.push_back(frame.shared());
        } else if frame.joins() {
            self.append(payload);
        } else {
            self.add(frame.bytes());
        }
    }

    /// Prepares the tail for this number of bytes. If the bytes may stay queued, the buffer is no
    /// larger than needed.
    fn prepare_tail(&mut self, len: usize) {
        let stays = self.blocked || matches!(&self.sink, Sink::Pulled(pull) if !pull.is_awaited());
        if stays && self.tail.len() + len > BLOCK_BYTES {
            self.seal();
        }
        if self.tail.is_empty() {
            self.tail = Tail::new(!stays);
        }
    }

    /// Moves the tail into a separate block.
    pub(super) fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.bytes += self.tail.close(self.binary);
            self.frames.push_back(mem::take(&mut self.tail).into_bytes());
        }
    }

    /// Makes one system call. Returns `false` if the sink accepts no more bytes now.
    pub(super) fn write_once(&mut self, cx: Option<&mut Context<'_>>) -> io::Result<bool> {
        self.bytes += self.tail.close(self.binary);
        let written = if self.frames.is_empty() {
            self.sink.write(cx, &[IoSlice::new(self.tail.wire())])?
        } else {
            self.write_frames(cx)?
        };
        match written {
            Some(written) => self.advance(written),
            None if self.tail.wastes(BLOCK_BYTES) => self.seal(),
            None => {}
        }
        Ok(written.is_some())
    }

    fn write_frames(&mut self, cx: Option<&mut Context<'_>>) -> io::Result<Option<usize>> {
        let mut slices = [IoSlice::new(&[]); MAX_IO_SLICES];
        let mut skip = self.written;
        let mut count = 0;
        let tail = Some(self.tail.wire()).filter(|tail| !tail.is_empty());
        for (slice, piece) in slices.iter_mut().zip(self.frames.iter().map(Bytes::as_ref).chain(tail)) {
            *slice = IoSlice::new(&piece[mem::take(&mut skip)..]);
            count += 1;
        }
        self.sink.write(cx, &slices[..count])
    }

    fn advance(&mut self, written: usize) {
        self.unflushed = matches!(self.sink, Sink::Owned(_));
        self.settle_stall(written);
        if written == self.bytes {
            return self.finish_write();
        }
        self.bytes -= written;
        self.written += written;
        while let Some(first) = self.frames.front()
            && self.written >= first.len()
            && let Some(first) = self.frames.pop_front()
        {
            self.written -= first.len();
            let pongs = self.cut.take().map_or_else(|| self.pongs_in(&first, 0), |pongs| pongs.get() - 1);
            self.pongs = self.pongs.saturating_sub(pongs);
        }
        self.cut();
    }

    /// Copies the rest of a partly written buffer that no other queue shares, so that the memory in
    /// use is proportional to the queued bytes.
    fn cut(&mut self) {
        if self.frames.is_empty() && self.written > 0 {
            let tail = mem::take(&mut self.tail);
            self.keep_rest(tail.wire());
            tail.recycle();
        } else if let Some(first) = self.frames.front()
            && self.written > (first.len() / 8).max(2 * BLOCK_BYTES)
            && first.is_unique()
            && let Some(first) = self.frames.pop_front()
        {
            self.keep_rest(&first);
        }
    }

    fn keep_rest(&mut self, piece: &[u8]) {
        self.frames.push_front(Bytes::copy_from_slice(&piece[self.written..]));
        if self.cut.is_none() {
            let pongs = self.pongs_in(piece, self.written);
            self.pongs = self.pongs.saturating_sub(self.pongs_in(piece, 0) - pongs);
            self.cut = Some(NonZeroU8::MIN.saturating_add(pongs));
        }
        self.written = 0;
    }

    /// Returns the number of pongs in a buffer that end after `position`.
    fn pongs_in(&self, piece: &[u8], mut position: usize) -> u8 {
        if self.pongs == 0 {
            return 0;
        }
        let pongs = frames(piece).filter(|frame| {
            let is_behind = frame.len() > position;
            position = position.saturating_sub(frame.len());
            is_behind && is_pong(frame)
        });
        u8::try_from(pongs.count()).unwrap_or(self.pongs)
    }

    /// Resets the queue after everything is written, and recycles the buffer of the tail.
    fn finish_write(&mut self) {
        mem::take(&mut self.tail).recycle();
        if self.frames.capacity() > 0 {
            self.frames = VecDeque::new();
        }
        (self.bytes, self.written, self.cut, self.pongs) = (0, 0, None, 0);
    }

    /// Whether the socket is writable. If not, the task of `cx` is woken when it is.
    pub(super) fn poll_writable(&mut self, cx: &mut Context<'_>) -> bool {
        if let Sink::Tcp(socket) = &self.sink
            && socket.as_ref().poll_write_ready(cx).is_pending()
        {
            return false;
        }
        self.blocked = false;
        true
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) {
        let Sink::Owned(writer) = &mut self.sink else { return };
        match Pin::new(writer).poll_flush(cx) {
            Poll::Ready(Ok(())) => self.unflushed = false,
            Poll::Ready(Err(_)) => {
                self.fail();
                self.wake_owner();
            }
            Poll::Pending => {}
        }
    }

    pub(super) fn settle_stall(&mut self, written: usize) {
        if let Some((_, left)) = &mut self.stalled {
            *left = left.saturating_sub(written);
            if *left == 0 {
                self.stalled = None;
            }
        }
    }

    pub(super) fn mark_stall(&mut self) {
        if self.is_empty() {
            self.stalled = None;
        } else if self.stalled.is_none() {
            self.stalled = Some((Instant::now(), self.bytes));
        }
    }

    pub(super) fn abort_transport(&mut self) {
        self.phase = QueuePhase::Broken;
        self.replay = None;
        self.clear();
        self.detach();
    }

    /// Drops all queued bytes.
    pub(super) fn clear(&mut self) {
        self.frames = VecDeque::new();
        self.tail = Tail::default();
        (self.bytes, self.written, self.cut, self.pongs) = (0, 0, None, 0);
        self.blocked = false;
        self.unflushed = false;
        self.stalled = None;
    }
}

impl<'a> Locked<'a> {
    pub(super) fn new(state: MutexGuard<'a, QueueState>) -> Self {
        Self { state, woken: Woken::default() }
    }
}

impl Deref for Locked<'_> {
    type Target = QueueState;

    fn deref(&self) -> &QueueState {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut QueueState {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.woken.0 = mem::take(&mut self.state.woken);
    }
}

impl Drop for Woken {
    fn drop(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}

impl Sink {
    /// Makes one write. Returns `None` if the sink accepts no bytes now.
    pub(super) fn write(&mut self, cx: Option<&mut Context<'_>>, slices: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        let written = match (self, cx) {
            (Self::Tcp(socket), _) => match slices {
                [one] => socket.try_write(one),
                many => socket.try_write_vectored(many),
            },
            (Self::Owned(writer), Some(cx)) => match Pin::new(writer).poll_write_vectored(cx, slices) {
                Poll::Ready(written) => written,
                Poll::Pending => return Ok(None),
            },
            _ => return Ok(None),
        };
        match written {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => Ok(Some(written)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}
