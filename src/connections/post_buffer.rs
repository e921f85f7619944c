//! Bounded buffer of bytes received by POST, in the order of the requests.

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio_util::sync::CancellationToken;

use super::transport_input::{Read, Take, TransportEnd};

/// Bytes received by POST that the connection has not read yet.
pub(super) struct PostBuffer {
    state: Mutex<PostBufferState>,
    /// Requests append their bodies one after another.
    turn: tokio::sync::Mutex<()>,
    /// Number of unread bytes above which requests wait (C#: `ApplicationMaxBufferSize`); 0 means
    /// no limit.
    limit: usize,
    closed: CancellationToken,
}

#[derive(Default)]
struct PostBufferState {
    bytes: Vec<u8>,
    end: Option<TransportEnd>,
    /// Whether further bytes are accepted and dropped, because the session has ended.
    unread: bool,
    /// Whether a request holds the permit.
    within_body: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Permit of a request to append its body.
pub(super) struct PostPermit<'a> {
    inbox: &'a PostBuffer,
    _guard: tokio::sync::MutexGuard<'a, ()>,
}

/// The buffer accepts no more bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PostBufferClosed;

impl PostBuffer {
    pub(super) fn new(limit: usize) -> Self {
        let closed = CancellationToken::new();
        Self { state: Mutex::default(), turn: tokio::sync::Mutex::default(), limit, closed }
    }

    /// Waits until all earlier requests have appended their bodies.
    pub(super) async fn turn(&self) -> PostPermit<'_> {
        let guard = self.turn.lock().await;
        self.lock().within_body = true;
        PostPermit { inbox: self, _guard: guard }
    }

    /// Whether a request is appending its body. The reader is woken at the end of the request.
    pub(super) fn is_within_body(&self) -> bool {
        self.lock().within_body
    }

    /// Appends a part of a body, then waits until the number of unread bytes is below the limit.
    /// The caller holds the permit.
    pub(super) async fn push(&self, bytes: &[u8]) -> Result<(), PostBufferClosed> {
        wake(self.add(bytes)?);
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.end.is_some() {
                return Poll::Ready(Err(PostBufferClosed));
            }
            if self.limit == 0 || state.bytes.len() < self.limit {
                return Poll::Ready(Ok(()));
            }
            state.writer = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Appends bytes and returns the waker of the reader.
    fn add(&self, bytes: &[u8]) -> Result<Option<Waker>, PostBufferClosed> {
        let mut state = self.lock();
        if state.end.is_some() {
            return Err(PostBufferClosed);
        }
        if state.unread {
            return Ok(None);
        }
        state.bytes.extend_from_slice(bytes);
        Ok(state.reader.take())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().end.is_some()
    }

    /// Waits until the buffer is closed. For requests that wait for the permit or for their body.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Returns the number of unread bytes.
    pub(super) fn len(&self) -> usize {
        self.lock().bytes.len()
    }

    /// Closes the buffer. Unread bytes can still be read. The first end that is given applies.
    pub(super) fn close(&self, end: TransportEnd) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        let waiting = [state.reader.take(), state.writer.take()];
        drop(state);
        self.closed.cancel();
        waiting.into_iter().for_each(wake);
    }

    /// Drops unread and further bytes: the session has ended, but the next poll has not reported it
    /// yet. ASP.NET Core accepts bytes until then, too.
    pub(super) fn discard(&self) {
        let mut state = self.lock();
        state.unread = true;
        state.bytes = Vec::new();
        let writer = state.writer.take();
        drop(state);
        wake(writer);
    }

    /// Closes the buffer and returns its unread bytes.
    pub(super) fn drain(&self) -> Vec<u8> {
        self.close(TransportEnd::Closed);
        mem::take(&mut self.lock().bytes)
    }

    /// Passes all unread bytes to `take`.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, take: Take<'_>) -> Poll<Read> {
        let mut state = self.lock();
        if state.bytes.is_empty() {
            return match state.end {
                Some(end) => Poll::Ready(Read::End(end)),
                None => {
                    state.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
        }
        let bytes = mem::take(&mut state.bytes);
        let writer = state.writer.take();
        drop(state);
        wake(writer);
        take(cx, &bytes);
        Poll::Ready(Read::Data)
    }

    /// Returns ready when the buffer is closed.
    pub(super) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.end.is_some() {
            return Poll::Ready(());
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, PostBufferState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PostPermit<'_> {
    fn drop(&mut self) {
        let mut state = self.inbox.lock();
        state.within_body = false;
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }
}

/// The caller holds no lock, because a waker can run any code.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl fmt::Debug for PostBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("PostBuffer").field("bytes", &state.bytes.len()).field("end", &state.end).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn read(inbox: &PostBuffer) -> Option<(Read, Vec<u8>)> {
        let mut bytes = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        match inbox.poll_read(&mut cx, &mut |_, piece| bytes.extend_from_slice(piece)) {
            Poll::Ready(read) => Some((read, bytes)),
            Poll::Pending => None,
        }
    }

    #[test]
    fn unread_bytes_are_read_together_before_the_end() {
        let inbox = PostBuffer::new(100);
        assert!(read(&inbox).is_none());
        inbox.push(b"ab").now_or_never().unwrap().unwrap();
        inbox.push(b"c").now_or_never().unwrap().unwrap();
        inbox.close(TransportEnd::Closed);
        inbox.close(TransportEnd::Lost);
        assert_eq!(inbox.push(b"late").now_or_never(), Some(Err(PostBufferClosed)));
        assert!(matches!(read(&inbox), Some((Read::Data, bytes)) if bytes == b"abc"));
        assert!(matches!(read(&inbox), Some((Read::End(TransportEnd::Closed), bytes)) if bytes.is_empty()));
    }

    #[test]
    fn bytes_after_the_end_of_the_session_are_accepted_and_dropped() {
        let inbox = PostBuffer::new(2);
        let mut push = Box::pin(inbox.push(b"abc"));
        assert_eq!((&mut push).now_or_never(), None);
        inbox.discard();
        assert_eq!(push.now_or_never(), Some(Ok(())));
        assert_eq!(inbox.push(b"late").now_or_never(), Some(Ok(())));
        assert_eq!(inbox.len(), 0);
    }

    #[test]
    fn requests_wait_while_unread_bytes_exceed_the_limit() {
        let inbox = PostBuffer::new(4);
        assert_eq!(inbox.push(b"abc").now_or_never(), Some(Ok(())));
        let mut push = Box::pin(inbox.push(b"de"));
        assert_eq!((&mut push).now_or_never(), None);
        assert!(matches!(read(&inbox), Some((Read::Data, bytes)) if bytes == b"abcde"));
        assert_eq!(push.now_or_never(), Some(Ok(())));
        let mut push = Box::pin(inbox.push(b"fghi"));
        assert_eq!((&mut push).now_or_never(), None);
        inbox.close(TransportEnd::Lost);
        assert_eq!(push.now_or_never(), Some(Err(PostBufferClosed)));
    }
}
