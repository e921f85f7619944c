//! What a server holds, counted.

/// What a server holds at one moment, from [`SignalR::stats`](crate::SignalR::stats): to watch it, and to see that nothing
/// is left behind.
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
    /// Connections from their negotiation to their end.
    pub connections: usize,
    /// Connections that have shaken hands and can be sent to.
    pub hub_connections: usize,
    /// Groups with members, of all hubs.
    pub groups: usize,
    /// Questions to clients that wait for an answer, of all hubs.
    pub pending_client_results: usize,
    /// Tasks of connections and of calls; with [`SignalR::serve`](crate::SignalR::serve) those of HTTP connections, too.
    pub tasks: usize,
    /// Bytes that wait for clients to read them, or for hubs.
    pub queued_bytes: usize,
}
