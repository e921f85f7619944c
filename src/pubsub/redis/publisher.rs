//! The connection on which payloads are published.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cmd;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, timeout_at};

use super::backoff::Backoff;
use super::connector::{Connected, Connector, KEEP_ALIVE_INTERVAL};
use super::options::RedisOptions;
use crate::pubsub::BackplaneError;
use crate::quoted::Quoted;

/// Publishes over one connection, which a task keeps open.
///
/// Publishes are pipelined: each is written at once, and waits for its own answer.
pub(super) struct Publisher {
    link: watch::Sender<PublishLink>,
    /// Bytes that may still be queued.
    capacity: Semaphore,
    max_queued_bytes: u32,
    request_timeout: Duration,
    /// Makes the task examine the connection.
    suspicion: Notify,
    failed: AtomicU64,
    last_failure: Mutex<Option<Instant>>,
}

enum PublishLink {
    Disconnected(Arc<str>),
    Connected(MultiplexedConnection),
    Closed,
}

impl Publisher {
    pub(super) fn new(options: &RedisOptions) -> Self {
        let max_queued_bytes = options.max_queued_bytes.clamp(1, Semaphore::MAX_PERMITS);
        let max_queued_bytes = u32::try_from(max_queued_bytes).unwrap_or(u32::MAX);
        Self {
            link: watch::Sender::new(PublishLink::Disconnected("not started".into())),
            capacity: Semaphore::new(max_queued_bytes as usize),
            max_queued_bytes,
            request_timeout: options.request_timeout,
            suspicion: Notify::new(),
            failed: AtomicU64::new(0),
            last_failure: Mutex::default(),
        }
    }

    /// Publishes a payload, and returns how many clients of that server received it.
    pub(super) async fn publish(&self, channel: &str, payload: &[u8]) -> Result<u64, BackplaneError> {
        let published = self.try_publish(channel, payload).await;
        if let Err(error) = &published {
            self.record_failure(error);
        }
        published
    }

    pub(super) fn is_connected(&self) -> bool {
        matches!(*self.link.borrow(), PublishLink::Connected(_))
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        self.link.send_replace(PublishLink::Closed);
        self.capacity.close();
    }

    /// Stays connected; never returns.
    pub(super) async fn run(&self, connector: &Connector) {
        let mut backoff = Backoff::new();
        loop {
            let reason = match connector.open_publisher().await {
                Ok(Connected { connection: (connection, driver), address, pace }) => {
                    tracing::debug!(server = %address, "Redis connected for publishing");
                    backoff.reset();
                    self.set_link(PublishLink::Connected(connection.clone()));
                    let watching = async {
                        loop {
                            tokio::select! {
                                () = tokio::time::sleep(KEEP_ALIVE_INTERVAL) => {}
                                () = self.suspicion.notified() => {}
                            }
                            let mut connection = connection.clone();
                            let ping = cmd("PING");
                            match pace.answer(ping.query_async::<()>(&mut connection), self.request_timeout).await {
                                None => break "Redis did not answer in time".into(),
                                // An error without the connection being lost is an answer.
                                Some(_) if connector.has_moved(&address).await => {
                                    break "the master has changed".into();
                                }
                                Some(_) => {}
                            }
                        }
                    };
                    tokio::select! {
                        () = driver => "connection closed".into(),
                        reason = watching => reason,
                    }
                }
                Err(reason) => reason,
            };
            tracing::debug!(reason = %Quoted(&reason), "Redis disconnected for publishing");
            self.set_link(PublishLink::Disconnected(reason));
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }

    /// Waits for capacity, for the connection and for the answer, all within the time limit.
    async fn try_publish(&self, channel: &str, payload: &[u8]) -> Result<u64, BackplaneError> {
        let deadline = Instant::now() + self.request_timeout;
        let bytes = channel.len().saturating_add(payload.len()).saturating_add(COMMAND_OVERHEAD_BYTES);
        // A payload above the maximum has to be alone.
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.max_queued_bytes);
        let _capacity = match timeout_at(deadline, self.capacity.acquire_many(bytes)).await {
            Ok(acquired) => acquired.map_err(|_| BackplaneError::Closed)?,
            Err(_) => return Err(BackplaneError::QueueFull),
        };
        if Instant::now() >= deadline {
            // Capacity became free as the time expired. What has failed must not be sent.
            return Err(BackplaneError::QueueFull);
        }
        let mut connection = self.connection(deadline).await?;
        let mut publish = cmd("PUBLISH");
        publish.arg(channel).arg(payload);
        match timeout_at(deadline, publish.query_async(&mut connection)).await {
            Ok(Ok(receivers)) => Ok(receivers),
            // Not repeated: Redis may have received it.
            Ok(Err(error)) if error.is_io_error() => Err(match &*self.link.borrow() {
                PublishLink::Closed => BackplaneError::Closed,
                _ => BackplaneError::Disconnected(error.to_string().into()),
            }),
            Ok(Err(error)) => Err(BackplaneError::Rejected(error.to_string().into())),
            Err(_) => {
                self.suspicion.notify_one();
                Err(BackplaneError::Timeout)
            }
        }
    }

    async fn connection(&self, deadline: Instant) -> Result<MultiplexedConnection, BackplaneError> {
        let mut link = self.link.subscribe();
        let usable = pin!(link.wait_for(|link| !matches!(link, PublishLink::Disconnected(_))));
        // Errors need no handling: the sender lives as long as `self`.
        let _ = timeout_at(deadline, usable).await;
        match &*self.link.borrow() {
            PublishLink::Connected(connection) => Ok(connection.clone()),
            PublishLink::Disconnected(reason) => Err(BackplaneError::Disconnected(reason.clone())),
            PublishLink::Closed => Err(BackplaneError::Closed),
        }
    }

    fn set_link(&self, new: PublishLink) {
        self.link.send_if_modified(|link| {
            let open = !matches!(link, PublishLink::Closed);
            if open {
                *link = new;
            }
            open
        });
    }

    /// Counts a failure, and logs it unless another one was shortly before.
    fn record_failure(&self, error: &BackplaneError) {
        if matches!(error, BackplaneError::Closed) {
            return;
        }
        let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
        let now = Instant::now();
        let before = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        if before.is_none_or(|before| now - before > EPISODE_GAP) {
            tracing::warn!(error = %Quoted(error), failed, "publishing to Redis failed");
        }
    }
}

/// Rough size of what a queued publish needs in addition to its channel and payload.
const COMMAND_OVERHEAD_BYTES: usize = 256;
/// Failures with less time between them are one episode, of which the first is logged.
const EPISODE_GAP: Duration = Duration::from_secs(30);
