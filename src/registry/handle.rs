//! State of a connection that other connections and tasks use.

use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use tokio_util::sync::CancellationToken;

use super::disconnect::Disconnect;
use super::hub_registry::lock;
use crate::auth::User;
use crate::connection_info::{ConnectionId, RequestInfo, TransportType};
use crate::outbound::Outbound;
use crate::protocol::HubProtocol;

/// A connection of a hub, as the registry, its callers and other connections use it.
pub(crate) struct ConnectionHandle {
    pub(crate) id: ConnectionId,
    pub(crate) user_id: Option<Box<str>>,
    pub(crate) protocol: HubProtocol,
    pub(crate) transport: TransportType,
    snapshot: Mutex<ConnectionSnapshot>,
    pub(crate) outbound: Arc<Outbound>,
    /// Items of the hub for this connection; `Caller::items` downcasts them.
    pub(crate) items: Arc<dyn Any + Send + Sync>,
    pub(super) groups: Mutex<JoinedGroups>,
    flags: AtomicU8,
    /// Set when the server aborts the connection: the content of the Close message for
    /// `disconnect`, `None` for `abort`.
    requested_disconnect: OnceLock<Option<Arc<Disconnect>>>,
    aborted: OnceLock<CancellationToken>,
}

/// Request and user of a connection at one time. Both can be replaced; running calls keep their
/// snapshot.
#[derive(Clone)]
pub(crate) struct ConnectionSnapshot {
    /// Replaced when a stateful reconnect resumes the connection.
    pub(crate) request: Arc<RequestInfo>,
    /// Replaced by an authentication refresh.
    pub(crate) user: User,
}

/// Groups of a connection, so that removing the connection costs only as much as it has joined.
#[derive(Debug, Default)]
pub(super) struct JoinedGroups {
    pub(super) names: HashSet<Box<str>>,
    /// The connection has ended and cannot join groups.
    pub(super) closed: bool,
}

/// Events that other tasks signal to the connection task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(u8);

impl Flags {
    /// Bytes were received since the last tick.
    pub(crate) const RECEIVED: Self = Self(1);
    /// The client has sent a ping, so the client timeout applies.
    pub(crate) const PINGED: Self = Self(1 << 1);
    /// The connection is not read at the moment, so the client timeout does not run.
    pub(crate) const PAUSED: Self = Self(1 << 2);
    /// The server has aborted the connection, or the connection has ended.
    pub(crate) const ABORTED: Self = Self(1 << 3);
    /// The client exceeded the client timeout.
    pub(crate) const TIMED_OUT: Self = Self(1 << 4);
    /// The connection is to be closed; the client is allowed to reconnect.
    pub(crate) const CLOSING: Self = Self(1 << 5);
    /// Senders waited too long for an acknowledgement by the client.
    pub(crate) const UNACKNOWLEDGED: Self = Self(1 << 6);
    /// An authentication refresh has replaced the user.
    pub(crate) const REFRESHED: Self = Self(1 << 7);

    pub(crate) fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }
}

impl ConnectionHandle {
    #[expect(clippy::too_many_arguments, reason = "the parts of a connection have a single constructor")]
    pub(crate) fn new(
        id: ConnectionId,
        user: User,
        user_id: Option<Box<str>>,
        protocol: HubProtocol,
        transport: TransportType,
        request: Arc<RequestInfo>,
        outbound: Arc<Outbound>,
        items: Arc<dyn Any + Send + Sync>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            user_id,
            protocol,
            transport,
            snapshot: Mutex::new(ConnectionSnapshot { request, user }),
            outbound,
            items,
            groups: Mutex::default(),
            flags: AtomicU8::new(0),
            requested_disconnect: OnceLock::new(),
            aborted: OnceLock::new(),
        })
    }

    pub(crate) fn snapshot(&self) -> ConnectionSnapshot {
        lock(&self.snapshot).clone()
    }

    pub(crate) fn set_request(&self, request: Arc<RequestInfo>) {
        lock(&self.snapshot).request = request;
    }

    pub(crate) fn set_user(&self, user: User) {
        lock(&self.snapshot).user = user;
    }

    pub(crate) fn flags(&self) -> Flags {
        Flags(self.flags.load(Ordering::Acquire))
    }

    pub(crate) fn set(&self, flag: Flags) {
        // A plain load first: on the hot path the flag is already set, and a load keeps the cache
        // line shared.
        if !self.flags().has(flag) {
            self.flags.fetch_or(flag.0, Ordering::AcqRel);
        }
    }

    /// Clears `flag` and returns whether it was set.
    pub(crate) fn take(&self, flag: Flags) -> bool {
        self.flags().has(flag) && Flags(self.flags.fetch_and(!flag.0, Ordering::AcqRel)).has(flag)
    }

    /// Sets `flag` and wakes the connection task.
    pub(crate) fn signal(&self, flag: Flags) {
        self.set(flag);
        self.outbound.wake_owner();
    }

    /// Aborts the connection (C#: `Context.Abort`). Messages that are sent afterwards are dropped.
    pub(crate) fn abort(&self) {
        self.abort_with(None);
    }

    /// Aborts the connection with a Close message that `disconnect` describes.
    pub(crate) fn disconnect(&self, disconnect: &Arc<Disconnect>) {
        self.abort_with(Some(Arc::clone(disconnect)));
    }

    /// Aborts a connection whose client has not acknowledged messages in time. Waiting senders
    /// complete at once, whatever the connection task is doing.
    pub(crate) fn abort_unacknowledged(&self) {
        self.set(Flags::UNACKNOWLEDGED);
        self.outbound.stop_accepting();
        self.cancel();
    }

    /// Returns the content of the Close message; `None` if the connection was not disconnected by
    /// [`disconnect`](Self::disconnect).
    pub(crate) fn requested_disconnect(&self) -> Option<&Arc<Disconnect>> {
        self.requested_disconnect.get()?.as_ref()
    }

    fn abort_with(&self, disconnect: Option<Arc<Disconnect>>) {
        // The first call counts. The content is set before the flag, so that a task that sees the
        // flag finds the content.
        let _ = self.requested_disconnect.set(disconnect);
        self.set(Flags::ABORTED);
        self.outbound.stop_accepting();
        self.cancel();
    }

    /// Cancels the token of the connection, whatever ended it: [`aborted`](Self::aborted)
    /// completes.
    pub(crate) fn cancel(&self) {
        self.token().cancel();
    }

    /// Returns the token that is cancelled when the connection is aborted or has ended.
    pub(crate) fn token(&self) -> &CancellationToken {
        self.aborted.get_or_init(CancellationToken::new)
    }

    /// Completes when the connection is aborted or has ended.
    pub(crate) async fn aborted(&self) {
        self.token().cancelled().await;
    }
}

impl fmt::Debug for ConnectionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = lock(&self.groups).names.len();
        f.debug_struct("ConnectionHandle").field("id", &self.id).field("groups", &groups).finish_non_exhaustive()
    }
}
