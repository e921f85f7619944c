//! Guard that removes a connection from the connection table when its task ends.

use std::future::poll_fn;
use std::sync::Arc;

use super::endpoint::Endpoint;
use super::http_connection::HttpConnection;

/// Removes the connection from the table on drop, also if its task was never polled.
pub(super) struct ConnectionGuard {
    endpoint: Arc<Endpoint>,
    entry: Arc<HttpConnection>,
    at_end: AtEnd,
}

enum AtEnd {
    /// Aborts the transport and removes the connection.
    Cut,
    /// Removes the connection; everything is written.
    Leave,
    /// Retains the connection, so that polls read the remaining messages.
    Stay,
}

impl ConnectionGuard {
    pub(super) fn new(endpoint: &Arc<Endpoint>, entry: &Arc<HttpConnection>) -> Self {
        Self { endpoint: Arc::clone(endpoint), entry: Arc::clone(entry), at_end: AtEnd::Cut }
    }

    pub(super) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    pub(super) fn entry(&self) -> &Arc<HttpConnection> {
        &self.entry
    }

    /// Finishes a streaming transport after the session: its stream ends when everything is
    /// written.
    pub(super) async fn drained(mut self) {
        self.entry.outbound.close();
        poll_fn(|cx| self.entry.outbound.poll_drained(cx)).await;
        self.at_end = AtEnd::Leave;
    }

    /// Finishes a long-polling connection after the session: the next poll reports the end, if one
    /// is expected.
    pub(super) async fn polled(mut self, faulted: bool) {
        let over = self.entry.is_shutting_down() || self.entry.outbound.is_broken();
        let awaited = self.entry.end(faulted) && !over;
        // Wakes a waiting poll, which reports the end.
        self.entry.outbound.close();
        if awaited {
            self.at_end = AtEnd::Stay;
            return;
        }
        // Bounded by the send timeout, which the sweep checks.
        poll_fn(|cx| self.entry.outbound.poll_written(cx)).await;
        self.at_end = AtEnd::Leave;
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        if let AtEnd::Cut = self.at_end {
            self.entry.outbound.abort_transport();
        }
        if !matches!(self.at_end, AtEnd::Stay) {
            self.endpoint.table.release(&self.entry);
        }
    }
}
