//! Long polling: each request waits for messages and brings back all there are, one request at a time.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use tokio::sync::{OwnedMutexGuard, watch};

use super::Body;
use super::endpoint::{Endpoint, Exchange, plain};
use super::entry::{Entry, Work};
use super::held::Held;
use crate::origin::TransportType;
use crate::outbound::Taken;

/// The polls of one connection.
pub(super) struct Polls {
    /// Held by the one that is under way.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Counts them; a newer one ends the one that waits.
    newest: watch::Sender<u64>,
}

/// A poll is under way, until its answer is written.
pub(super) struct Turn {
    entry: Arc<Entry>,
    _guard: OwnedMutexGuard<()>,
}

impl Polls {
    pub(super) fn new() -> Self {
        Self { turn: Arc::default(), newest: watch::Sender::new(0) }
    }

    /// Ends the polls before this one and waits until they are answered. With the turn comes what tells of a newer one.
    async fn enter(&self, entry: &Arc<Entry>) -> (Turn, impl Future<Output = ()> + use<>) {
        let mut number = 0;
        self.newest.send_modify(|newest| {
            *newest += 1;
            number = *newest;
        });
        let guard = Arc::clone(&self.turn).lock_owned().await;
        let mut newest = self.newest.subscribe();
        let superseded = async move {
            // The sender lives with the entry, which the turn holds.
            let _ = newest.wait_for(|newest| *newest > number).await;
        };
        (Turn { entry: Arc::clone(entry), _guard: guard }, superseded)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.entry.rest();
    }
}

/// What ended a poll.
enum Outcome {
    Taken(Taken),
    Superseded,
    TimedOut,
}

/// Answers one poll (`aspnet: HttpConnectionDispatcher.ExecuteAsync`, `LongPollingServerTransport`).
pub(super) async fn poll(endpoint: Arc<Endpoint>, exchange: Exchange, entry: Arc<Entry>) -> Response<Body> {
    let (turn, superseded) = entry.polls().enter(&entry).await;
    match entry.work() {
        Work::Gone => return plain(StatusCode::NO_CONTENT, ""),
        Work::First => {
            start(&endpoint, exchange, &entry);
            return octets(Body::default());
        }
        Work::Next => {}
    }
    let taken = poll_fn(|cx| entry.outbound.poll_take(cx, |_| {}));
    let outcome = tokio::select! {
        biased;
        taken = taken => Outcome::Taken(taken),
        () = superseded => Outcome::Superseded,
        () = tokio::time::sleep(endpoint.options.poll_timeout) => Outcome::TimedOut,
    };
    match outcome {
        Outcome::Taken(Taken::Messages(messages)) => octets(Body::messages(messages, turn)),
        Outcome::Taken(Taken::End) if entry.is_faulted() => plain(StatusCode::INTERNAL_SERVER_ERROR, ""),
        Outcome::Taken(Taken::End | Taken::Broken) => {
            endpoint.table.release(&entry);
            plain(StatusCode::NO_CONTENT, "")
        }
        Outcome::Superseded => plain(StatusCode::NO_CONTENT, ""),
        Outcome::TimedOut => plain(StatusCode::OK, ""),
    }
}

/// The first poll is answered at once; what it starts goes on between polls.
fn start(endpoint: &Arc<Endpoint>, exchange: Exchange, entry: &Arc<Entry>) {
    entry.outbound.attach_bodies(false);
    let held = Held::new(endpoint, entry);
    let connection = exchange.into_connection(TransportType::LongPolling, entry);
    endpoint.table.spawn(async move {
        let served = held.endpoint().accept.accept(connection).await;
        held.polled(served.faulted).await;
    });
}

fn octets(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response
}

impl fmt::Debug for Polls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polls").field("newest", &*self.newest.borrow()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("entry", &self.entry).finish_non_exhaustive()
    }
}
