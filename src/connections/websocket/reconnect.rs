//! Stateful reconnect: moves a connection to a new WebSocket.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Response;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

use super::super::ResponseBody;
use super::super::endpoint::{AuthenticatedRequest, Endpoint};
use super::super::http_connection::HttpConnection;
use super::frame_reader::{NORMAL_CLOSURE, close};
use super::upgrade::{Upgrade, bad_request, upgrade};
use crate::connection_info::RequestInfo;

/// Slot that passes a new WebSocket to the task of its connection. Open from the handshake to the
/// end of the session, if stateful reconnect was negotiated.
#[derive(Debug, Default)]
pub(crate) struct ReconnectSlot {
    seat: Mutex<Seat>,
}

#[derive(Debug, Default)]
enum Seat {
    #[default]
    Closed,
    Empty,
    Taken(Box<NewSocket>),
}

/// New WebSocket and its request.
pub(super) struct NewSocket {
    pub(super) io: Upgraded,
    pub(super) request: Arc<RequestInfo>,
}

impl ReconnectSlot {
    pub(super) fn open(&self) {
        let mut seat = self.seat();
        if let Seat::Closed = *seat {
            *seat = Seat::Empty;
        }
    }

    /// Closes the slot and drops a pending socket.
    pub(super) fn close(&self) {
        let left = mem::take(&mut *self.seat());
        drop(left);
    }

    pub(crate) fn is_open(&self) -> bool {
        !matches!(*self.seat(), Seat::Closed)
    }

    /// Puts a socket into the slot; a pending one is dropped. Returns the socket if the slot is
    /// closed.
    fn put(&self, socket: NewSocket) -> Result<(), NewSocket> {
        let mut seat = self.seat();
        let before = match *seat {
            Seat::Closed => return Err(socket),
            _ => mem::replace(&mut *seat, Seat::Taken(Box::new(socket))),
        };
        drop(seat);
        drop(before);
        Ok(())
    }

    pub(super) fn take(&self) -> Option<Box<NewSocket>> {
        let mut seat = self.seat();
        match mem::take(&mut *seat) {
            Seat::Closed => None,
            Seat::Empty => {
                *seat = Seat::Empty;
                None
            }
            Seat::Taken(socket) => {
                *seat = Seat::Empty;
                Some(socket)
            }
        }
    }

    fn seat(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts the upgrade and passes the socket to the connection, which may still have its old
/// socket.
pub(crate) fn resume(
    endpoint: &Endpoint,
    exchange: AuthenticatedRequest,
    entry: &Arc<HttpConnection>,
) -> Response<ResponseBody> {
    let Some(Upgrade { response, socket, request, carrier }) = upgrade(endpoint, exchange) else {
        return bad_request();
    };
    let (entry, close_timeout) = (Arc::clone(entry), endpoint.options.close_timeout);
    endpoint.table.spawn(async move {
        let io = match socket.await {
            Ok(io) => io,
            Err(error) => {
                tracing::debug!(target: "signalr::connection", connection = %entry.id, %error, "WebSocket upgrade failed");
                return;
            }
        };
        let Some(mailbox) = entry.mailbox() else { return };
        match mailbox.put(NewSocket { io, request }) {
            Ok(()) => {
                entry.set_socket(carrier);
                entry.outbound.wake_owner();
            }
            Err(rejected) => {
                // The connection has ended in the meantime. The socket closes even if the close
                // frame cannot be written.
                let mut io = TokioIo::new(rejected.io);
                let send_close_frame = async {
                    io.write_all(close(NORMAL_CLOSURE).bytes()).await?;
                    io.shutdown().await
                };
                let _ = tokio::time::timeout(close_timeout, send_close_frame).await;
            }
        }
    });
    response
}

impl fmt::Debug for NewSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSocket").field("request", &self.request).finish_non_exhaustive()
    }
}
