//! HTTP server on hyper, for applications without a framework.

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

/// Delay before the next accept after a failed one, usually for lack of file descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

impl SignalR {
    /// Serves HTTP/1.1 and HTTP/2 without TLS on `listener` until [`shutdown`](Self::shutdown)
    /// begins. Inserts a [`PeerAddr`] into the extensions of each request.
    ///
    /// The limits are those of Kestrel:
    ///
    /// - a request line of 8 KiB, 100 header lines of 32 KiB in total;
    /// - 100 concurrent requests on an HTTP/2 connection;
    /// - 130 seconds of waiting for a request, 30 seconds for a request head from its first byte.
    ///
    /// A socket without write progress is closed as with [`timeout_stream`](Self::timeout_stream).
    /// For TLS or other limits, pass [`service`](Self::service) to a hyper server, as in
    /// `examples/tls.rs`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no new connections are accepted; existing connections continue.
    pub async fn serve(self, listener: TcpListener) {
        if let Some(backplane) = &self.server.backplane {
            backplane.start(&self.server.tasks);
        }
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

/// Serves the requests of one socket. After an upgrade the connection task owns the socket. Once
/// `closing` is cancelled, the current request is the last one; its duration is not limited.
async fn serve_connection(
    builder: auto::Builder<TokioExecutor>,
    service: Service,
    stream: TimeoutStream<TcpStream>,
    peer: PeerAddr,
    closing: CancellationToken,
) {
    if let Err(error) = stream.get_ref().set_nodelay(true) {
        tracing::debug!(target: "signalr::connection", %error, "setting TCP_NODELAY failed");
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
            // Progress of the connection changes the conditions of the other branches.
            biased;
            served = connection.as_mut() => break served,
            phase = activity.overdue(|phase| http_limits::idle_timeout(phase, is_closing)) => {
                tracing::debug!(target: "signalr::connection", ?phase, is_closing, "HTTP connection timed out");
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
        tracing::debug!(target: "signalr::connection", error, "HTTP connection failed");
    }
}

async fn back_off(error: &io::Error) {
    tracing::warn!(target: "signalr::connection", %error, "accepting connection failed");
    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
}
