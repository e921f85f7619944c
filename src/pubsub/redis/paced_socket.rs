//! Bounds what has been read from a socket and is not processed yet.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::task::AtomicWaker;
use redis::Msg;
use redis::aio::PubSubStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// State shared by the two ends of a [`PacedSocket`].
///
/// The crate `redis` reads a subscription connection in a separate task into an unbounded queue.
/// The socket therefore reports no more data while the receiver of that queue is behind, so that the
/// kernel's buffer fills and Redis applies its own limit (`client-output-buffer-limit pubsub`).
#[derive(Debug)]
pub(super) struct Pace {
    max_unprocessed_bytes: usize,
    /// Bytes read since the queue was empty.
    unprocessed: AtomicUsize,
    /// Bytes read and written, to distinguish a slow connection from a dead one.
    transferred: AtomicU64,
    socket: AtomicWaker,
    receiver: AtomicWaker,
}

impl Pace {
    /// Reads at most a few MiB more than what is processed.
    pub(super) fn bounded() -> Arc<Self> {
        Self::new(MAX_UNPROCESSED_BYTES)
    }

    /// Never pauses, for a connection without such a queue.
    pub(super) fn unbounded() -> Arc<Self> {
        Self::new(usize::MAX)
    }

    fn new(max_unprocessed_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            max_unprocessed_bytes,
            unprocessed: AtomicUsize::new(0),
            transferred: AtomicU64::new(0),
            socket: AtomicWaker::new(),
            receiver: AtomicWaker::new(),
        })
    }

    /// Waits for an answer for as long as the connection transfers bytes: the answer may be behind many
    /// payloads. Returns `None` if nothing was transferred for `timeout`.
    pub(super) async fn answer<T>(&self, answer: impl Future<Output = T>, timeout: Duration) -> Option<T> {
        let mut answer = pin!(answer);
        loop {
            let before = self.transferred.load(Ordering::Relaxed);
            match tokio::time::timeout(timeout, &mut answer).await {
                Ok(answer) => return Some(answer),
                Err(_) if self.is_paused() || self.transferred.load(Ordering::Relaxed) != before => {}
                Err(_) => return None,
            }
        }
    }

    /// Returns whether the socket waits for the receiver of messages.
    fn is_paused(&self) -> bool {
        self.unprocessed.load(Ordering::Acquire) > self.max_unprocessed_bytes
    }

    /// Registers the receiver, which has found the queue empty.
    fn queue_is_empty(&self, cx: &Context<'_>) {
        self.receiver.register(cx.waker());
        self.unprocessed.store(0, Ordering::Release);
        self.socket.wake();
    }

    /// Registers the socket if it has to wait. The receiver is woken as well: what was read may be the
    /// beginning of one large message, and the queue empty.
    fn poll_read_allowed(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_paused() {
            return Poll::Ready(());
        }
        self.socket.register(cx.waker());
        self.receiver.wake();
        if self.is_paused() { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// A socket that reads only as fast as messages are processed.
pub(super) struct PacedSocket<S> {
    inner: S,
    pace: Arc<Pace>,
}

impl<S> PacedSocket<S> {
    pub(super) fn new(inner: S, pace: Arc<Pace>) -> Self {
        Self { inner, pace }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedSocket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.pace.poll_read_allowed(cx).is_pending() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let read = buf.filled().len() - before;
        self.pace.unprocessed.fetch_add(read, Ordering::AcqRel);
        self.pace.transferred.fetch_add(read as u64, Ordering::Relaxed);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedSocket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = &polled {
            self.pace.transferred.fetch_add(*written as u64, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The messages of a subscription connection on a [`PacedSocket`].
pub(super) struct PacedMessages {
    inner: PubSubStream,
    pace: Arc<Pace>,
}

impl PacedMessages {
    pub(super) fn new(inner: PubSubStream, pace: Arc<Pace>) -> Self {
        Self { inner, pace }
    }
}

impl Stream for PacedMessages {
    type Item = Msg;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Msg>> {
        let polled = Pin::new(&mut self.inner).poll_next(cx);
        if polled.is_pending() {
            self.pace.queue_is_empty(cx);
        }
        polled
    }
}

/// Redis disconnects a subscriber that has 8 MiB outstanding for a minute (its default).
const MAX_UNPROCESSED_BYTES: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn reading_pauses_until_the_queue_is_empty() {
        let pace = Pace::bounded();
        let mut socket = PacedSocket::new(tokio::io::repeat(1), pace.clone());
        let mut buffer = vec![0; 1024 * 1024];
        while !pace.is_paused() {
            assert!(socket.read(&mut buffer).await.unwrap() > 0);
        }
        assert!(pace.transferred.load(Ordering::Relaxed) <= (MAX_UNPROCESSED_BYTES + buffer.len()) as u64);
        assert!(futures_util::poll!(Box::pin(socket.read(&mut buffer))).is_pending());
        pace.queue_is_empty(&Context::from_waker(&noop_waker()));
        assert!(socket.read(&mut buffer).await.unwrap() > 0);
    }
}
