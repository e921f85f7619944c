//! Counters of a server.

use crate::pubsub::BackplaneStats;

/// Counters of a server at one moment, returned by [`SignalR::stats`](crate::SignalR::stats), for
/// monitoring and for tests of leaks.
///
/// ```
/// use signalr::SignalR;
///
/// fn is_idle(signalr: &SignalR) -> bool {
///     let stats = signalr.stats();
///     stats.connections == 0 && stats.queued_bytes == 0
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections, from negotiation to disposal.
    pub connections: usize,
    /// Connections that have completed the handshake and receive messages of their hub.
    pub hub_connections: usize,
    /// Groups with at least one member, of all hubs.
    pub groups: usize,
    /// Client results for which the server still waits, of all hubs.
    pub pending_client_results: usize,
    /// Tasks of connections and of method calls, and the tasks of HTTP connections of
    /// [`SignalR::serve`](crate::SignalR::serve).
    pub tasks: usize,
    /// Bytes queued in either direction: not yet written to clients, or not yet read by hubs.
    pub queued_bytes: usize,
    /// Counters of the [backplane](crate::hosting::Builder::backplane); `None` without one.
    pub backplane: Option<BackplaneStats>,
}
