//! Transports of connections.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// The transport of a connection (C#: one flag of `HttpTransportType`).
///
/// ```
/// # use signalr::hosting::TransportType;
/// # use signalr::{Caller, Hub};
/// fn is_slow<H: Hub>(caller: &Caller<H>) -> bool {
///     caller.transport() == TransportType::LongPolling
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportType {
    /// WebSockets: text and binary, in both directions.
    WebSockets,
    /// Server-sent events to the client, and a `POST` for every message of the client: text only.
    ServerSentEvents,
    /// A `GET` that waits for each message to the client, and a `POST` for every message of the
    /// client: text and binary.
    LongPolling,
}

impl TransportType {
    /// Order in which the negotiate response lists them, which is the order in which clients try
    /// them.
    const ALL: [Self; 3] = [Self::WebSockets, Self::ServerSentEvents, Self::LongPolling];

    /// Returns the name on the wire: `WebSockets`, `ServerSentEvents` or `LongPolling`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebSockets => "WebSockets",
            Self::ServerSentEvents => "ServerSentEvents",
            Self::LongPolling => "LongPolling",
        }
    }
}

impl fmt::Display for TransportType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A set of transports that clients can use (C#: the flags of `HttpTransportType`).
///
/// The default is all transports.
///
/// ```
/// use signalr::hosting::{TransportType, Transports};
///
/// let streaming = Transports::WEB_SOCKETS | Transports::SERVER_SENT_EVENTS;
/// assert!(streaming.contains(TransportType::WebSockets));
/// assert!(!streaming.contains(TransportType::LongPolling));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transports(u8);

impl Transports {
    /// WebSockets (C#: `HttpTransportType.WebSockets`).
    pub const WEB_SOCKETS: Self = Self::only(TransportType::WebSockets);
    /// Server-sent events (C#: `HttpTransportType.ServerSentEvents`).
    pub const SERVER_SENT_EVENTS: Self = Self::only(TransportType::ServerSentEvents);
    /// Long polling (C#: `HttpTransportType.LongPolling`).
    pub const LONG_POLLING: Self = Self::only(TransportType::LongPolling);

    /// Every transport (C#: `HttpTransports.All`).
    pub const fn all() -> Self {
        Self(Self::WEB_SOCKETS.0 | Self::SERVER_SENT_EVENTS.0 | Self::LONG_POLLING.0)
    }

    /// No transport: clients cannot connect (C#: `HttpTransportType.None`).
    pub const fn none() -> Self {
        Self(0)
    }

    /// Returns whether `transport` is in the set.
    pub const fn contains(self, transport: TransportType) -> bool {
        self.0 & Self::only(transport).0 != 0
    }

    const fn only(transport: TransportType) -> Self {
        Self(1 << transport as u8)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = TransportType> {
        TransportType::ALL.into_iter().filter(move |transport| self.contains(*transport))
    }
}

impl Default for Transports {
    fn default() -> Self {
        Self::all()
    }
}

impl From<TransportType> for Transports {
    fn from(transport: TransportType) -> Self {
        Self::only(transport)
    }
}

impl BitOr for Transports {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Transports {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl fmt::Debug for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
