//! What a queue holds, and one write of it.

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

/// So many frames leave in one system call at most; Linux takes 1,024, and beyond some dozens nothing is gained.
const MAX_IO_SLICES: usize = 64;

/// Messages up to this size are copied behind others that wait, instead of being a frame of their own.
pub(super) const COALESCE_LIMIT_BYTES: usize = 512;

/// Where at least this number of frames wait, short ones are copied, too: each one that is shared holds more than its
/// bytes.
const MIN_MESSAGES_PER_BLOCK: usize = 4;

/// Size at which messages that have to wait are cut into a piece of the queue, so that memory is free again piece by
/// piece.
pub(super) const BLOCK_BYTES: usize = 4096;

/// The state of a queue, under its lock.
pub(super) struct QueueState {
    /// Complete frames: a long one by itself, or short ones back to back.
    pub(super) frames: VecDeque<Bytes>,
    /// Short ones behind those.
    pub(super) tail: Tail,
    /// Bytes of the first piece that are written already.
    pub(super) written: usize,
    /// Bytes that wait, without the header of an open message.
    pub(super) bytes: usize,
    /// Set where the first piece begins in the middle of a frame: the number of its pongs, and one. As an `Option<u8>` it
    /// would make each idle connection 8 bytes larger.
    pub(super) cut: Option<NonZeroU8>,
    /// Pongs among the bytes that wait.
    pub(super) pongs: u8,
    pub(super) binary: bool,
    pub(super) phase: QueuePhase,
    pub(super) sink: Sink,
    /// The owner is at work and will write at the end of it.
    pub(super) busy: bool,
    /// On the flusher's list.
    pub(super) scheduled: bool,
    /// The socket took no more; the owner waits for it.
    pub(super) blocked: bool,
    /// An owned writer may hold bytes back until it is flushed.
    pub(super) unflushed: bool,
    /// Since when a write is under way, and how much of it is left.
    pub(super) stalled: Option<(Instant, usize)>,
    pub(super) owner: Option<Waker>,
    /// Senders that wait for capacity; `None` where there are none.
    pub(super) waiters: Option<Box<Waiters>>,
    /// Whom [`Locked`] wakes.
    woken: Vec<Waker>,
    /// For a connection that may go on with another socket.
    pub(super) replay: Option<Box<MessageBuffer>>,
}

/// The state of a queue under its lock. Wakers may run anybody's code, so it wakes once the lock is free.
pub(super) struct Locked<'a> {
    state: MutexGuard<'a, QueueState>,
    /// Dropped behind the guard.
    woken: Woken,
}

#[derive(Default)]
struct Woken(Vec<Waker>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) enum QueuePhase {
    Open,
    /// The hub gave the connection up: its messages are dropped, but for the last words.
    Aborted,
    /// Nothing more is taken; what waits is still written.
    Finished,
    /// Nothing can be written any more.
    Broken,
}

pub(super) enum Sink {
    Detached,
    /// Written by whoever holds the lock.
    Tcp(OwnedWriteHalf),
    /// Written by the owner alone, as only a task can wait on it.
    Owned(Box<dyn AsyncWrite + Send + Unpin>),
    /// Taken by the bodies of HTTP responses.
    Pulled(BodySource),
    /// Nobody reads any more: what is sent is dropped.
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

    /// Wakes the connection's own task.
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

    /// Forgets a sender. Returns its waker unless it was woken.
    pub(super) fn leave(&mut self, slot: usize) -> Option<Waker> {
        let waiters = self.waiters.as_mut()?;
        let waker = waiters.leave(slot);
        if waiters.is_unused() {
            self.waiters = None;
        }
        waker
    }

    /// Wakes all whom an end concerns.
    pub(super) fn wake_all(&mut self) {
        self.wake_senders();
        self.wake_owner();
    }

    /// Adds a message to those that leave together.
    pub(super) fn append(&mut self, message: &[u8]) {
        self.prepare_tail(message.len());
        self.tail.join(message);
        self.bytes += message.len();
    }

    /// Adds a short frame.
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

    /// Has a tail for this number of bytes. Where it may have to stay, it is a buffer no larger than needed.
    fn prepare_tail(&mut self, len: usize) {
        let stays = self.blocked || matches!(&self.sink, Sink::Pulled(pull) if !pull.is_awaited());
        if stays && self.tail.len() + len > BLOCK_BYTES {
            self.seal();
        }
        if self.tail.is_empty() {
            self.tail = Tail::new(!stays);
        }
    }

    /// Makes a piece of the tail.
    pub(super) fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.bytes += self.tail.close(self.binary);
            self.frames.push_back(mem::take(&mut self.tail).into_bytes());
        }
    }

    /// One system call. `false`: the sink takes no more now.
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

    /// Copies the rest of a piece that is partly written, where no other queue holds the piece: memory follows the bytes
    /// that wait.
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

    /// How many pongs of a piece end behind this position.
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

    /// All is written; the buffer of the tail serves again.
    fn finish_write(&mut self) {
        mem::take(&mut self.tail).recycle();
        if self.frames.capacity() > 0 {
            self.frames = VecDeque::new();
        }
        (self.bytes, self.written, self.cut, self.pongs) = (0, 0, None, 0);
    }

    /// Whether the socket takes more; if not, the task of `cx` is woken when it does.
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

    /// Drops what waits.
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
    /// Writes what is taken now; `None` when that is nothing.
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
