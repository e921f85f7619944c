//! What a queue holds, and one write of it.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::MutexGuard;
use std::task::{Context, Poll, Waker};

use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::Instant;

use super::frame::write_header;
use super::pull::Pull;
use super::replay::Replay;
use super::waiters::Waiters;
use super::{Frame, HEADROOM};
use crate::scratch;

/// So many frames leave in one system call at most; Linux takes 1,024, and beyond some dozens nothing is gained.
const SLICES: usize = 64;

/// Messages up to this size are copied behind others that wait, instead of being a frame of their own.
pub(super) const MERGED: usize = 512;

/// The state of a queue, under its lock.
pub(super) struct State {
    pub(super) frames: VecDeque<Frame>,
    /// Messages being gathered into one more frame, behind [`HEADROOM`]; empty when there are none.
    pub(super) tail: Vec<u8>,
    /// Bytes of the first frame that are written already.
    pub(super) written: usize,
    /// Bytes that wait, headers of the tail left out.
    pub(super) bytes: usize,
    pub(super) binary: bool,
    pub(super) phase: Phase,
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
    pub(super) replay: Option<Box<Replay>>,
}

/// The state of a queue under its lock. Wakers may run anybody's code, so it wakes once the lock is free.
pub(super) struct Locked<'a> {
    state: MutexGuard<'a, State>,
    /// Dropped behind the guard.
    woken: Woken,
}

#[derive(Default)]
struct Woken(Vec<Waker>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) enum Phase {
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
    Pulled(Pull),
    /// Nobody reads any more: what is sent is dropped.
    Gone,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            frames: VecDeque::new(),
            tail: Vec::new(),
            written: 0,
            bytes: 0,
            binary: false,
            phase: Phase::Open,
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

    pub(super) fn append(&mut self, message: &[u8]) {
        if self.tail.is_empty() {
            self.tail = scratch::take();
            self.tail.resize(HEADROOM, 0);
        }
        self.tail.extend_from_slice(message);
        self.bytes += message.len();
    }

    pub(super) fn push(&mut self, frame: &Frame) {
        let payload = frame.payload();
        if !self.tail.is_empty() && payload.len() <= MERGED {
            return self.append(payload);
        }
        self.seal();
        self.bytes += frame.wire().len();
        self.frames.push_back(frame.clone());
    }

    /// Makes a frame of the gathered messages.
    pub(super) fn seal(&mut self) {
        if !self.tail.is_empty() {
            let tail = mem::take(&mut self.tail);
            self.bytes -= tail.len() - HEADROOM;
            let frame = Frame::message(tail, self.binary);
            self.bytes += frame.wire().len();
            self.frames.push_back(frame);
        }
    }

    /// One system call. `false`: the sink takes no more now.
    pub(super) fn write_once(&mut self, cx: Option<&mut Context<'_>>) -> io::Result<bool> {
        if self.frames.is_empty() {
            return self.write_tail(cx);
        }
        self.seal();
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut skip = self.written;
        let mut count = 0;
        for (slice, frame) in slices.iter_mut().zip(&self.frames) {
            *slice = IoSlice::new(&frame.wire()[mem::take(&mut skip)..]);
            count += 1;
        }
        match self.sink.write(cx, &slices[..count])? {
            None => Ok(false),
            Some(written) => {
                self.advance(written);
                Ok(true)
            }
        }
    }

    /// Writes the gathered messages straight from their buffer, which serves again.
    fn write_tail(&mut self, cx: Option<&mut Context<'_>>) -> io::Result<bool> {
        let start = write_header(&mut self.tail, self.binary);
        let total = self.tail.len() - start;
        match self.sink.write(cx, &[IoSlice::new(&self.tail[start..])])? {
            Some(written) if written == total => {
                self.bytes = 0;
                self.unflushed = matches!(self.sink, Sink::Owned(_));
                self.settle_stall(written);
                scratch::give(mem::take(&mut self.tail));
                Ok(true)
            }
            written => {
                self.seal();
                self.advance(written.unwrap_or(0));
                Ok(written.is_some())
            }
        }
    }

    fn advance(&mut self, written: usize) {
        self.bytes -= written;
        self.unflushed = matches!(self.sink, Sink::Owned(_));
        self.settle_stall(written);
        let mut left = self.written + written;
        while let Some(first) = self.frames.front() {
            let length = first.wire().len();
            if left < length {
                break;
            }
            left -= length;
            self.frames.pop_front();
        }
        self.written = left;
        if self.frames.is_empty() && self.frames.capacity() > 0 {
            self.frames = VecDeque::new();
        }
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

    pub(super) fn break_off(&mut self) {
        self.phase = Phase::Broken;
        self.replay = None;
        self.clear();
        self.detach();
    }

    /// Drops what waits.
    pub(super) fn clear(&mut self) {
        self.frames = VecDeque::new();
        self.tail = Vec::new();
        self.bytes = 0;
        self.written = 0;
        self.blocked = false;
        self.unflushed = false;
        self.stalled = None;
    }
}

impl<'a> Locked<'a> {
    pub(super) fn new(state: MutexGuard<'a, State>) -> Self {
        Self { state, woken: Woken::default() }
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
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
