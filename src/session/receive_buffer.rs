//! Messages that were received and may not be taken yet.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

/// Bytes that a waiting message counts in addition to its frame, and so does each id that it names. They
/// stand for what this module keeps of a message, so that many short messages take bounded memory.
const OVERHEAD_BYTES: usize = 64;

/// Number of ids of a message that matter: that of the invocation, and those of the streams of a method
/// with the maximum number of parameters. A call with more streams is refused.
const MAX_NAMED_IDS: usize = 13;

/// Maximum size of gaps between frames, unless the frames take more.
const MAX_GAP_BYTES: usize = 64 * 1024;

/// Waiting messages. Each has a number, and is taken once: as the first of them, or because it may pass
/// those in front of it.
///
/// Each operation takes time in proportion to the frame, besides the logarithm of the number of messages.
#[derive(Default)]
pub(super) struct ReceiveBuffer {
    /// Frames in the order of their arrival, with gaps where messages were taken.
    bytes: Vec<u8>,
    messages: BTreeMap<u64, WaitingMessage>,
    next_number: u64,
    frame_bytes: usize,
    named_ids: usize,
    calls: usize,
    /// Only where messages may pass others.
    index: Option<Box<Index>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageKind {
    Call,
    Cancellation,
    Other,
}

#[derive(Clone, Copy)]
struct WaitingMessage {
    start: usize,
    length: usize,
    kind: MessageKind,
}

/// Which messages name an id. Ids are kept as hashes: two with the same hash only keep a message waiting.
#[derive(Default)]
struct Index {
    hasher: RandomState,
    /// Numbers of messages by the id that they name, in order.
    by_id: HashMap<u64, VecDeque<u64>>,
    /// Messages other than calls behind no other message with their id.
    ready: BTreeSet<u64>,
}

impl ReceiveBuffer {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Size of the waiting messages, in bytes.
    pub(super) fn len(&self) -> usize {
        self.frame_bytes + (self.messages.len() + self.named_ids) * OVERHEAD_BYTES
    }

    pub(super) fn has_call(&self) -> bool {
        self.calls > 0
    }

    /// Appends a message. `ids` are those that it names; none where messages are taken in order only.
    pub(super) fn push<'i>(&mut self, frame: &[u8], kind: MessageKind, ids: impl Iterator<Item = &'i str>) {
        let number = self.next_number;
        self.next_number += 1;
        self.calls += usize::from(kind == MessageKind::Call);
        self.frame_bytes += frame.len();
        self.messages.insert(number, WaitingMessage { start: self.bytes.len(), length: frame.len(), kind });
        self.bytes.extend_from_slice(frame);
        for id in ids.take(MAX_NAMED_IDS) {
            self.named_ids += usize::from(self.index.get_or_insert_default().add(id, number, kind));
        }
    }

    /// Number of the first message.
    pub(super) fn first(&self) -> Option<u64> {
        self.messages.first_key_value().map(|(number, _)| *number)
    }

    /// Number of the first message, unless it is a call.
    pub(super) fn first_but_call(&self) -> Option<u64> {
        let (number, message) = self.messages.first_key_value()?;
        (message.kind != MessageKind::Call).then_some(*number)
    }

    /// Number of the first message that names an id which no message in front of it names, and that is neither
    /// a call nor a cancellation of `running`.
    pub(super) fn first_passing(&self, running: Option<&str>) -> Option<u64> {
        let index = self.index.as_ref()?;
        let cancels = |number: &u64| self.messages[number].kind == MessageKind::Cancellation;
        let blocked = running.and_then(|id| index.first(id)).filter(cancels);
        index.ready.iter().copied().find(|number| Some(*number) != blocked)
    }

    /// Frame of a waiting message.
    pub(super) fn frame(&self, number: u64) -> &[u8] {
        let WaitingMessage { start, length, .. } = self.messages[&number];
        &self.bytes[start..start + length]
    }

    /// Hashes of the ids of a message, for [`remove`](Self::remove).
    pub(super) fn hashes<'i>(&self, ids: impl Iterator<Item = &'i str>) -> Vec<u64> {
        self.index.as_ref().map_or_else(Vec::new, |index| ids.take(MAX_NAMED_IDS).map(|id| index.hash(id)).collect())
    }

    /// Removes a message that was taken. No message in front of it names one of its ids.
    pub(super) fn remove(&mut self, number: u64, hashes: &[u64]) {
        let Some(WaitingMessage { length, kind, .. }) = self.messages.remove(&number) else { return };
        if self.messages.is_empty() {
            *self = Self { next_number: self.next_number, ..Self::default() };
            return;
        }
        self.calls -= usize::from(kind == MessageKind::Call);
        self.frame_bytes -= length;
        if let Some(index) = &mut self.index {
            self.named_ids -= index.remove(number, hashes, &self.messages);
        }
        if self.bytes.len() - self.frame_bytes > MAX_GAP_BYTES.max(self.frame_bytes) {
            self.close_gaps();
        }
    }

    fn close_gaps(&mut self) {
        let mut bytes = Vec::with_capacity(self.frame_bytes);
        for WaitingMessage { start, length, .. } in self.messages.values_mut() {
            let moved = bytes.len();
            bytes.extend_from_slice(&self.bytes[*start..*start + *length]);
            *start = moved;
        }
        self.bytes = bytes;
    }
}

impl Index {
    fn hash(&self, id: &str) -> u64 {
        self.hasher.hash_one(id)
    }

    /// Number of the first message that names this id.
    fn first(&self, id: &str) -> Option<u64> {
        self.by_id.get(&self.hash(id))?.front().copied()
    }

    /// `false` if the message names the id already.
    fn add(&mut self, id: &str, number: u64, kind: MessageKind) -> bool {
        let naming = self.by_id.entry(self.hasher.hash_one(id)).or_default();
        if naming.back() == Some(&number) {
            return false;
        }
        naming.push_back(number);
        if naming.len() == 1 && kind != MessageKind::Call {
            self.ready.insert(number);
        }
        true
    }

    /// Returns the number of ids that the message named.
    fn remove(&mut self, number: u64, hashes: &[u64], messages: &BTreeMap<u64, WaitingMessage>) -> usize {
        self.ready.remove(&number);
        let mut removed = 0;
        for hash in hashes {
            let Some(naming) = self.by_id.get_mut(hash) else { continue };
            if naming.front() != Some(&number) {
                continue;
            }
            naming.pop_front();
            removed += 1;
            match naming.front() {
                Some(next) if messages[next].kind != MessageKind::Call => {
                    self.ready.insert(*next);
                }
                Some(_) => {}
                None => {
                    self.by_id.remove(hash);
                }
            }
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message `kind id..`.
    fn push(buffer: &mut ReceiveBuffer, message: &str) {
        let (kind, ids) = message.split_once(' ').unwrap_or((message, ""));
        let kind = match kind {
            "call" => MessageKind::Call,
            "cancel" => MessageKind::Cancellation,
            _ => MessageKind::Other,
        };
        buffer.push(message.as_bytes(), kind, ids.split_whitespace());
    }

    fn buffer(messages: &[&str]) -> ReceiveBuffer {
        let mut buffer = ReceiveBuffer::default();
        for message in messages {
            push(&mut buffer, message);
        }
        buffer
    }

    fn take(buffer: &mut ReceiveBuffer, number: u64) -> String {
        let frame = String::from_utf8(buffer.frame(number).to_vec()).unwrap();
        let hashes = buffer.hashes(frame.split_whitespace().skip(1));
        buffer.remove(number, &hashes);
        frame
    }

    fn take_first(buffer: &mut ReceiveBuffer) -> Option<String> {
        buffer.first().map(|number| take(buffer, number))
    }

    fn take_passing(buffer: &mut ReceiveBuffer, running: Option<&str>) -> Vec<String> {
        std::iter::from_fn(|| buffer.first_passing(running).map(|number| take(buffer, number))).collect()
    }

    fn rest(mut buffer: ReceiveBuffer) -> Vec<String> {
        std::iter::from_fn(|| take_first(&mut buffer)).collect()
    }

    #[test]
    fn messages_are_taken_in_order() {
        let mut messages = buffer(&["call 1", "", "item 2"]);
        assert!(messages.has_call());
        assert_eq!(take_first(&mut messages).as_deref(), Some("call 1"));
        assert!(!messages.has_call());
        push(&mut messages, "call 3");
        assert_eq!(rest(messages), ["", "item 2", "call 3"]);
    }

    #[test]
    fn items_pass_calls_that_do_not_name_their_stream() {
        let mut messages = buffer(&["item u", "call 1 v", "item v", "item u", "call 2", "item w"]);
        assert_eq!(take_passing(&mut messages, None), ["item u", "item u", "item w"]);
        assert_eq!(rest(messages), ["call 1 v", "item v", "call 2"]);
    }

    #[test]
    fn items_pass_once_the_call_that_names_their_stream_is_taken() {
        let mut messages = buffer(&["call 1 u", "item u", "call 2 u", "item u", "cancel 1"]);
        assert_eq!(take_passing(&mut messages, None), [""; 0]);
        assert_eq!(take_first(&mut messages).as_deref(), Some("call 1 u"));
        assert_eq!(take_passing(&mut messages, None), ["item u", "cancel 1"]);
        assert_eq!(rest(messages), ["call 2 u", "item u"]);
    }

    #[test]
    fn cancellations_of_the_running_call_wait() {
        let mut messages = buffer(&["cancel 1", "cancel 2", "call 3"]);
        assert_eq!(take_passing(&mut messages, Some("1")), ["cancel 2"]);
        assert_eq!(take_passing(&mut messages, None), ["cancel 1"]);
    }

    #[test]
    fn messages_without_ids_pass_nothing() {
        let mut messages = buffer(&["call 1", "close"]);
        assert_eq!((messages.first_passing(None), messages.first_but_call()), (None, None));
        take_first(&mut messages);
        assert_eq!((messages.first_passing(None), messages.first_but_call()), (None, Some(1)));
    }

    #[test]
    fn taken_messages_leave_neither_bytes_nor_ids() {
        let mut messages = buffer(&["call 0"]);
        for number in 1..100_000 {
            push(&mut messages, &format!("call {number} s{number} s{number}"));
            take_first(&mut messages);
            push(&mut messages, &format!("item t{number}"));
            assert_eq!(take_passing(&mut messages, None).len(), 1);
            assert!(messages.index.as_ref().is_some_and(|index| index.by_id.len() <= 2 && index.ready.is_empty()));
            assert!(messages.bytes.len() < 2 * MAX_GAP_BYTES && messages.len() < 1000);
        }
        assert_eq!(rest(messages), ["call 99999 s99999 s99999"]);
    }

    #[test]
    fn empty_buffers_keep_no_memory() {
        let mut messages = buffer(&["call 1", "item u"]);
        take_first(&mut messages);
        take_first(&mut messages);
        assert!(messages.bytes.capacity() == 0 && messages.index.is_none() && messages.len() == 0);
    }
}
