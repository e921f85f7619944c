//! Calls without a slot, server streams and uploads of one connection.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::hub::{CallState, HubError, UploadSender};

/// Active calls and streams of one connection. The connection task looks them up; each call removes
/// its own entries.
#[derive(Debug, Default)]
pub(super) struct ActiveStreams {
    table: Mutex<StreamTable>,
}

#[derive(Debug, Default)]
struct StreamTable {
    /// Calls that return streams, by invocation id.
    streams: HashMap<Box<str>, Arc<CallState>>,
    /// Calls with one result, by invocation id and number, since several can have the same id.
    /// Ordered, because a client chooses how many there are and which of them it cancels.
    calls: BTreeMap<(Option<Box<str>>, u64), Arc<CallState>>,
    /// Number of the next call in `calls`.
    next_number: u64,
    /// Uploads, by the stream ids that the client chose (`aspnet: StreamTracker.cs`).
    uploads: HashMap<Box<str>, Arc<dyn UploadSender>>,
}

/// Entries of an active call; dropping it removes them.
#[derive(Debug)]
pub(super) struct ActiveStream {
    streams: Arc<ActiveStreams>,
    call: Arc<CallState>,
    /// `None` for a call that returns a stream.
    number: Option<u64>,
    uploads: Vec<(Box<str>, Arc<dyn UploadSender>)>,
}

impl ActiveStreams {
    /// Returns the number of calls that return streams, and of calls with one result.
    pub(super) fn counts(&self) -> (usize, usize) {
        let table = self.table();
        (table.streams.len(), table.calls.len())
    }

    /// Adds a call that returns a stream; `None` if its id is in use.
    pub(super) fn add_stream(self: &Arc<Self>, call: &Arc<CallState>) -> Option<ActiveStream> {
        let id = call.id.clone().unwrap_or_default();
        let mut table = self.table();
        if table.streams.contains_key(&id) {
            return None;
        }
        table.streams.insert(id, Arc::clone(call));
        Some(self.new_stream(call, None))
    }

    /// Adds a call with one result. Its id can be in use (`aspnet: DefaultHubDispatcher.cs`).
    pub(super) fn add_call(self: &Arc<Self>, call: &Arc<CallState>) -> ActiveStream {
        let mut table = self.table();
        let number = table.next_number;
        table.next_number += 1;
        table.calls.insert((call.id.clone(), number), Arc::clone(call));
        self.new_stream(call, Some(number))
    }

    fn new_stream(self: &Arc<Self>, call: &Arc<CallState>, number: Option<u64>) -> ActiveStream {
        ActiveStream { streams: Arc::clone(self), call: Arc::clone(call), number, uploads: Vec::new() }
    }

    /// Cancels the oldest call with this id; an unknown id is ignored.
    pub(super) fn cancel(&self, id: &str) {
        let table = self.table();
        let of_id = || (Some(id.into()), 0)..=(Some(id.into()), u64::MAX);
        let call = table.streams.get(id).or_else(|| table.calls.range(of_id()).next().map(|(_, call)| call));
        let call = call.cloned();
        drop(table);
        if let Some(call) = call {
            call.cancel();
        }
    }

    pub(super) fn upload(&self, id: &str) -> Option<Arc<dyn UploadSender>> {
        self.table().uploads.get(id).cloned()
    }

    /// Removes an upload that the client has completed.
    pub(super) fn take_upload(&self, id: &str) -> Option<Arc<dyn UploadSender>> {
        self.table().uploads.remove(id)
    }

    /// Ends all uploads with an error, because the connection has ended.
    pub(super) fn end_uploads(&self) {
        let uploads = std::mem::take(&mut self.table().uploads);
        for upload in uploads.into_values() {
            upload.finish(Some(canceled("The underlying connection was closed.")));
        }
    }

    fn table(&self) -> MutexGuard<'_, StreamTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ActiveStream {
    /// Adds the uploads of the call. An upload replaces another one with the same id.
    pub(super) fn add_uploads<'a>(
        &mut self,
        ids: impl Iterator<Item = &'a str>,
        uploads: Vec<Arc<dyn UploadSender>>,
        capacity: usize,
    ) {
        for (id, upload) in ids.zip(uploads) {
            upload.set_capacity(capacity);
            let replaced = self.streams.table().uploads.insert(id.into(), Arc::clone(&upload));
            if let Some(replaced) = replaced {
                replaced.finish(Some(canceled("Another stream of the same id took its place.")));
            }
            self.uploads.push((id.into(), upload));
        }
    }
}

fn canceled(text: &'static str) -> HubError {
    HubError::internal(text).with_type_name("OperationCanceledException")
}

impl Drop for ActiveStream {
    fn drop(&mut self) {
        let mut table = self.streams.table();
        match self.number {
            Some(number) => drop(table.calls.remove(&(self.call.id.clone(), number))),
            None => drop(table.streams.remove(self.call.id.as_deref().unwrap_or_default())),
        }
        for (id, upload) in &self.uploads {
            if table.uploads.get(id).is_some_and(|other| Arc::ptr_eq(other, upload)) {
                table.uploads.remove(id);
            }
        }
        if table.streams.is_empty() && table.calls.is_empty() && table.uploads.is_empty() {
            *table = StreamTable::default();
        }
        drop(table);
        for (_, upload) in &self.uploads {
            upload.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancellation_applies_to_the_oldest_active_call_with_its_id() {
        let streams = Arc::new(ActiveStreams::default());
        let calls = [Some("1"), Some("1"), Some("10"), None].map(|id| Arc::new(CallState::new(id)));
        let mut active: Vec<_> = calls.iter().map(|call| streams.add_call(call)).collect();
        let cancelled = || calls.each_ref().map(|call| call.token().is_cancelled());
        streams.cancel("");
        streams.cancel("0");
        assert_eq!(cancelled(), [false; 4]);
        streams.cancel("1");
        streams.cancel("1");
        assert_eq!(cancelled(), [true, false, false, false]);
        drop(active.remove(0));
        streams.cancel("1");
        assert_eq!(cancelled(), [true, true, false, false]);
        drop(active.remove(0));
        streams.cancel("1");
        assert_eq!(cancelled(), [true, true, false, false]);
        assert_eq!(streams.counts(), (0, 2));
    }
}
