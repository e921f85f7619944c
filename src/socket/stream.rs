//! Stream with a write timeout.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::activity::Activity;
use super::handle::SocketHandle;

/// A stream that fails when a write makes no progress for a configured time. Kestrel's
/// `MinResponseDataRate` serves the same purpose.
///
/// [`SignalR::timeout_stream`](crate::SignalR::timeout_stream) creates it. HTTP servers wait for a
/// peer that does not read as long as its socket is open. After the timeout all reads and writes of
/// this stream fail with [`TimedOut`](io::ErrorKind::TimedOut), so that the server ends the
/// connection even while it waits for input. A write that has returned `Pending` must be continued,
/// as HTTP servers and TLS do.
///
/// Wrap the TCP socket in it, and it in TLS: bytes that TLS buffers are no progress. A WebSocket
/// over plain HTTP/1.1 unwraps the TCP socket again.
///
/// ```
/// use std::io;
///
/// use signalr::SignalR;
/// use tokio::net::TcpListener;
/// use tokio_rustls::{TlsAcceptor, server::TlsStream};
///
/// async fn accept(
///     listener: &TcpListener,
///     tls: &TlsAcceptor,
///     signalr: &SignalR,
/// ) -> io::Result<TlsStream<signalr::hosting::TimeoutStream<tokio::net::TcpStream>>> {
///     let (socket, _) = listener.accept().await?;
///     tls.accept(signalr.timeout_stream(socket)).await
/// }
/// ```
pub struct TimeoutStream<S> {
    io: S,
    timeout: Duration,
    activity: Arc<Activity>,
    /// Time since which a write has been pending.
    blocked_write: Option<Instant>,
    /// Time since which a flush or a shutdown has been pending.
    blocked_flush: Option<Instant>,
}

impl<S> TimeoutStream<S> {
    pub(crate) fn new(io: S, timeout: Duration) -> Self {
        Self { io, timeout, activity: Arc::new(Activity::new()), blocked_write: None, blocked_flush: None }
    }

    /// Tracks requests and the bytes between them, for a server of unencrypted HTTP.
    pub(crate) fn with_keep_alive(self) -> (Self, Arc<Activity>) {
        self.activity.keep_alive();
        let activity = Arc::clone(&self.activity);
        (self, activity)
    }

    /// Returns the handle for the extensions of the requests on this stream.
    pub fn handle(&self) -> SocketHandle {
        SocketHandle::open(&self.activity, false)
    }

    /// Returns the wrapped stream.
    pub fn get_ref(&self) -> &S {
        &self.io
    }

    /// Unwraps the stream.
    pub fn into_inner(self) -> S {
        self.io
    }

    /// Fails after the timeout of a write or a chunk, or an abort; registers the task for it
    /// otherwise.
    fn check(&self, cx: &mut Context<'_>) -> io::Result<()> {
        let blocked = self.blocked_write.into_iter().chain(self.blocked_flush).min();
        match self.activity.poll_stalled(cx, blocked, self.timeout) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::TimedOut, "write timed out")),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S: AsyncWrite + Unpin> TimeoutStream<S> {
    fn poll_write_by(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let Poll::Ready(written) = write(Pin::new(&mut self.io), cx) else {
            self.blocked_write.get_or_insert_with(Instant::now);
            self.check(cx)?;
            return Poll::Pending;
        };
        (self.blocked_write, self.blocked_flush) = (None, None);
        Poll::Ready(written)
    }

    /// Flushing a socket does nothing, so a completed flush is no progress of a pending write.
    fn poll_flush_by(
        &mut self,
        cx: &mut Context<'_>,
        flush: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        let Poll::Ready(flushed) = flush(Pin::new(&mut self.io), cx) else {
            self.blocked_flush.get_or_insert_with(Instant::now);
            self.check(cx)?;
            return Poll::Pending;
        };
        self.blocked_flush = None;
        Poll::Ready(flushed)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimeoutStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check(cx)?;
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        this.activity.read(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimeoutStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_by(cx, |io, cx| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_by(cx, |io, cx| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_flush_by(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_flush_by(cx, AsyncWrite::poll_shutdown)
    }
}

impl<S: fmt::Debug> fmt::Debug for TimeoutStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutStream").field("io", &self.io).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::{advance, timeout};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);
    const SECOND: Duration = Duration::from_secs(1);

    /// A stream with a buffer of 8 bytes, and its peer.
    fn stream() -> (TimeoutStream<DuplexStream>, DuplexStream) {
        let (io, peer) = tokio::io::duplex(8);
        (TimeoutStream::new(io, TIMEOUT), peer)
    }

    #[tokio::test(start_paused = true)]
    async fn writes_without_progress_fail_and_so_do_all_later_operations() {
        let (mut stream, mut peer) = stream();
        let began = Instant::now();
        let error = stream.write_all(b"more than 8 bytes").await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed()), (io::ErrorKind::TimedOut, TIMEOUT));
        peer.write_all(b"late").await.unwrap();
        peer.read_exact(&mut [0; 8]).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(stream.write_u8(0).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn pending_reads_fail_when_a_write_makes_no_progress() {
        let (mut stream, _peer) = stream();
        stream.write_all(b"8 bytes.").await.unwrap();
        assert!(timeout(TIMEOUT - SECOND, stream.write_u8(0)).await.is_err());
        // A flush of a socket does nothing.
        stream.flush().await.unwrap();
        let began = Instant::now();
        assert_eq!(stream.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_restarts_the_timeout() {
        let (mut stream, mut peer) = stream();
        let writing = tokio::spawn(async move { stream.write_all(&[0; 30]).await });
        for _ in 0..30 {
            tokio::time::sleep(TIMEOUT - SECOND).await;
            peer.read_u8().await.unwrap();
        }
        writing.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn body_chunks_not_written_in_time_fail_the_stream() {
        let (mut stream, _peer) = stream();
        let socket = stream.handle();
        let reading = tokio::spawn(async move { stream.read_u8().await });
        for _ in 0..3 {
            let written = socket.track(Bytes::from_static(b"written"));
            advance(TIMEOUT - SECOND).await;
            drop(written);
        }
        let began = Instant::now();
        let _kept = socket.track(Bytes::from_static(b"kept"));
        assert_eq!(reading.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), TIMEOUT);
    }

    #[tokio::test]
    async fn aborts_fail_pending_reads() {
        let (mut stream, _peer) = stream();
        let socket = stream.handle();
        let reading = tokio::spawn(async move { stream.read_u8().await });
        tokio::task::yield_now().await;
        socket.abort();
        assert_eq!(reading.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
