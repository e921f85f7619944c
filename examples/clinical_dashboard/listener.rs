//! Accepts TCP sockets, serves them with hyper, and lets the connection killer cut them.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Request;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use signalr::hosting::PeerAddr;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::connection_killer::ConnectionKiller;
use crate::routes::Routes;

/// A socket without a request is closed after this time.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

const HTTP2_KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// Delay after a failed accept. The usual cause is that the process has no file descriptors left.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Accepts sockets and serves `routes` on them. When the future is dropped, accepted sockets stay
/// open.
pub(crate) async fn accept(listener: TcpListener, routes: Arc<Routes>, killer: Arc<ConnectionKiller>) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                let socket = KillableSocket::new(socket, peer, Arc::clone(&killer));
                tokio::spawn(serve(socket, peer, Arc::clone(&routes)));
            }
            Err(error) => {
                tracing::warn!(%error, "failed to accept a socket");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}

async fn serve(socket: KillableSocket, peer: SocketAddr, routes: Arc<Routes>) {
    let request_received = Arc::new(Notify::new());
    let on_request = Arc::clone(&request_received);
    let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        on_request.notify_one();
        // The hub reads it with `caller.request().peer_addr()`.
        request.extensions_mut().insert(PeerAddr(peer));
        let routes = Arc::clone(&routes);
        async move { Ok::<_, std::convert::Infallible>(routes.respond(request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // hyper needs a timer to close a connection whose client does not finish its headers.
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(HTTP2_KEEP_ALIVE_INTERVAL);
    tokio::select! {
        served = builder.serve_connection_with_upgrades(TokioIo::new(socket), service) => {
            if let Err(error) = served {
                tracing::debug!(error, "HTTP connection failed");
            }
        }
        () = first_request_timeout(&request_received) => tracing::debug!("timed out waiting for the first request"),
    }
}

/// Completes if no request arrives in time; never completes otherwise.
async fn first_request_timeout(request_received: &Notify) {
    if tokio::time::timeout(FIRST_REQUEST_TIMEOUT, request_received.notified()).await.is_ok() {
        pending().await
    }
}

/// A TCP socket that the connection killer can cut. Reads and writes fail afterwards, as in a
/// network failure.
struct KillableSocket {
    socket: TcpStream,
    peer: SocketAddr,
    token: CancellationToken,
    /// Wakes the reading task after a cut. A WebSocket always has one.
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    killer: Arc<ConnectionKiller>,
}

impl KillableSocket {
    fn new(socket: TcpStream, peer: SocketAddr, killer: Arc<ConnectionKiller>) -> Self {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "failed to set TCP_NODELAY");
        }
        let token = killer.add_socket(peer);
        let cancelled = Box::pin(token.clone().cancelled_owned());
        Self { socket, peer, token, cancelled, killer }
    }

    fn unless_cut<T>(&mut self, poll: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if self.token.is_cancelled() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        poll(Pin::new(&mut self.socket))
    }
}

impl Drop for KillableSocket {
    fn drop(&mut self) {
        self.killer.remove_socket(&self.peer);
    }
}

impl AsyncRead for KillableSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Registers the waker; `unless_cut` checks the token.
        let _ = self.cancelled.as_mut().poll(cx);
        self.unless_cut(|socket| socket.poll_read(cx, buf))
    }
}

impl AsyncWrite for KillableSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.unless_cut(|socket| socket.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.unless_cut(|socket| socket.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unless_cut(|socket| socket.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unless_cut(|socket| socket.poll_shutdown(cx))
    }
}
