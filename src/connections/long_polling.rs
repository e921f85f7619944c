//! Long polling: each request waits for messages and returns all queued ones, one request at a
//! time.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use tokio::sync::{OwnedMutexGuard, watch};

use super::ResponseBody;
use super::connection_guard::ConnectionGuard;
use super::endpoint::{AuthenticatedRequest, Endpoint, plain};
use super::http_connection::{HttpConnection, Work};
use crate::connection_info::TransportType;
use crate::outbound::Dequeued;

/// Polls of one connection.
pub(super) struct Polls {
    /// Locked by the active poll.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Number of the latest poll; a newer poll ends the one that waits.
    newest: watch::Sender<u64>,
}

/// Active poll, from its start until its response is written.
pub(super) struct PollPermit {
    entry: Arc<HttpConnection>,
    _guard: OwnedMutexGuard<()>,
}

impl Polls {
    pub(super) fn new() -> Self {
        Self { turn: Arc::default(), newest: watch::Sender::new(0) }
    }

    /// Ends the previous polls and waits until their responses are written. Returns the permit and
    /// a future that resolves when a newer poll begins.
    async fn enter(&self, entry: &Arc<HttpConnection>) -> (PollPermit, impl Future<Output = ()> + use<>) {
        let mut number = 0;
        self.newest.send_modify(|newest| {
            *newest += 1;
            number = *newest;
        });
        let guard = Arc::clone(&self.turn).lock_owned().await;
        let mut newest = self.newest.subscribe();
        let superseded = async move {
            // Cannot fail: the permit keeps the connection and its sender alive.
            let _ = newest.wait_for(|newest| *newest > number).await;
        };
        (PollPermit { entry: Arc::clone(entry), _guard: guard }, superseded)
    }
}

impl Drop for PollPermit {
    fn drop(&mut self) {
        self.entry.rest();
    }
}

/// Outcome of waiting for messages.
enum PollOutcome {
    Taken(Dequeued),
    Superseded,
    TimedOut,
}

/// Responds to one poll (`aspnet: HttpConnectionDispatcher.ExecuteAsync`,
/// `LongPollingServerTransport`).
pub(super) async fn poll(
    endpoint: Arc<Endpoint>,
    exchange: AuthenticatedRequest,
    entry: Arc<HttpConnection>,
) -> Response<ResponseBody> {
    let (turn, superseded) = entry.polls().enter(&entry).await;
    match entry.work() {
        Work::Gone => return plain(StatusCode::NO_CONTENT, ""),
        Work::First => {
            start(&endpoint, exchange, &entry);
            return octets(ResponseBody::default());
        }
        Work::Next => {}
    }
    let taken = poll_fn(|cx| entry.outbound.poll_dequeue(cx, |_| {}));
    let outcome = tokio::select! {
        biased;
        taken = taken => PollOutcome::Taken(taken),
        () = superseded => PollOutcome::Superseded,
        () = tokio::time::sleep(endpoint.options.poll_timeout) => PollOutcome::TimedOut,
    };
    match outcome {
        PollOutcome::Taken(Dequeued::Messages(messages)) => octets(ResponseBody::messages(messages, turn)),
        PollOutcome::Taken(Dequeued::End) if entry.is_faulted() => plain(StatusCode::INTERNAL_SERVER_ERROR, ""),
        PollOutcome::Taken(Dequeued::End | Dequeued::Broken) => {
            endpoint.table.release(&entry);
            plain(StatusCode::NO_CONTENT, "")
        }
        PollOutcome::Superseded => plain(StatusCode::NO_CONTENT, ""),
        PollOutcome::TimedOut => plain(StatusCode::OK, ""),
    }
}

/// Spawns the task of the connection. The first poll returns at once; the task runs on between
/// polls.
fn start(endpoint: &Arc<Endpoint>, exchange: AuthenticatedRequest, entry: &Arc<HttpConnection>) {
    entry.outbound.attach_bodies(false);
    let held = ConnectionGuard::new(endpoint, entry);
    let connection = exchange.into_connection(TransportType::LongPolling, entry);
    endpoint.table.spawn(async move {
        let served = held.endpoint().accept.accept(connection).await;
        held.polled(served.failed).await;
    });
}

fn octets(body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response
}

impl fmt::Debug for Polls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polls").field("newest", &*self.newest.borrow()).finish_non_exhaustive()
    }
}

impl fmt::Debug for PollPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollPermit").field("entry", &self.entry).finish_non_exhaustive()
    }
}
