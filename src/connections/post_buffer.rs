//! What arrives by POST, on its way to the connection: bounded, and in the order of the requests.

use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio_util::sync::CancellationToken;

use super::transport_input::{Read, Take, TransportEnd};

/// The bytes that clients without a WebSocket send, until their connection reads them.
pub(super) struct PostBuffer {
    state: Mutex<PostBufferState>,
    /// Requests add their bodies one after another, never mixed.
    turn: tokio::sync::Mutex<()>,
    /// So many bytes may wait before a request must (ASP.NET: `ApplicationMaxBufferSize`); 0 is no limit.
    limit: usize,
    closed: CancellationToken,
}

#[derive(Default)]
struct PostBufferState {
    bytes: Vec<u8>,
    end: Option<TransportEnd>,
    /// Nobody reads any more: what comes is taken and dropped.
    unread: bool,
    /// A request has the turn.
    within_body: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// A request that may add its body.
pub(super) struct PostPermit<'a> {
    inbox: &'a PostBuffer,
    _guard: tokio::sync::MutexGuard<'a, ()>,
}

/// The connection takes nothing any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PostBufferClosed;

impl PostBuffer {
    pub(super) fn new(limit: usize) -> Self {
        let closed = CancellationToken::new();
        Self { state: Mutex::default(), turn: tokio::sync::Mutex::default(), limit, closed }
    }

    /// Waits until all requests before this one have added their bodies.
    pub(super) async fn turn(&self) -> PostPermit<'_> {
        let guard = self.turn.lock().await;
        self.lock().within_body = true;
        PostPermit { inbox: self, _guard: guard }
    }

    /// Whether a request is adding its body; the reader is woken when it has.
    pub(super) fn is_within_body(&self) -> bool {
        self.lock().within_body
    }

    /// Adds a part of a body, and waits while too much is unread. For who has the turn.
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

    /// Says who is to be woken for it.
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

    /// Ready when nothing is added any more; for requests that wait for something else.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.lock().bytes.len()
    }

    /// Nothing is added any more; what waits is still read. The first end counts.
    pub(super) fn close(&self, end: TransportEnd) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        let waiting = [state.reader.take(), state.writer.take()];
        drop(state);
        self.closed.cancel();
        waiting.into_iter().for_each(wake);
    }

    /// The connection was served, and polls have still to learn it. Until then ASP.NET takes what is sent, too.
    pub(super) fn discard(&self) {
        let mut state = self.lock();
        state.unread = true;
        state.bytes = Vec::new();
        let writer = state.writer.take();
        drop(state);
        wake(writer);
    }

    /// Closes it and takes what waits.
    pub(super) fn drain(&self) -> Vec<u8> {
        self.close(TransportEnd::Closed);
        mem::take(&mut self.lock().bytes)
    }

    /// Hands over all that waits.
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

    /// Ready when nothing is added any more.
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

/// Outside the lock: it may run anybody's code.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl fmt::Debug for PostBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Inbox").field("bytes", &state.bytes.len()).field("end", &state.end).finish_non_exhaustive()
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
    fn what_waits_is_read_at_once_and_before_the_end() {
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
    fn what_comes_when_nobody_reads_is_dropped() {
        let inbox = PostBuffer::new(2);
        let mut push = Box::pin(inbox.push(b"abc"));
        assert_eq!((&mut push).now_or_never(), None);
        inbox.discard();
        assert_eq!(push.now_or_never(), Some(Ok(())));
        assert_eq!(inbox.push(b"late").now_or_never(), Some(Ok(())));
        assert_eq!(inbox.len(), 0);
    }

    #[test]
    fn a_request_waits_while_too_much_is_unread() {
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
