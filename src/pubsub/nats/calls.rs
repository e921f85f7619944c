//! Calls of the application, until the server has completed them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::super::{BackplaneError, BackplaneStats};
use super::channels::{Change, Channels};
use super::completion::{NatsCompletion, PendingCall, complete_all};

/// Calls that are not completed, and whether the server can be reached.
pub(super) struct Calls {
    state: Mutex<CallsState>,
    /// Notified when a session has to take work.
    pub(super) changed: Notify,
    queued_bytes: Arc<AtomicUsize>,
    max_queued_bytes: usize,
    request_timeout: Duration,
}

struct CallsState {
    link: Link,
    publishes: VecDeque<Publish>,
    channels: Channels,
    failed_publishes: u64,
    interruptions: u64,
}

/// Whether the server can be reached, and all subscriptions are restored.
enum Link {
    Disconnected(Arc<str>),
    Connected(ConnectedClient),
    Closed,
}

/// A connection of a client, which has several, one after another.
#[derive(Clone)]
pub(super) struct ConnectedClient {
    client: async_nats::Client,
    number: u64,
}

/// A payload to publish.
pub(super) struct Publish {
    pub(super) channel: Box<str>,
    pub(super) payload: Bytes,
    pub(super) published: Published,
    deadline: Instant,
}

/// Completes a call of `publish`. Its payload counts as queued until then.
pub(super) struct Published {
    completion: NatsCompletion,
    bytes: QueuedBytes,
}

struct QueuedBytes {
    counter: Arc<AtomicUsize>,
    bytes: usize,
}

/// NatsWork of a session before its next fence.
pub(super) struct NatsWork {
    pub(super) changes: Vec<Change>,
    pub(super) publishes: Vec<Publish>,
}

impl Calls {
    pub(super) fn new(max_queued_bytes: usize, request_timeout: Duration) -> Self {
        let state = CallsState {
            link: Link::Disconnected("not connected yet".into()),
            publishes: VecDeque::new(),
            channels: Channels::default(),
            failed_publishes: 0,
            interruptions: 0,
        };
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
            queued_bytes: Arc::default(),
            max_queued_bytes,
            request_timeout,
        }
    }

    /// Queues a payload.
    pub(super) fn publish(&self, channel: &str, payload: Bytes) -> Result<PendingCall, BackplaneError> {
        let now = Instant::now();
        let deadline = now + self.request_timeout;
        let (completion, call) = NatsCompletion::new(deadline);
        let mut state = self.lock();
        if matches!(state.link, Link::Closed) {
            return Err(BackplaneError::Closed);
        }
        // Their calls have timed out.
        let expired = state.publishes.partition_point(|publish| publish.deadline <= now);
        let expired: Vec<_> = state.publishes.drain(..expired).collect();
        let expired_bytes: usize = expired.iter().map(|publish| publish.published.bytes.bytes).sum();
        let is_full = self.queued_bytes.load(Ordering::Relaxed) - expired_bytes >= self.max_queued_bytes;
        if !is_full {
            let bytes = QueuedBytes::new(&self.queued_bytes, channel.len() + payload.len() + PUBLISH_OVERHEAD_BYTES);
            let published = Published { completion, bytes };
            state.publishes.push_back(Publish { channel: channel.into(), payload, published, deadline });
        }
        // Before `expired` is dropped, which may wake a task.
        drop(state);
        if is_full {
            return Err(BackplaneError::QueueFull);
        }
        self.changed.notify_one();
        Ok(call)
    }

    /// Subscribes to a channel. Returns `None` if it is subscribed already.
    pub(super) fn subscribe(&self, channel: &str) -> Result<Option<PendingCall>, BackplaneError> {
        let mut state = self.lock();
        if matches!(state.link, Link::Closed) {
            return Err(BackplaneError::Closed);
        }
        let call = state.channels.subscribe(channel, Instant::now() + self.request_timeout);
        drop(state);
        self.changed.notify_one();
        Ok(call)
    }

    /// Ends the subscription of a channel.
    pub(super) fn unsubscribe(&self, channel: &str) {
        let waiting = self.lock().channels.unsubscribe(channel);
        complete_all(waiting, &Ok(()));
        self.changed.notify_one();
    }

    /// Waits for the result of `publish`, until its deadline.
    pub(super) async fn published(&self, call: Result<PendingCall, BackplaneError>) -> Result<(), BackplaneError> {
        let result = match call {
            Ok(mut call) => match timeout_at(call.deadline, &mut call.result).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(self.connection_lost()),
                Err(_) => Err(self.timed_out()),
            },
            Err(error) => Err(error),
        };
        if result.is_err() {
            self.lock().failed_publishes += 1;
        }
        result
    }

    /// Waits for the result of `subscribe`, until its deadline.
    pub(super) async fn subscribed(&self, channel: &str, mut call: PendingCall) -> Result<(), BackplaneError> {
        match timeout_at(call.deadline, &mut call.result).await {
            Ok(Ok(result)) => return result,
            Ok(Err(_)) => return Err(self.connection_lost()),
            Err(_) => (),
        }
        let error = self.timed_out();
        let mut state = self.lock();
        // Completed meanwhile.
        if let Ok(result) = call.result.try_recv() {
            return result;
        }
        let waiting = state.channels.abandon(channel);
        drop(state);
        complete_all(waiting, &Err(error.clone()));
        self.changed.notify_one();
        Err(error)
    }

    /// Returns whether the server can be reached and all subscriptions are restored.
    pub(super) fn is_ready(&self) -> bool {
        matches!(&self.lock().link, Link::Connected(connection) if connection.is_current())
    }

    pub(super) fn stats(&self) -> BackplaneStats {
        let state = self.lock();
        BackplaneStats {
            failed_publishes: state.failed_publishes,
            interruptions: state.interruptions,
            subscriptions: state.channels.subscribed(),
            ..BackplaneStats::default()
        }
    }

    /// Fails all calls, now and later.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.link = Link::Closed;
        let publishes = std::mem::take(&mut state.publishes);
        let waiting = state.channels.clear();
        drop(state);
        publishes.into_iter().for_each(|publish| publish.published.complete(Err(BackplaneError::Closed)));
        complete_all(waiting, &Err(BackplaneError::Closed));
    }

    fn connection_lost(&self) -> BackplaneError {
        self.lock().error_or(BackplaneError::Disconnected(CONNECTION_LOST.into()))
    }

    fn timed_out(&self) -> BackplaneError {
        self.lock().error_or(BackplaneError::Timeout)
    }

    fn lock(&self) -> MutexGuard<'_, CallsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For sessions.
impl Calls {
    /// Begins a session, which has no subscriptions yet.
    pub(super) fn begin_session(&self) {
        self.lock().channels.begin_session();
        self.changed.notify_one();
    }

    /// Ends the session.
    pub(super) fn end_session(&self) {
        self.lock().channels.end_session();
    }

    /// Takes what is to be done before this fence.
    pub(super) fn take(&self, fence: u64) -> NatsWork {
        let now = Instant::now();
        let (mut publishes, mut expired, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut state = self.lock();
        let changes = state.channels.take_changes(fence);
        while bytes < MAX_BATCH_BYTES
            && publishes.len() < MAX_BATCH_PUBLISHES
            && let Some(publish) = state.publishes.pop_front()
        {
            if publish.deadline > now {
                bytes += publish.payload.len();
                publishes.push(publish);
            } else {
                expired.push(publish);
            }
        }
        let has_more = !state.publishes.is_empty();
        // Before `expired` is dropped, which may wake a task.
        drop(state);
        if has_more {
            self.changed.notify_one();
        }
        NatsWork { changes, publishes }
    }

    /// Moves subscriptions whose fences were lost to this fence. Returns their channels.
    pub(super) fn request_again(&self, fence: u64) -> Vec<Arc<str>> {
        self.lock().channels.request_again(fence)
    }

    /// Confirms subscriptions that were requested before this fence.
    pub(super) fn confirm(&self, fence: u64, channels: &[Arc<str>]) {
        let waiting = self.lock().channels.confirm(fence, channels);
        complete_all(waiting, &Ok(()));
    }

    /// All subscriptions are restored on this connection. Returns `false` if they were before.
    pub(super) fn connected(&self, connection: &ConnectedClient) -> bool {
        let mut state = self.lock();
        let is_new = matches!(state.link, Link::Disconnected(_));
        if is_new {
            state.link = Link::Connected(connection.clone());
        }
        is_new
    }

    /// The server cannot be reached. Counts interruptions of the connection.
    pub(super) fn disconnected(&self, reason: &str, interruptions: u64) {
        let mut state = self.lock();
        state.interruptions += interruptions;
        if !matches!(state.link, Link::Closed) {
            state.link = Link::Disconnected(reason.into());
        }
    }
}

impl CallsState {
    /// Returns the error of all calls, or this one if the server can be reached.
    fn error_or(&self, error: BackplaneError) -> BackplaneError {
        match &self.link {
            Link::Closed => BackplaneError::Closed,
            Link::Disconnected(reason) => BackplaneError::Disconnected(Arc::clone(reason)),
            Link::Connected(connection) if connection.is_current() => error,
            Link::Connected(_) => BackplaneError::Disconnected(CONNECTION_LOST.into()),
        }
    }
}

impl ConnectedClient {
    /// Returns the connection that the client has now.
    pub(super) fn of(client: &async_nats::Client) -> Self {
        Self { number: number(client), client: client.clone() }
    }

    /// Returns whether the connection is neither lost nor replaced.
    pub(super) fn is_current(&self) -> bool {
        self.client.connection_state() == State::Connected && self.losses() == 0
    }

    /// Returns how often the client has connected again since.
    pub(super) fn losses(&self) -> u64 {
        number(&self.client) - self.number
    }
}

fn number(client: &async_nats::Client) -> u64 {
    client.statistics().connects.load(Ordering::Acquire)
}

impl Published {
    pub(super) fn complete(self, result: Result<(), BackplaneError>) {
        self.completion.complete(result);
    }
}

impl QueuedBytes {
    fn new(counter: &Arc<AtomicUsize>, bytes: usize) -> Self {
        counter.fetch_add(bytes, Ordering::Relaxed);
        Self { counter: Arc::clone(counter), bytes }
    }
}

impl Drop for QueuedBytes {
    fn drop(&mut self) {
        self.counter.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl NatsWork {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.publishes.is_empty()
    }
}

pub(super) const CONNECTION_LOST: &str = "the connection was lost";

/// Maximum size of a batch, which ends with the payload that crosses it. Calls of a batch complete
/// together, so a large batch would delay its first calls.
const MAX_BATCH_BYTES: usize = 256 * 1024;
const MAX_BATCH_PUBLISHES: usize = 256;

/// About the size of an entry of the queue, so that empty payloads count.
const PUBLISH_OVERHEAD_BYTES: usize = 256;
