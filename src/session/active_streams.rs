//! Calls that run beside the slots of their connection, and the streams that go into them and out of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::hub::{CallState, HubError, UploadSender};

/// What is open on one connection. Its task looks streams up, and each call closes what it had open.
#[derive(Debug, Default)]
pub(super) struct ActiveStreams {
    table: Mutex<StreamTable>,
}

#[derive(Debug, Default)]
struct StreamTable {
    /// By the ids of their invocations.
    streams: HashMap<Box<str>, Arc<CallState>>,
    /// With one answer, by their ids and numbers: several may have one id. A client chooses how many there are and how
    /// many of them it cancels.
    calls: BTreeMap<(Option<Box<str>>, u64), Arc<CallState>>,
    /// The number of the next of them.
    next_number: u64,
    /// By the ids that the client gave them (`aspnet: StreamTracker.cs`).
    uploads: HashMap<Box<str>, Arc<dyn UploadSender>>,
}

/// A call that is open; dropped when it has ended.
#[derive(Debug)]
pub(super) struct ActiveStream {
    streams: Arc<ActiveStreams>,
    call: Arc<CallState>,
    /// Of a call with one answer.
    number: Option<u64>,
    uploads: Vec<(Box<str>, Arc<dyn UploadSender>)>,
}

impl ActiveStreams {
    /// How many calls there are, those that answer with streams and the others.
    pub(super) fn counts(&self) -> (usize, usize) {
        let table = self.table();
        (table.streams.len(), table.calls.len())
    }

    /// Opens a call whose answer is a stream; `None` if there is one of its id.
    pub(super) fn add_stream(self: &Arc<Self>, call: &Arc<CallState>) -> Option<ActiveStream> {
        let id = call.id.clone().unwrap_or_default();
        let mut table = self.table();
        if table.streams.contains_key(&id) {
            return None;
        }
        table.streams.insert(id, Arc::clone(call));
        Some(self.new_stream(call, None))
    }

    /// Opens a call with one answer. It may share its id with others (`aspnet: DefaultHubDispatcher.cs`).
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

    /// Stops a call, the oldest one of its id; an id that is not open is ignored.
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

    /// Takes a stream that the client has ended off the list.
    pub(super) fn take_upload(&self, id: &str) -> Option<Arc<dyn UploadSender>> {
        self.table().uploads.remove(id)
    }

    /// The connection has ended, and with it what it sent.
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
    /// The client sends these with the call. One that has the id of another takes its place.
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
            if table.uploads.get(id).is_some_and(|open| Arc::ptr_eq(open, upload)) {
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
    fn of_calls_with_one_id_the_oldest_open_one_is_cancelled() {
        let open = Arc::new(ActiveStreams::default());
        let calls = [Some("1"), Some("1"), Some("10"), None].map(|id| Arc::new(CallState::new(id)));
        let mut opened: Vec<_> = calls.iter().map(|call| open.add_call(call)).collect();
        let cancelled = || calls.each_ref().map(|call| call.token().is_cancelled());
        open.cancel("");
        open.cancel("0");
        assert_eq!(cancelled(), [false; 4]);
        open.cancel("1");
        open.cancel("1");
        assert_eq!(cancelled(), [true, false, false, false]);
        drop(opened.remove(0));
        open.cancel("1");
        assert_eq!(cancelled(), [true, true, false, false]);
        drop(opened.remove(0));
        open.cancel("1");
        assert_eq!(cancelled(), [true, true, false, false]);
        assert_eq!(open.counts(), (0, 2));
    }
}
