//! Connection table of a server, and the sweep over all connections every second.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::http_connection::{HttpConnection, Limits};
use super::refresh::Credential;
use crate::connection_info::{ConnectionId, ConnectionToken};
use crate::outbound::{Flushers, Outbound};
use crate::tasks::Tasks;

/// Interval of the sweep (`aspnet: HttpConnectionManager`, one second).
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// More shards than cores, so that concurrent negotiates rarely contend for a lock.
const SHARDS: usize = 16;

/// All connections of a server by connection token, and the tasks that serve them (C#:
/// `HttpConnectionManager`).
pub(crate) struct ConnectionTable {
    shards: [Mutex<HashMap<ConnectionToken, Arc<HttpConnection>>>; SHARDS],
    hasher: RandomState,
    disconnect_timeout: Duration,
    flushers: Flushers,
    started: Once,
    shutting_down: AtomicBool,
    tasks: Tasks,
}

impl ConnectionTable {
    pub(crate) fn new(disconnect_timeout: Duration, tasks: Tasks) -> Arc<Self> {
        Arc::new(Self {
            shards: Default::default(),
            hasher: RandomState::new(),
            disconnect_timeout,
            flushers: Flushers::new(),
            started: Once::new(),
            shutting_down: AtomicBool::new(false),
            tasks,
        })
    }

    /// Adds a connection that has no transport yet.
    pub(super) fn reserve(
        self: &Arc<Self>,
        endpoint: usize,
        (id, token): (ConnectionId, ConnectionToken),
        credential: Credential,
        limits: Limits,
        stateful: bool,
    ) -> Arc<HttpConnection> {
        self.start();
        let outbound = Outbound::new(limits.outgoing_bytes, self.flushers.next());
        let entry = Arc::new(HttpConnection::new(endpoint, (id, token), credential, limits, outbound, stateful));
        lock(self.shard(&token)).insert(token, Arc::clone(&entry));
        // A concurrent shutdown either finds the connection in the table or is detected here.
        if self.is_shutting_down() {
            entry.request_close();
        }
        entry
    }

    pub(super) fn find(&self, endpoint: usize, token: &str) -> Option<Arc<HttpConnection>> {
        let token = ConnectionToken::parse(token)?;
        let entry = lock(self.shard(&token)).get(&token).cloned()?;
        (entry.endpoint == endpoint).then_some(entry)
    }

    pub(super) fn release(&self, entry: &HttpConnection) {
        lock(self.shard(&entry.token)).remove(&entry.token);
        entry.retire();
    }

    /// Returns the number of connections, including those that were only negotiated.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Returns the number of bytes queued to and from all clients.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.entries().map(|entry| entry.queued_bytes()).sum()
    }

    /// Spawns the task of a connection. The shutdown of the server aborts it after the grace
    /// period.
    pub(super) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(connection);
    }

    /// Whether the server is shutting down and rejects new connections.
    pub(crate) fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::SeqCst)
    }

    /// Rejects new connections, requests the end of the open ones and waits for them for at most
    /// `grace`. The remaining connections are aborted.
    pub(crate) async fn shutdown(&self, grace: Duration) {
        self.shutting_down.store(true, Ordering::SeqCst);
        for entry in self.entries() {
            entry.request_close();
        }
        // Connections without a transport, and those that wait for a last poll, have no task that
        // removes them.
        self.release_if(|entry| entry.transport().is_none());
        self.tasks.finish(grace).await;
        self.release_if(|_| true);
    }

    fn start(self: &Arc<Self>) {
        self.started.call_once(|| {
            self.flushers.start(self.tasks.stop());
            tokio::spawn(sweep(Arc::downgrade(self), self.tasks.clone()));
        });
    }

    fn shard(&self, token: &ConnectionToken) -> &Mutex<HashMap<ConnectionToken, Arc<HttpConnection>>> {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash select a shard")]
        let hash = self.hasher.hash_one(token) as usize;
        &self.shards[hash % SHARDS]
    }

    fn entries(&self) -> impl Iterator<Item = Arc<HttpConnection>> {
        self.shards.iter().flat_map(|shard| lock(shard).values().cloned().collect::<Vec<_>>())
    }

    /// Removes all connections for which `condition` returns true.
    fn release_if(&self, condition: impl Fn(&HttpConnection) -> bool) {
        for entry in self.entries().filter(|entry| condition(entry)) {
            self.release(&entry);
        }
    }

    fn visit(&self, now: Instant) {
        for entry in self.entries() {
            entry.visit(now, self.disconnect_timeout);
        }
        self.release_if(|entry| entry.is_overdue(now, self.disconnect_timeout));
    }
}

/// Sweeps every second until the server is shut down or dropped, then aborts the connections.
async fn sweep(table: Weak<ConnectionTable>, tasks: Tasks) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while tasks.stop().run_until_cancelled(ticks.tick()).await.is_some() {
        let Some(table) = table.upgrade() else { break };
        table.visit(Instant::now());
    }
    tasks.abort();
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for ConnectionTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionTable").field("connections", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::super::http_connection::Work;
    use super::*;
    use crate::auth::User;
    use crate::connection_info::TransportType;

    fn table() -> Arc<ConnectionTable> {
        ConnectionTable::new(Duration::from_secs(15), Tasks::new(CancellationToken::new()))
    }

    fn reserve(table: &Arc<ConnectionTable>) -> Arc<HttpConnection> {
        let limits = Limits {
            outgoing_bytes: 0,
            incoming_bytes: 0,
            send_timeout: Duration::from_secs(10),
            closes_on_expiration: false,
            updates_user: false,
        };
        table.reserve(0, (ConnectionId::random(), ConnectionToken::random()), anonymous(), limits, false)
    }

    fn anonymous() -> Credential {
        Credential { user: User::anonymous(), expires_at: None }
    }

    #[tokio::test(start_paused = true)]
    async fn connections_without_transport_are_removed_after_the_timeout() {
        let table = table();
        let opened = reserve(&table);
        opened.bind(TransportType::WebSockets, anonymous()).unwrap();
        for _ in 0..1000 {
            reserve(&table);
        }
        tokio::time::sleep(Duration::from_secs(14)).await;
        assert_eq!(table.len(), 1001);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(table.len(), 1);
        assert!(table.find(0, opened.token.as_str()).is_some());
    }

    /// The sweep may run between the lookup of a connection and its use by the request.
    #[tokio::test(start_paused = true)]
    async fn timed_out_connections_cannot_be_bound_or_polled() {
        let timeout = Duration::from_secs(15);
        let table = table();
        let [stream, poll, post] = [reserve(&table), reserve(&table), reserve(&table)];
        poll.bind(TransportType::LongPolling, anonymous()).unwrap();
        tokio::time::advance(timeout * 2).await;
        for entry in [&stream, &poll] {
            assert!(entry.is_overdue(Instant::now(), timeout));
        }
        assert!(stream.bind(TransportType::ServerSentEvents, anonymous()).is_err());
        assert_eq!(poll.work(), Work::Gone);
        table.release(&post);
        assert!(post.inbox().is_closed());
    }

    #[tokio::test]
    async fn connection_tokens_are_valid_at_their_endpoint_only() {
        let table = table();
        let entry = reserve(&table);
        assert!(table.find(0, entry.token.as_str()).is_some());
        assert!(table.find(1, entry.token.as_str()).is_none());
        table.release(&entry);
        assert!(table.find(0, entry.token.as_str()).is_none());
    }

    #[tokio::test]
    async fn connections_created_during_shutdown_are_closed() {
        let table = table();
        let before = reserve(&table);
        before.bind(TransportType::WebSockets, anonymous()).unwrap();
        table.shutdown(Duration::ZERO).await;
        assert!(before.is_shutting_down());
        assert!(reserve(&table).is_shutting_down());
    }
}
