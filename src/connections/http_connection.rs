//! A connection as the transports see it, from its negotiate to its end.

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

/// What the sweep and a shutdown ask of an open connection; its session implements it.
pub(crate) trait SessionMonitor: Send + Sync {
    /// Called every second: time for keep-alive and for noticing silence.
    fn on_tick(&self, now: Instant);
    /// The user has newer credentials, which the entry has.
    fn on_credentials_refreshed(&self);
    /// The connection is to end, and its client may come back: the server goes away, or the client's token has expired.
    fn request_close(&self);
}

/// How much may wait for a connection, and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes to the client; 0 is no limit.
    pub(crate) outgoing_bytes: usize,
    /// Bytes from the client; 0 is no limit.
    pub(crate) incoming_bytes: usize,
    /// How long one write may take.
    pub(crate) send_timeout: Duration,
    /// Whether it ends with the token of its user.
    pub(crate) closes_on_expiration: bool,
    /// Whether newer credentials change its user, and not only its end (`aspnet: HubConnectionContext.User` is kept).
    pub(crate) updates_user: bool,
}

/// A connection as the transports see it.
pub(crate) struct HttpConnection {
    pub(crate) id: ConnectionId,
    pub(super) token: ConnectionToken,
    /// Which endpoint gave it; at another path the token is unknown.
    pub(super) endpoint: usize,
    pub(super) limits: Limits,
    pub(super) outbound: Arc<Outbound>,
    state: Mutex<ConnectionState>,
    /// What comes by POST, from the first one on.
    inbox: OnceLock<Box<PostBuffer>>,
    polls: OnceLock<Box<Polls>>,
    /// Where another WebSocket may be left for this connection, if that was agreed on in the negotiation.
    mailbox: Option<Arc<ReconnectSlot>>,
    watched: OnceLock<Weak<dyn SessionMonitor>>,
    /// The server goes away.
    shutting_down: AtomicBool,
}

#[derive(Debug)]
struct ConnectionState {
    /// Who opened the connection, or the newest that they brought since.
    credential: Credential,
    renewals: Renewals,
    transport: Option<TransportType>,
    /// Since when no request serves it; `None` while one does.
    resting: Option<Instant>,
    life: Life,
    /// Nobody is expected to poll any more.
    given_up: bool,
    /// The socket that carries the stream of a WebSocket over HTTP/2.
    socket: Option<SocketHandle>,
}

/// How newer credentials come in. They may be waited for, so several may be under way.
#[derive(Debug, Default)]
struct Renewals {
    begun: u64,
    /// The newest that was taken over.
    done: u64,
    /// The session has not looked since.
    unseen: bool,
}

/// Newer credentials on their way.
pub(super) struct Renewal {
    /// Which one of the connection's.
    pub(super) number: u64,
    pub(super) previous: User,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// Nothing runs yet.
    Reserved,
    Running,
    /// It was served to its end, which polls have still to learn.
    Ended {
        faulted: bool,
    },
    /// Off the table.
    Gone,
}

/// Why a transport cannot have a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unavailable {
    /// This one has it.
    Bound(TransportType),
    /// It left the table.
    Gone,
}

/// What there is for a poll to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// It sets the connection going.
    First,
    Next,
    /// The connection left the table while this waited for its turn.
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

    /// Lets the sweep see the session of this connection.
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

    /// The user as of now; what comes later is told.
    pub(crate) fn user(&self) -> User {
        let mut state = self.lock();
        state.renewals.unseen = false;
        state.credential.user.clone()
    }

    /// The user, if there are newer credentials than those that were asked for last.
    pub(crate) fn take_refreshed(&self) -> Option<User> {
        let mut state = self.lock();
        mem::take(&mut state.renewals.unseen).then(|| state.credential.user.clone())
    }

    /// So much may be read from the client beyond what is taken.
    pub(crate) fn read_ahead_limit(&self) -> usize {
        if self.limits.incoming_bytes == 0 { usize::MAX } else { self.limits.incoming_bytes }
    }

    /// Tells the connection that the server goes away; its session ends it, or its handshake.
    pub(super) fn request_close(&self) {
        self.shutting_down.store(true, Ordering::SeqCst);
        match self.watched() {
            Some(watched) => watched.request_close(),
            None => self.outbound.wake_owner(),
        }
    }

    /// Whether it is to end before it has begun.
    pub(crate) fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::SeqCst)
    }

    /// Whose connection it is.
    pub(super) fn owner(&self) -> User {
        self.lock().credential.user.clone()
    }

    /// Whether others know the token, since it is the id (negotiate version 0, or a WebSocket without any).
    pub(super) fn has_public_token(&self) -> bool {
        self.token == ConnectionToken::from_id(self.id)
    }

    /// Whether it is being served.
    pub(super) fn is_running(&self) -> bool {
        self.lock().life == Life::Running
    }

    /// Whether it has not ended yet.
    pub(super) fn is_open(&self) -> bool {
        if self.watched.get().is_some_and(|watched| watched.strong_count() == 0) {
            return false;
        }
        let state = self.lock();
        matches!(state.life, Life::Reserved | Life::Running) && !state.given_up
    }

    /// Credentials of the owner have come; `None` if these are none that are new, or older than those that the connection
    /// has (`aspnet: HttpConnectionDispatcher.EnsureConnectionStateAsync`). The same once more are new where they
    /// `prolong` the connection.
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

    /// They are taken over, unless newer ones were meanwhile; of those that end at the same time the last to come stay.
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
        tracing::debug!(target: "signalr::connection", connection = %self.id, "refreshed");
        self.tell_refreshed();
    }

    /// Whether the connection has newer credentials.
    pub(super) fn is_outdated(&self, credential: &Credential) -> bool {
        credential.is_older_than(&self.lock().credential)
    }

    fn tell_refreshed(&self) {
        if let Some(watched) = self.watched() {
            watched.on_credentials_refreshed();
        }
    }

    /// Binds the connection to a transport, which stays its only one.
    pub(super) fn bind(&self, transport: TransportType, credential: Credential) -> Result<(), Unavailable> {
        let mut state = self.lock();
        if let Some(bound) = state.transport {
            return Err(Unavailable::Bound(bound));
        }
        if state.life == Life::Gone {
            return Err(Unavailable::Gone);
        }
        state.transport = Some(transport);
        // A poll says by itself when it begins.
        if transport != TransportType::LongPolling {
            state.resting = None;
        }
        // Those of the request that opens it, unless newer ones came in between.
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

    /// Takes what was sent by POST before a WebSocket was opened; no more is taken that way.
    pub(super) fn take_early(&self) -> Vec<u8> {
        self.inbox.get().map_or_else(Vec::new, |inbox| inbox.drain())
    }

    pub(super) fn polls(&self) -> &Polls {
        self.polls.get_or_init(|| Box::new(Polls::new()))
    }

    pub(super) fn mailbox(&self) -> Option<&Arc<ReconnectSlot>> {
        self.mailbox.as_ref()
    }

    /// Sets the socket that is closed when the WebSocket over it takes nothing.
    pub(super) fn set_socket(&self, socket: Option<SocketHandle>) {
        self.lock().socket = socket;
    }

    pub(super) fn has_socket(&self) -> bool {
        self.lock().socket.is_some()
    }

    /// Closes the socket under the stream of a WebSocket over HTTP/2: the HTTP server waits for the stream otherwise.
    pub(super) fn abort_socket(&self) {
        let socket = self.lock().socket.take();
        if let Some(socket) = socket {
            socket.abort();
        }
    }

    /// Whether another WebSocket may take over.
    pub(super) fn can_resume(&self) -> bool {
        self.mailbox().is_some_and(|mailbox| mailbox.is_open()) && self.outbound.can_resume()
    }

    /// A poll begins.
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

    /// A poll is answered.
    pub(super) fn rest(&self) {
        self.lock().resting = Some(Instant::now());
    }

    /// The connection was served to its end. Says whether polls are still expected.
    pub(super) fn end(&self, faulted: bool) -> bool {
        self.inbox().discard();
        let mut state = self.lock();
        if state.life == Life::Running {
            state.life = Life::Ended { faulted };
        }
        !state.given_up
    }

    /// The client ends the connection by request. Says whether nothing of it runs any more.
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

    /// It is off the table.
    pub(super) fn retire(&self) {
        self.lock().life = Life::Gone;
        // Also where nothing was sent: a request may have found it just before.
        self.inbox().close(TransportEnd::Lost);
    }

    pub(super) fn is_faulted(&self) -> bool {
        self.lock().life == Life::Ended { faulted: true }
    }

    /// Time for keep-alive, and for noticing who reads too slowly or does not come back.
    pub(super) fn visit(&self, now: Instant, disconnect_timeout: Duration) {
        if self.outbound.disconnected_for(now) > disconnect_timeout {
            tracing::debug!(target: "signalr::connection", connection = %self.id, "the client did not come back");
            self.outbound.abort_transport();
        }
        let limit = self.limits.send_timeout;
        if !limit.is_zero() && self.outbound.stalled_for(now) > limit {
            tracing::debug!(target: "signalr::connection", connection = %self.id, "the client reads too slowly");
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

    /// Whether it is to end with its credentials, and they have ended: by the clock alone, since the skew that let a token
    /// in does not keep it.
    pub(super) fn is_expired(&self) -> bool {
        let expires_at = if self.limits.closes_on_expiration { self.lock().credential.expires_at } else { None };
        expires_at.is_some_and(|expires_at| expires_at < SystemTime::now())
    }

    /// Whether nobody has used it for too long; from then on nobody does, and it is to leave the table. One that runs is
    /// told to end, and leaves by itself.
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
        // Whoever waits for room finds it, and the end behind it.
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
        f.debug_struct("Entry").field("id", &self.id).field("state", &*self.lock()).finish_non_exhaustive()
    }
}
