//! Bytes received on a connection that its handler has not read yet.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// Reason for the end of the input of a [`RawConnection`](crate::raw::RawConnection).
///
/// ```
/// use signalr::raw::{RawConnection, RawEnd};
///
/// /// Reads to the end and returns whether the client closed the connection in order.
/// async fn drain(mut connection: RawConnection) -> bool {
///     while connection.read().await.is_some() {}
///     connection.end() == Some(RawEnd::Closed)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RawEnd {
    /// The client closed the transport in order, such as by a close frame or a DELETE request.
    Closed,
    /// The transport failed, or the client read too slowly and was disconnected.
    Lost,
    /// The client violated the protocol of the transport.
    Broken,
    /// The server ended it: by [`abort`](crate::raw::RawConnection::abort), or because the handler
    /// returned.
    Aborted,
    /// The server shuts down or the client's token has expired (C#: `ConnectionClosedRequested`).
    /// The connection can still be written to; the handler should write its last bytes and return.
    Requested,
}

/// Pipe from the connection task, which reads the transport, to the reader of the `RawConnection`.
///
/// When `limit` bytes are unread, `poll_reserve` is pending and the transport is not read.
pub(super) struct InputPipe {
    state: Mutex<PipeState>,
    limit: usize,
}

#[derive(Default)]
struct PipeState {
    bytes: Vec<u8>,
    /// Number of bytes at the end that cannot be read yet: they are pushed but not published, or
    /// the beginning of a character.
    unpublished: usize,
    end: Option<RawEnd>,
    /// The `RawConnection` is dropped: received bytes are dropped, too.
    is_discarding: bool,
    reader: Option<Waker>,
    /// The connection task, while the pipe is full.
    writer: Option<Waker>,
}

/// Longest character in UTF-8, in bytes. With a smaller limit, the beginning of a character could
/// fill the pipe, so that its end would never be read.
const MAX_CHARACTER_BYTES: usize = 4;

impl InputPipe {
    /// `limit` is the number of unread bytes from which on no more are accepted.
    pub(super) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), limit: limit.max(MAX_CHARACTER_BYTES) }
    }

    /// Returns all published bytes; `None` after the end.
    pub(super) fn poll_read(&self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.lock();
        let whole = state.bytes.len() - state.unpublished;
        if whole > 0 {
            let rest = state.bytes.split_off(whole);
            let bytes = mem::replace(&mut state.bytes, rest);
            let writer = state.writer.take();
            drop(state);
            wake(writer);
            return Poll::Ready(Some(bytes.into()));
        }
        if state.end.is_some() {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ready when more may be pushed, and after the end, when pushed bytes are dropped.
    pub(super) fn poll_reserve(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.end.is_some() || state.bytes.len() < self.limit {
            return Poll::Ready(());
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Appends received bytes, which can be read after the next [`publish`](Self::publish).
    pub(super) fn push(&self, bytes: &[u8]) {
        let mut state = self.lock();
        if state.end.is_none() && !state.is_discarding {
            state.bytes.extend_from_slice(bytes);
            state.unpublished += bytes.len();
        }
    }

    /// Makes pushed bytes available to the reader. If the rest of a text message is still to come
    /// (`within_text`), the beginning of a character stays back until its end is pushed.
    pub(super) fn publish(&self, within_text: bool) {
        let mut state = self.lock();
        state.unpublished = if within_text && state.end.is_none() { incomplete_suffix(&state.bytes) } else { 0 };
        let reader = if state.bytes.len() > state.unpublished { state.reader.take() } else { None };
        drop(state);
        wake(reader);
    }

    /// Ends the input after the bytes pushed so far. The first reason counts; returns whether this
    /// is it.
    pub(super) fn close(&self, end: RawEnd) -> bool {
        let mut state = self.lock();
        let first = state.end.is_none();
        state.end.get_or_insert(end);
        state.unpublished = 0;
        let readers = [state.reader.take(), state.writer.take()];
        drop(state);
        readers.into_iter().for_each(wake);
        first
    }

    pub(super) fn end(&self) -> Option<RawEnd> {
        self.lock().end
    }

    /// Drops unread bytes and all that are pushed later.
    pub(super) fn discard(&self) {
        let mut state = self.lock();
        state.is_discarding = true;
        state.unpublished = 0;
        state.bytes = Vec::new();
        let writer = state.writer.take();
        drop(state);
        wake(writer);
    }

    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Length in bytes of the incomplete character at the end of `bytes`; 0 without one.
fn incomplete_suffix(bytes: &[u8]) -> usize {
    let is_beginning = |length: &usize| {
        let character = str::from_utf8(&bytes[bytes.len() - length..]);
        character.is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (1..=bytes.len().min(3)).find(is_beginning).unwrap_or(0)
}

/// To be called without the lock, since a waker may run arbitrary code.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct WakeCount(AtomicUsize);

    impl Wake for WakeCount {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    const LIMIT: usize = 1024;

    fn pipe() -> InputPipe {
        InputPipe::new(LIMIT)
    }

    fn take(pipe: &InputPipe) -> Poll<Option<Bytes>> {
        pipe.poll_read(&Context::from_waker(Waker::noop()))
    }

    fn some(bytes: &'static [u8]) -> Poll<Option<Bytes>> {
        Poll::Ready(Some(Bytes::from_static(bytes)))
    }

    #[test]
    fn reader_is_woken_once_and_reads_all_published_bytes() {
        let pipe = pipe();
        let count = Arc::new(WakeCount::default());
        let waker = Waker::from(Arc::clone(&count));
        assert!(pipe.poll_read(&Context::from_waker(&waker)).is_pending());
        pipe.push(b"ab");
        pipe.push(b"c");
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        pipe.publish(false);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(take(&pipe), some(b"abc"));
        assert!(take(&pipe).is_pending());
    }

    /// Reader and connection task may run on different threads.
    #[test]
    fn pushed_bytes_are_not_read_before_they_are_published() {
        let pipe = pipe();
        pipe.push(b"ab\xe2\x82");
        pipe.publish(true);
        assert_eq!(take(&pipe), some(b"ab"));
        pipe.push(b"\xac\xe2\x82\xac");
        assert!(take(&pipe).is_pending());
        pipe.publish(false);
        assert_eq!(take(&pipe), some("€€".as_bytes()));
    }

    #[test]
    fn bytes_that_arrived_before_the_end_can_be_read() {
        let pipe = pipe();
        pipe.push(b"last");
        assert!(pipe.close(RawEnd::Closed));
        assert!(!pipe.close(RawEnd::Lost));
        pipe.push(b"too late");
        pipe.publish(true);
        assert_eq!(take(&pipe), some(b"last"));
        assert_eq!(take(&pipe), Poll::Ready(None));
        assert_eq!(pipe.end(), Some(RawEnd::Closed));
    }

    #[test]
    fn incomplete_characters_wait_for_the_rest_of_their_message() {
        let pipe = pipe();
        pipe.push(b"a\xe2\x82");
        pipe.publish(true);
        assert_eq!(take(&pipe), some(b"a"));
        assert!(take(&pipe).is_pending());
        pipe.push(b"\xacb\xc3");
        pipe.publish(true);
        assert_eq!(take(&pipe), some("€b".as_bytes()));
        pipe.publish(false);
        assert_eq!(take(&pipe), some(b"\xc3"));
        pipe.push(b"\xf0\x9f\x98");
        pipe.publish(true);
        assert!(take(&pipe).is_pending());
        pipe.close(RawEnd::Lost);
        assert_eq!(take(&pipe), some(b"\xf0\x9f\x98"));
    }

    #[test]
    fn incomplete_suffixes_are_beginnings_of_characters() {
        for (bytes, length) in [
            (&b""[..], 0),
            (b"a", 0),
            (b"\xc3", 1),
            (b"\xc3\xa9", 0),
            (b"\xe2\x82", 2),
            ("a€".as_bytes(), 0),
            (b"a\xf0\x9f\x98", 3),
            ("😀".as_bytes(), 0),
            (b"\x82", 0),
            (b"\x82\x82\x82", 0),
            (b"\xff", 0),
            (b"\xe2(", 0),
        ] {
            assert_eq!(incomplete_suffix(bytes), length, "{bytes:x?}");
        }
    }

    #[test]
    fn full_pipe_accepts_bytes_again_after_a_read() {
        let pipe = pipe();
        let count = Arc::new(WakeCount::default());
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        pipe.push(&[0; LIMIT - 1]);
        pipe.publish(false);
        assert!(pipe.poll_reserve(&cx).is_ready());
        pipe.push(&[0; 2]);
        pipe.publish(false);
        assert!(pipe.poll_reserve(&cx).is_pending());
        assert!(take(&pipe).is_ready());
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(pipe.poll_reserve(&cx).is_ready());
    }

    #[test]
    fn bytes_without_a_reader_are_dropped() {
        let pipe = pipe();
        pipe.push(&[0; LIMIT]);
        pipe.publish(true);
        pipe.discard();
        pipe.push(&[0; LIMIT]);
        pipe.publish(true);
        assert!(pipe.poll_reserve(&Context::from_waker(Waker::noop())).is_ready());
        assert!(take(&pipe).is_pending());
    }
}
