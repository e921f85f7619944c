//! What a connection's task holds: its place on the table.

use std::future::poll_fn;
use std::sync::Arc;

use super::endpoint::Endpoint;
use super::http_connection::HttpConnection;

/// A connection on the table, which it leaves however its task ends, also when that never starts.
pub(super) struct ConnectionGuard {
    endpoint: Arc<Endpoint>,
    entry: Arc<HttpConnection>,
    at_end: AtEnd,
}

enum AtEnd {
    /// It is cut.
    Cut,
    /// All of it is written.
    Leave,
    /// Polls fetch what is left.
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

    /// The connection was served; its stream ends once everything is written.
    pub(super) async fn drained(mut self) {
        self.entry.outbound.close();
        poll_fn(|cx| self.entry.outbound.poll_drained(cx)).await;
        self.at_end = AtEnd::Leave;
    }

    /// The connection was served; further polls are told so, if there are any.
    pub(super) async fn polled(mut self, faulted: bool) {
        let over = self.entry.is_shutting_down() || self.entry.outbound.is_broken();
        let awaited = self.entry.end(faulted) && !over;
        // A poll that waits looks at how it ended.
        self.entry.outbound.close();
        if awaited {
            self.at_end = AtEnd::Stay;
            return;
        }
        // The sweep sees to it that an answer which is under way is read.
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
