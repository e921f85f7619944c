//! The shared half of a connection: what others may do to it.

use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use tokio_util::sync::CancellationToken;

use super::disconnect::Disconnect;
use super::registry::lock;
use crate::auth::User;
use crate::connection_info::{ConnectionId, RequestInfo, TransportType};
use crate::outbound::Outbound;
use crate::protocol::HubProtocol;

/// One connection of a hub, as its registry, its callers and other connections hold it.
pub(crate) struct ConnectionHandle {
    pub(crate) id: ConnectionId,
    pub(crate) user_id: Option<Box<str>>,
    pub(crate) protocol: HubProtocol,
    pub(crate) transport: TransportType,
    snapshot: Mutex<ConnectionSnapshot>,
    pub(crate) outbound: Arc<Outbound>,
    /// The hub's own items of this connection; `Caller::items` knows their type.
    pub(crate) items: Arc<dyn Any + Send + Sync>,
    pub(super) groups: Mutex<JoinedGroups>,
    flags: AtomicU8,
    /// What the client is told when the server gives the connection up; `None` if it is told nothing.
    requested_disconnect: OnceLock<Option<Arc<Disconnect>>>,
    aborted: OnceLock<CancellationToken>,
}

/// What may change while a connection lives; calls keep what they began with.
#[derive(Clone)]
pub(crate) struct ConnectionSnapshot {
    /// A connection may go on with another socket.
    pub(crate) request: Arc<RequestInfo>,
    /// Its client may bring newer credentials.
    pub(crate) user: User,
}

/// The groups that a connection is in: the way back, so that leaving costs as much as was joined.
#[derive(Debug, Default)]
pub(super) struct JoinedGroups {
    pub(super) names: HashSet<Box<str>>,
    /// The connection has ended; it joins nothing any more.
    pub(super) closed: bool,
}

/// What happened to a connection from outside its own task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(u8);

impl Flags {
    /// Something arrived since the sweep last looked.
    pub(crate) const RECEIVED: Self = Self(1);
    /// The client has pinged once, so its silence counts.
    pub(crate) const PINGED: Self = Self(1 << 1);
    /// Nothing is read just now, so silence does not count.
    pub(crate) const PAUSED: Self = Self(1 << 2);
    /// The server gave the connection up, or it has ended.
    pub(crate) const ABORTED: Self = Self(1 << 3);
    /// The client was silent too long.
    pub(crate) const TIMED_OUT: Self = Self(1 << 4);
    /// It is to end, and its client may come back.
    pub(crate) const CLOSING: Self = Self(1 << 5);
    /// Senders waited too long for the client to acknowledge what it was sent.
    pub(crate) const UNACKNOWLEDGED: Self = Self(1 << 6);
    /// Its user has newer credentials.
    pub(crate) const REFRESHED: Self = Self(1 << 7);

    pub(crate) fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }
}

impl ConnectionHandle {
    #[expect(clippy::too_many_arguments, reason = "the parts of a connection, put together in one place")]
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
        // A plain load first: on the hot path the flag is set already and the line stays shared.
        if !self.flags().has(flag) {
            self.flags.fetch_or(flag.0, Ordering::AcqRel);
        }
    }

    /// Clears `flag` and says whether it was set.
    pub(crate) fn take(&self, flag: Flags) -> bool {
        self.flags().has(flag) && Flags(self.flags.fetch_and(!flag.0, Ordering::AcqRel)).has(flag)
    }

    /// Sets `flag` and wakes the connection's task to see it.
    pub(crate) fn signal(&self, flag: Flags) {
        self.set(flag);
        self.outbound.wake_owner();
    }

    /// Ends the connection from the server's side (C#: `Context.Abort`): messages after this are dropped.
    pub(crate) fn abort(&self) {
        self.abort_with(None);
    }

    /// The same, with something to say to the client.
    pub(crate) fn disconnect(&self, disconnect: &Arc<Disconnect>) {
        self.abort_with(Some(Arc::clone(disconnect)));
    }

    /// Ends a connection whose client has not acknowledged what others wait to send: they wait no longer, wherever the
    /// connection's own task is.
    pub(crate) fn abort_unacknowledged(&self) {
        self.set(Flags::UNACKNOWLEDGED);
        self.outbound.abort();
        self.cancel();
    }

    /// What the client is to be told of that.
    pub(crate) fn requested_disconnect(&self) -> Option<&Arc<Disconnect>> {
        self.requested_disconnect.get()?.as_ref()
    }

    fn abort_with(&self, disconnect: Option<Arc<Disconnect>>) {
        // The first one counts, and whoever sees the flag finds it.
        let _ = self.requested_disconnect.set(disconnect);
        self.set(Flags::ABORTED);
        self.outbound.abort();
        self.cancel();
    }

    /// The connection is over, whatever the reason: [`aborted`](Self::aborted) is ready from now on.
    pub(crate) fn cancel(&self) {
        self.token().cancel();
    }

    /// Cancelled with the connection.
    pub(crate) fn token(&self) -> &CancellationToken {
        self.aborted.get_or_init(CancellationToken::new)
    }

    /// Ready when the connection is aborted or has ended.
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
