//! HTTP state of a connection, from negotiate to its removal from the connection table.

use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::long_polling::Polls;
use super::post_buffer::PostBuffer;
use super::refresh::Credential;
use super::transport_input::TransportEnd;
use super::websocket::ReconnectSlot;
use crate::auth::User;
use crate::connection_info::{ConnectionId, ConnectionToken, TransportType};
use crate::outbound::Outbound;
use crate::socket::SocketHandle;

/// Callbacks of the sweep and the shutdown to the session of an open connection.
pub(crate) trait SessionMonitor: Send + Sync {
    /// Called every second, for keep-alive and the client timeout.
    fn on_tick(&self, now: Instant);
    /// Called after an authentication refresh; the connection has the new credentials.
    fn on_credentials_refreshed(&self);
    /// Requests the end of the connection, after which the client may reconnect: the server is
    /// shutting down, or the credentials have expired.
    fn request_close(&self);
}

/// Limits of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Maximum number of queued bytes to the client; 0 means no limit.
    pub(crate) outgoing_bytes: usize,
    /// Maximum number of unread bytes from the client; 0 means no limit.
    pub(crate) incoming_bytes: usize,
    /// Longest duration of one write.
    pub(crate) send_timeout: Duration,
    /// Whether the connection closes when its credentials expire.
    pub(crate) closes_on_expiration: bool,
    /// Whether an authentication refresh replaces the user, and not only the expiration
    /// (`aspnet: HubConnectionContext.User` does not change).
    pub(crate) updates_user: bool,
}

/// State of a connection that its requests share (C#: `HttpConnectionContext`).
pub(crate) struct HttpConnection {
    pub(crate) id: ConnectionId,
    pub(super) token: ConnectionToken,
    /// Index of the endpoint that created the connection. Other endpoints do not find the token.
    pub(super) endpoint: usize,
    pub(super) limits: Limits,
    pub(super) outbound: Arc<Outbound>,
    state: Mutex<ConnectionState>,
    /// Bytes received by POST; created by the first request.
    inbox: OnceLock<Box<PostBuffer>>,
    polls: OnceLock<Box<Polls>>,
    /// Slot for the WebSocket of a reconnect, if stateful reconnect was negotiated.
    mailbox: Option<Arc<ReconnectSlot>>,
    watched: OnceLock<Weak<dyn SessionMonitor>>,
    /// Whether the server is shutting down.
    shutting_down: AtomicBool,
}

#[derive(Debug)]
struct ConnectionState {
    /// Credentials of the request that opened the connection, or of the latest authentication
    /// refresh.
    credential: Credential,
    renewals: Renewals,
    transport: Option<TransportType>,
    /// Start of the time without an active request; `None` during a request.
    resting: Option<Instant>,
    life: Life,
    /// Whether the client sent DELETE or timed out, so that no further poll is expected.
    given_up: bool,
    /// TCP socket under the stream of a WebSocket over HTTP/2.
    socket: Option<SocketHandle>,
}

/// Order of authentication refreshes. The check of the application is asynchronous, so several
/// refreshes can be pending at once.
#[derive(Debug, Default)]
struct Renewals {
    begun: u64,
    /// Number of the latest refresh that was applied.
    done: u64,
    /// Whether the session has not read the latest user yet.
    unseen: bool,
}

/// Pending authentication refresh.
pub(super) struct Renewal {
    /// Sequence number within the connection.
    pub(super) number: u64,
    pub(super) previous: User,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// No transport serves the connection yet.
    Reserved,
    Running,
    /// The session has ended; the next poll reports it.
    Ended {
        faulted: bool,
    },
    /// Removed from the connection table.
    Gone,
}

/// Error of binding a connection to a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unavailable {
    /// The connection is already bound to this transport.
    Bound(TransportType),
    /// The connection was removed from the connection table.
    Gone,
}

/// Task of a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Starts the connection.
    First,
    /// Waits for messages.
    Next,
    /// No task: the connection was removed while the poll waited for the previous one.
    Gone,
}

impl HttpConnection {
    pub(super) fn new(
        endpoint: usize,
        (id, token): (ConnectionId, ConnectionToken),
        credential: Credential,
        limits: Limits,
        outbound: Arc<Outbound>,
        stateful: bool,
    ) -> Self {
        let resting = Some(Instant::now());
        let state = ConnectionState {
            credential,
            renewals: Renewals::default(),
            transport: None,
            resting,
            life: Life::Reserved,
            given_up: false,
            socket: None,
        };
        Self {
            id,
            token,
            endpoint,
            limits,
            outbound,
            state: Mutex::new(state),
            inbox: OnceLock::new(),
            polls: OnceLock::new(),
            mailbox: stateful.then(Arc::default),
            watched: OnceLock::new(),
            shutting_down: AtomicBool::new(false),
        }
    }

    /// Sets the monitor that the sweep and the shutdown notify. Events from before are delivered
    /// now.
    pub(crate) fn set_monitor(&self, watched: Weak<dyn SessionMonitor>) {
        // Set once: a connection has one session.
        let _ = self.watched.set(watched);
        if self.is_shutting_down() {
            self.request_close();
        }
        let unseen = self.lock().renewals.unseen;
        if unseen {
            self.tell_refreshed();
        }
    }

    /// Returns the current user. The monitor is notified of later ones.
    pub(crate) fn user(&self) -> User {
        let mut state = self.lock();
        state.renewals.unseen = false;
        state.credential.user.clone()
    }

    /// Returns the user if it has changed since the last call of this method or of
    /// [`user`](Self::user).
    pub(crate) fn take_refreshed(&self) -> Option<User> {
        let mut state = self.lock();
        mem::take(&mut state.renewals.unseen).then(|| state.credential.user.clone())
    }

    /// Returns the maximum number of bytes to read from the client ahead of processing.
    pub(crate) fn read_ahead_limit(&self) -> usize {
        if self.limits.incoming_bytes == 0 { usize::MAX } else { self.limits.incoming_bytes }
    }

    /// Notifies the session, or the handshake, that the server is shutting down.
    pub(super) fn request_close(&self) {
        self.shutting_down.store(true, Ordering::SeqCst);
        match self.watched() {
            Some(watched) => watched.request_close(),
            None => self.outbound.wake_owner(),
        }
    }

    /// Whether the server is shutting down. Ends a connection that is still in its handshake.
    pub(crate) fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::SeqCst)
    }

    /// Returns the user that requests of this connection must have.
    pub(super) fn owner(&self) -> User {
        self.lock().credential.user.clone()
    }

    /// Whether the token is the public connection id (negotiate version 0, or a WebSocket without
    /// negotiate).
    pub(super) fn has_public_token(&self) -> bool {
        self.token == ConnectionToken::from_id(self.id)
    }

    /// Whether a session serves the connection.
    pub(super) fn is_running(&self) -> bool {
        self.lock().life == Life::Running
    }

    /// Whether the connection has not ended.
    pub(super) fn is_open(&self) -> bool {
        if self.watched.get().is_some_and(|watched| watched.strong_count() == 0) {
            return false;
        }
        let state = self.lock();
        matches!(state.life, Life::Reserved | Life::Running) && !state.given_up
    }

    /// Starts an authentication refresh. Returns `None` if the credentials are unchanged or older
    /// than those of the connection
    /// (`aspnet: HttpConnectionDispatcher.EnsureConnectionStateAsync`). With `prolong`, unchanged
    /// credentials with a later expiration count as new.
    pub(super) fn begin_renewal(&self, credential: &Credential, prolong: bool) -> Option<Renewal> {
        let mut state = self.lock();
        let current = &state.credential;
        let known = current.user.is_equal_to(&credential.user) && !(prolong && current.is_older_than(credential));
        if known || credential.is_older_than(current) {
            return None;
        }
        let previous = current.user.clone();
        state.renewals.begun += 1;
        Some(Renewal { number: state.renewals.begun, previous })
    }

    /// Applies the credentials of a refresh, unless newer ones were applied in the meantime. Of
    /// credentials with the same expiration, those of the later request apply.
    pub(super) fn renew(&self, credential: Credential, number: u64) {
        let mut state = self.lock();
        let overtaken = number < state.renewals.done && !state.credential.is_older_than(&credential);
        if overtaken || credential.is_older_than(&state.credential) {
            return;
        }
        let same = state.credential.user.is_equal_to(&credential.user);
        state.credential = credential;
        state.renewals.done = state.renewals.done.max(number);
        if same || !self.limits.updates_user {
            return;
        }
        state.renewals.unseen = true;
        drop(state);
        tracing::debug!(target: "signalr::connection", connection = %self.id, "credentials refreshed");
        self.tell_refreshed();
    }

    /// Whether the connection has newer credentials than these.
    pub(super) fn is_outdated(&self, credential: &Credential) -> bool {
        credential.is_older_than(&self.lock().credential)
    }

    fn tell_refreshed(&self) {
        if let Some(watched) = self.watched() {
            watched.on_credentials_refreshed();
        }
    }

    /// Binds the connection to a transport. The binding is permanent.
    pub(super) fn bind(&self, transport: TransportType, credential: Credential) -> Result<(), Unavailable> {
        let mut state = self.lock();
        if let Some(bound) = state.transport {
            return Err(Unavailable::Bound(bound));
        }
        if state.life == Life::Gone {
            return Err(Unavailable::Gone);
        }
        state.transport = Some(transport);
        // A poll ends the idle time when it starts.
        if transport != TransportType::LongPolling {
            state.resting = None;
        }
        // Applies the credentials of the request that opens the transport, unless a refresh since
        // negotiate has newer ones.
        let outdated = state.renewals.done > 0 && credential.is_older_than(&state.credential);
        if !outdated {
            state.credential = credential;
        }
        Ok(())
    }

    pub(super) fn transport(&self) -> Option<TransportType> {
        self.lock().transport
    }

    pub(super) fn inbox(&self) -> &PostBuffer {
        self.inbox.get_or_init(|| Box::new(PostBuffer::new(self.limits.incoming_bytes)))
    }

    /// Returns the bytes received by POST before the WebSocket was opened, and closes the buffer.
    pub(super) fn take_early(&self) -> Vec<u8> {
        self.inbox.get().map_or_else(Vec::new, |inbox| inbox.drain())
    }

    pub(super) fn polls(&self) -> &Polls {
        self.polls.get_or_init(|| Box::new(Polls::new()))
    }

    pub(super) fn mailbox(&self) -> Option<&Arc<ReconnectSlot>> {
        self.mailbox.as_ref()
    }

    /// Sets the TCP socket under a WebSocket over HTTP/2, which is closed after a send timeout.
    pub(super) fn set_socket(&self, socket: Option<SocketHandle>) {
        self.lock().socket = socket;
    }

    pub(super) fn has_socket(&self) -> bool {
        self.lock().socket.is_some()
    }

    /// Closes the TCP socket of a WebSocket over HTTP/2. The HTTP server would otherwise wait for
    /// the stream.
    pub(super) fn abort_socket(&self) {
        let socket = self.lock().socket.take();
        if let Some(socket) = socket {
            socket.abort();
        }
    }

    /// Whether the connection can resume on another WebSocket.
    pub(super) fn can_resume(&self) -> bool {
        self.mailbox().is_some_and(|mailbox| mailbox.is_open()) && self.outbound.can_resume()
    }

    /// Begins a poll and returns its task.
    pub(super) fn work(&self) -> Work {
        let mut state = self.lock();
        match state.life {
            Life::Gone => return Work::Gone,
            Life::Reserved if state.given_up => return Work::Gone,
            _ => {}
        }
        state.resting = None;
        if state.life != Life::Reserved {
            return Work::Next;
        }
        state.life = Life::Running;
        Work::First
    }

    /// Ends a poll: its response is written.
    pub(super) fn rest(&self) {
        self.lock().resting = Some(Instant::now());
    }

    /// Marks the session as ended. Returns whether further polls are expected.
    pub(super) fn end(&self, faulted: bool) -> bool {
        self.inbox().discard();
        let mut state = self.lock();
        if state.life == Life::Running {
            state.life = Life::Ended { faulted };
        }
        !state.given_up
    }

    /// Ends the connection after a DELETE request. Returns whether no session is running.
    pub(super) fn terminate(&self) -> bool {
        let mut state = self.lock();
        state.given_up = true;
        let over = state.life != Life::Running;
        let polled = state.resting.is_none();
        drop(state);
        if !polled {
            self.outbound.drop_queued();
        }
        self.inbox().close(TransportEnd::Closed);
        over
    }

    /// Marks the connection as removed from the connection table.
    pub(super) fn retire(&self) {
        self.lock().life = Life::Gone;
        // Creates the buffer if there is none: a POST request may have found the connection before
        // its removal.
        self.inbox().close(TransportEnd::Lost);
    }

    pub(super) fn is_faulted(&self) -> bool {
        self.lock().life == Life::Ended { faulted: true }
    }

    /// Checks the reconnect window, the send timeout and the expiration of the credentials, and
    /// notifies the monitor.
    pub(super) fn visit(&self, now: Instant, disconnect_timeout: Duration) {
        if self.outbound.disconnected_for(now) > disconnect_timeout {
            tracing::debug!(target: "signalr::connection", connection = %self.id, "client did not reconnect in time");
            self.outbound.abort_transport();
        }
        let limit = self.limits.send_timeout;
        if !limit.is_zero() && self.outbound.stalled_for(now) > limit {
            tracing::debug!(target: "signalr::connection", connection = %self.id, "client reads too slowly");
            self.outbound.abort_transport();
            self.abort_socket();
        }
        if let Some(watched) = self.watched() {
            watched.on_tick(now);
            if self.is_expired() {
                watched.request_close();
            }
        }
    }

    /// Whether the credentials have expired and the connection closes on expiration. The clock skew
    /// of token validation does not apply.
    pub(super) fn is_expired(&self) -> bool {
        let expires_at = if self.limits.closes_on_expiration { self.lock().credential.expires_at } else { None };
        expires_at.is_some_and(|expires_at| expires_at < SystemTime::now())
    }

    /// Whether the connection has timed out without a request and must be removed from the table.
    /// Ends a connection with a session, which then removes itself.
    pub(super) fn is_overdue(&self, now: Instant, timeout: Duration) -> bool {
        let mut state = self.lock();
        if state.resting.is_none_or(|since| now.saturating_duration_since(since) <= timeout) {
            return false;
        }
        if state.life != Life::Running {
            state.life = Life::Gone;
            return true;
        }
        state.given_up = true;
        drop(state);
        // Senders that wait for capacity are woken; the session then reads the end of the input.
        self.outbound.drop_queued();
        self.inbox().close(TransportEnd::Lost);
        false
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.outbound.queued_bytes() + self.inbox.get().map_or(0, |inbox| inbox.len())
    }

    fn watched(&self) -> Option<Arc<dyn SessionMonitor>> {
        self.watched.get().and_then(Weak::upgrade)
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for HttpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnection").field("id", &self.id).field("state", &*self.lock()).finish_non_exhaustive()
    }
}
