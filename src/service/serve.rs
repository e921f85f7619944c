//! A plain hyper server, for those without a framework.

use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::http::{PeerAddr, ResponseFuture, Service};
use super::{SignalR, limits};
use crate::socket::TimeoutStream;

/// A socket that has sent no request by then is closed; hyper's own limit for later ones over HTTP/1.1 is the same.
const FIRST_REQUEST: Duration = Duration::from_secs(30);

/// After a failed accept, mostly for want of file descriptors, it is tried again so much later.
const PAUSE: Duration = Duration::from_millis(100);

impl SignalR {
    /// Serves HTTP/1.1 and HTTP/2 in the clear on `listener`, until [`shutdown`](Self::shutdown) begins. Requests carry
    /// the address of their peer.
    ///
    /// HTTP has Kestrel's limits: 8 KiB for a request line, 32 KiB and 100 lines of headers, 100 requests at once on a
    /// connection of HTTP/2. A socket that takes nothing is closed as by [`timeout_stream`](Self::timeout_stream). For TLS,
    /// or other limits, give [`service`](Self::service) to a server of hyper's; `examples/tls.rs` is one.
    ///
    /// # Cancel safety
    ///
    /// Dropped, no new connections are accepted; the others go on.
    pub async fn serve(self, listener: TcpListener) {
        let builder = limits::builder();
        let closing = self.server.closing.clone();
        while let Some(accepted) = closing.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((socket, peer)) => {
                    let stream = self.timeout_stream(socket);
                    let connection =
                        serve_one(builder.clone(), self.service(), stream, PeerAddr(peer), closing.clone());
                    self.server.tasks.spawn(connection);
                }
                Err(error) => pause(&error).await,
            }
        }
    }
}

/// Requests on one socket. An upgraded one leaves it behind and goes on by itself. Once `closing` is cancelled the request
/// under way is the last, as long as that takes.
async fn serve_one(
    builder: auto::Builder<TokioExecutor>,
    service: Service,
    stream: TimeoutStream<TcpStream>,
    peer: PeerAddr,
    closing: CancellationToken,
) {
    if let Err(error) = stream.get_ref().set_nodelay(true) {
        tracing::debug!(target: "signalr::connection", %error, "TCP_NODELAY refused");
    }
    let socket = stream.handle();
    let asked = Arc::new(Notify::new());
    let asks = Arc::clone(&asked);
    let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        asks.notify_one();
        request.extensions_mut().insert(socket.clone());
        request.extensions_mut().insert(peer);
        match limits::refuse(&request) {
            Some(refusal) => ResponseFuture::answered(refusal),
            None => hyper::service::Service::call(&service, request),
        }
    });
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = silence(&asked) => {
            tracing::debug!(target: "signalr::connection", "a socket sent no request");
            return;
        }
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(target: "signalr::connection", error, "an HTTP connection ended badly");
    }
}

/// Ready when the first request is overdue, and never once it has come.
async fn silence(asked: &Notify) {
    if tokio::time::timeout(FIRST_REQUEST, asked.notified()).await.is_ok() {
        pending().await
    }
}

async fn pause(error: &io::Error) {
    tracing::warn!(target: "signalr::connection", %error, "accepting a connection failed");
    tokio::time::sleep(PAUSE).await;
}
