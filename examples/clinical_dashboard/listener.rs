//! The sockets: each is served by hyper, and each can be cut from outside.

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
use signalr::PeerAddr;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::connection_killer::Cuts;
use crate::routes::Site;

/// How long a socket may say nothing before its first request.
const PATIENCE: Duration = Duration::from_secs(30);

/// After a failed accept, mostly for want of file descriptors, it is tried again so much later.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves the site on every socket that is accepted. Dropped, it accepts no more; the open ones go on.
pub(crate) async fn accept(listener: TcpListener, site: Arc<Site>, cuts: Arc<Cuts>) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                let socket = Cuttable::new(socket, peer, Arc::clone(&cuts));
                tokio::spawn(serve(socket, peer, Arc::clone(&site)));
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn serve(socket: Cuttable, peer: SocketAddr, site: Arc<Site>) {
    let asked = Arc::new(Notify::new());
    let asks = Arc::clone(&asked);
    let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        asks.notify_one();
        // What the hub sees as `caller.request().peer_addr()`.
        request.extensions_mut().insert(PeerAddr(peer));
        let site = Arc::clone(&site);
        async move { Ok::<_, std::convert::Infallible>(site.respond(request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // With a timer, a client that never finishes its headers is dropped.
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(PATIENCE);
    tokio::select! {
        served = builder.serve_connection_with_upgrades(TokioIo::new(socket), service) => {
            if let Err(error) = served {
                tracing::debug!(error, "an HTTP connection ended badly");
            }
        }
        () = silence(&asked) => tracing::debug!("a socket sent no request"),
    }
}

/// Ready when the first request is overdue, and never once it has come.
async fn silence(asked: &Notify) {
    if tokio::time::timeout(PATIENCE, asked.notified()).await.is_ok() {
        pending().await
    }
}

/// A TCP socket that fails as if the network did, once it is cut.
struct Cuttable {
    socket: TcpStream,
    peer: SocketAddr,
    token: CancellationToken,
    /// Wakes the reader, which a WebSocket always has.
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    cuts: Arc<Cuts>,
}

impl Cuttable {
    fn new(socket: TcpStream, peer: SocketAddr, cuts: Arc<Cuts>) -> Self {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY refused");
        }
        let token = cuts.accepted(peer);
        let cut = Box::pin(token.clone().cancelled_owned());
        Self { socket, peer, token, cut, cuts }
    }

    fn while_whole<T>(&mut self, poll: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if self.token.is_cancelled() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        poll(Pin::new(&mut self.socket))
    }
}

impl Drop for Cuttable {
    fn drop(&mut self) {
        self.cuts.ended(&self.peer);
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Only for the waker that it leaves behind; the next line sees whether it is ready.
        let _ = self.cut.as_mut().poll(cx);
        self.while_whole(|socket| socket.poll_read(cx, buf))
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.while_whole(|socket| socket.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.while_whole(|socket| socket.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.while_whole(|socket| socket.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.while_whole(|socket| socket.poll_shutdown(cx))
    }
}
