//! A plain hyper server, for those without a framework.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body::Body as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::router::{PeerAddr, ResponseFuture, Service};
use super::{SignalR, http_limits};
use crate::socket::{Phase, SocketHandle, TimeoutStream};

/// After a failed accept, mostly for want of file descriptors, it is tried again so much later.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

impl SignalR {
    /// Serves HTTP/1.1 and HTTP/2 in the clear on `listener`, until [`shutdown`](Self::shutdown) begins. Requests carry
    /// the address of their peer.
    ///
    /// HTTP has Kestrel's limits: 8 KiB for a request line, 32 KiB and 100 lines of headers, 100 requests at once on a
    /// connection of HTTP/2. A connection that waits for a request ends after 130 seconds, a request head has 30 seconds
    /// from its first byte, and a socket that takes nothing is closed as by [`timeout_stream`](Self::timeout_stream). For
    /// TLS, or other limits, give [`service`](Self::service) to a server of hyper's; `examples/tls.rs` is one.
    ///
    /// # Cancel safety
    ///
    /// Dropped, no new connections are accepted; the others go on.
    pub async fn serve(self, listener: TcpListener) {
        let builder = http_limits::builder();
        let closing = self.server.closing.clone();
        while let Some(accepted) = closing.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((socket, peer)) => {
                    let stream = self.timeout_stream(socket);
                    let connection =
                        serve_connection(builder.clone(), self.service(), stream, PeerAddr(peer), closing.clone());
                    self.server.tasks.spawn(connection);
                }
                Err(error) => back_off(&error).await,
            }
        }
    }
}

/// Requests on one socket. An upgraded one leaves it behind and goes on by itself. Once `closing` is cancelled the request
/// under way is the last, as long as that takes.
async fn serve_connection(
    builder: auto::Builder<TokioExecutor>,
    service: Service,
    stream: TimeoutStream<TcpStream>,
    peer: PeerAddr,
    closing: CancellationToken,
) {
    if let Err(error) = stream.get_ref().set_nodelay(true) {
        tracing::debug!(target: "signalr::connection", %error, "TCP_NODELAY refused");
    }
    let (stream, activity) = stream.with_keep_alive();
    let request_activity = Arc::clone(&activity);
    let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        let socket = SocketHandle::open(&request_activity, !request.body().is_end_stream());
        request.extensions_mut().insert(socket);
        request.extensions_mut().insert(peer);
        match http_limits::check(&request) {
            Some(rejection) => ResponseFuture::ready(rejection),
            None => hyper::service::Service::call(&service, request),
        }
    });
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut is_closing = false;
    let served = loop {
        tokio::select! {
            // The others depend on what it did.
            biased;
            served = connection.as_mut() => break served,
            phase = activity.overdue(|phase| http_limits::idle_timeout(phase, is_closing)) => {
                tracing::debug!(target: "signalr::connection", ?phase, is_closing, "an HTTP connection waited too long");
                if phase == Phase::Head || is_closing {
                    return;
                }
            }
            () = closing.cancelled(), if !is_closing => {}
        }
        is_closing = true;
        connection.as_mut().graceful_shutdown();
    };
    if let Err(error) = served {
        tracing::debug!(target: "signalr::connection", error, "an HTTP connection ended badly");
    }
}

async fn back_off(error: &io::Error) {
    tracing::warn!(target: "signalr::connection", %error, "accepting a connection failed");
    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
}
