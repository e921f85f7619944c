//! Buffer of messages that were received and are not dispatched yet.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

/// Bytes that each buffered message, and each id in it, counts in addition to its frame. They cover
/// the bookkeeping of this module, so that many short messages take bounded memory.
const OVERHEAD_BYTES: usize = 64;

/// Maximum number of ids of a message that are indexed: the invocation id, and the stream ids of a
/// method with the maximum number of parameters. A call with more streams is rejected.
const MAX_NAMED_IDS: usize = 13;

/// Maximum size of the gaps between frames, in bytes; larger frames allow larger gaps.
const MAX_GAP_BYTES: usize = 64 * 1024;

/// Buffered messages. Each message has a number and is removed once: as the first message, or
/// because it can pass the messages in front of it.
///
/// The time of each operation is proportional to the frame, plus the logarithm of the number of
/// messages.
#[derive(Default)]
pub(super) struct ReceiveBuffer {
    /// Frames in the order of arrival, with gaps where messages were removed.
    bytes: Vec<u8>,
    messages: BTreeMap<u64, WaitingMessage>,
    next_number: u64,
    frame_bytes: usize,
    named_ids: usize,
    calls: usize,
    /// Set only if messages can pass others.
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

/// Index of messages by the ids that they name. Ids are stored as hashes: a collision can only
/// delay a message.
#[derive(Default)]
struct Index {
    hasher: RandomState,
    /// Numbers of messages by id, in order.
    by_id: HashMap<u64, VecDeque<u64>>,
    /// Messages other than calls that are the first with one of their ids.
    ready: BTreeSet<u64>,
}

impl ReceiveBuffer {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Returns the size of the buffered messages, in bytes.
    pub(super) fn len(&self) -> usize {
        self.frame_bytes + (self.messages.len() + self.named_ids) * OVERHEAD_BYTES
    }

    pub(super) fn has_call(&self) -> bool {
        self.calls > 0
    }

    /// Appends a message. `ids` are the ids that it names; empty if messages are only dispatched in
    /// order.
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

    /// Returns the number of the first message.
    pub(super) fn first(&self) -> Option<u64> {
        self.messages.first_key_value().map(|(number, _)| *number)
    }

    /// Returns the number of the first message, unless it is a call.
    pub(super) fn first_unless_call(&self) -> Option<u64> {
        let (number, message) = self.messages.first_key_value()?;
        (message.kind != MessageKind::Call).then_some(*number)
    }

    /// Returns the number of the first message that can pass: it names an id that no message in
    /// front of it names, and is neither a call nor a cancellation of `waiting_call`.
    pub(super) fn first_passing(&self, waiting_call: Option<&str>) -> Option<u64> {
        let index = self.index.as_ref()?;
        let cancels = |number: &u64| self.messages[number].kind == MessageKind::Cancellation;
        let blocked = waiting_call.and_then(|id| index.first(id)).filter(cancels);
        index.ready.iter().copied().find(|number| Some(*number) != blocked)
    }

    /// Returns the frame of a message.
    pub(super) fn frame(&self, number: u64) -> &[u8] {
        let WaitingMessage { start, length, .. } = self.messages[&number];
        &self.bytes[start..start + length]
    }

    /// Returns the hashes of the ids of a message, for [`remove`](Self::remove).
    pub(super) fn hashes<'i>(&self, ids: impl Iterator<Item = &'i str>) -> Vec<u64> {
        self.index.as_ref().map_or_else(Vec::new, |index| ids.take(MAX_NAMED_IDS).map(|id| index.hash(id)).collect())
    }

    /// Removes a dispatched message. No message in front of it names one of its ids.
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

    /// Returns the number of the first message that names this id.
    fn first(&self, id: &str) -> Option<u64> {
        self.by_id.get(&self.hash(id))?.front().copied()
    }

    /// Adds an id of a message. Returns `false` if the message has already named the id.
    fn add(&mut self, id: &str, number: u64, kind: MessageKind) -> bool {
        let hash = self.hash(id);
        let numbers = self.by_id.entry(hash).or_default();
        if numbers.back() == Some(&number) {
            return false;
        }
        numbers.push_back(number);
        if numbers.len() == 1 && kind != MessageKind::Call {
            self.ready.insert(number);
        }
        true
    }

    /// Removes a message and returns the number of ids that it named.
    fn remove(&mut self, number: u64, hashes: &[u64], messages: &BTreeMap<u64, WaitingMessage>) -> usize {
        self.ready.remove(&number);
        let mut removed = 0;
        for hash in hashes {
            let Some(numbers) = self.by_id.get_mut(hash) else { continue };
            if numbers.front() != Some(&number) {
                continue;
            }
            numbers.pop_front();
            removed += 1;
            match numbers.front() {
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

    /// Pushes a message given as `kind id..`.
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

    fn take_passing(buffer: &mut ReceiveBuffer, waiting_call: Option<&str>) -> Vec<String> {
        std::iter::from_fn(|| buffer.first_passing(waiting_call).map(|number| take(buffer, number))).collect()
    }

    fn rest(mut buffer: ReceiveBuffer) -> Vec<String> {
        std::iter::from_fn(|| take_first(&mut buffer)).collect()
    }

    #[test]
    fn first_messages_are_taken_in_order() {
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
    fn items_pass_after_the_call_that_names_their_stream_is_taken() {
        let mut messages = buffer(&["call 1 u", "item u", "call 2 u", "item u", "cancel 1"]);
        assert_eq!(take_passing(&mut messages, None), [""; 0]);
        assert_eq!(take_first(&mut messages).as_deref(), Some("call 1 u"));
        assert_eq!(take_passing(&mut messages, None), ["item u", "cancel 1"]);
        assert_eq!(rest(messages), ["call 2 u", "item u"]);
    }

    #[test]
    fn cancellations_of_the_waiting_call_do_not_pass() {
        let mut messages = buffer(&["cancel 1", "cancel 2", "call 3"]);
        assert_eq!(take_passing(&mut messages, Some("1")), ["cancel 2"]);
        assert_eq!(take_passing(&mut messages, None), ["cancel 1"]);
    }

    #[test]
    fn messages_without_ids_pass_nothing() {
        let mut messages = buffer(&["call 1", "close"]);
        assert_eq!((messages.first_passing(None), messages.first_unless_call()), (None, None));
        take_first(&mut messages);
        assert_eq!((messages.first_passing(None), messages.first_unless_call()), (None, Some(1)));
    }

    #[test]
    fn removed_messages_leave_neither_bytes_nor_ids() {
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
        assert!(messages.bytes.capacity() == 0 && messages.index.is_none() && messages.is_empty());
    }
}
