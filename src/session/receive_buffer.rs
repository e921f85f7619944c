//! Messages that were received and may not be taken yet.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::mem;

/// Maximum number of bytes of messages that were taken and not dropped yet.
const MAX_CONSUMED_BYTES: usize = 64 * 1024;

/// In front of each message: its length, and in the highest bit whether it is a call.
const HEADER_BYTES: usize = 8;
const CALL: u64 = 1 << 63;

/// Whole messages that wait, in order.
#[derive(Default)]
pub(super) struct ReceiveBuffer {
    /// Each message behind its header.
    bytes: Vec<u8>,
    /// Where the first message that waits begins.
    consumed: usize,
    /// Where the first message begins that [`pass`](Self::pass) has not examined.
    examined: usize,
    /// Calls that wait.
    calls: usize,
    /// Ids in the examined messages; only while some messages pass others.
    referenced: Option<Box<ReferencedIds>>,
}

/// Ids that messages in front name, by their hashes: two that collide only keep a message waiting.
#[derive(Default)]
pub(super) struct ReferencedIds {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

/// Result of examining a message behind others that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PassResult {
    Taken,
    /// It waits for its turn.
    Kept,
    /// Nothing passes any more; the message is as before.
    Stopped,
}

/// A message of a [`ReceiveBuffer`], in [`ReceiveBuffer::pass`].
pub(super) struct HeldMessage<'a> {
    pub(super) frame: &'a [u8],
    pub(super) is_call: bool,
    /// No message waits in front of it.
    pub(super) is_first: bool,
    pub(super) referenced: &'a mut ReferencedIds,
}

impl ReceiveBuffer {
    pub(super) fn is_empty(&self) -> bool {
        self.consumed == self.bytes.len()
    }

    /// Bytes that wait, headers included.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.consumed
    }

    pub(super) fn has_call(&self) -> bool {
        self.calls > 0
    }

    pub(super) fn has_unexamined(&self) -> bool {
        self.examined < self.bytes.len()
    }

    pub(super) fn push(&mut self, frame: &[u8], is_call: bool) {
        if self.consumed > MAX_CONSUMED_BYTES {
            let consumed = mem::take(&mut self.consumed);
            self.bytes.drain(..consumed);
            self.examined -= consumed;
        }
        let call = if is_call { CALL } else { 0 };
        self.calls += usize::from(is_call);
        self.bytes.extend_from_slice(&(frame.len() as u64 | call).to_ne_bytes());
        self.bytes.extend_from_slice(frame);
    }

    /// Takes the first message.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        let Some((frame, is_call)) = message_at(&self.bytes, self.consumed) else {
            *self = Self::default();
            return None;
        };
        self.calls -= usize::from(is_call);
        self.consumed = frame.end;
        self.examined = self.examined.max(self.consumed);
        Some(&self.bytes[frame])
    }

    /// Shows each message once that was not examined yet, in order, and drops those that `pass` takes.
    ///
    /// # Errors
    ///
    /// The first of `pass`; the messages behind are as before.
    pub(super) fn pass<E>(&mut self, mut pass: impl FnMut(HeldMessage<'_>) -> Result<PassResult, E>) -> Result<(), E> {
        let mut referenced = self.referenced.take().unwrap_or_default();
        // Messages that stay move down over those that are taken.
        let (mut read, mut write) = (self.examined, self.examined);
        let mut passed = Ok(PassResult::Kept);
        while let Some((frame, is_call)) = message_at(&self.bytes, read) {
            let is_first = write == self.consumed;
            passed =
                pass(HeldMessage { frame: &self.bytes[frame.clone()], is_call, is_first, referenced: &mut referenced });
            match passed {
                Ok(PassResult::Taken) => self.calls -= usize::from(is_call),
                Ok(PassResult::Kept) => {
                    self.bytes.copy_within(read..frame.end, write);
                    write += frame.end - read;
                }
                Ok(PassResult::Stopped) | Err(_) => break,
            }
            read = frame.end;
        }
        self.bytes.copy_within(read.., write);
        self.bytes.truncate(self.bytes.len() - (read - write));
        self.examined = write;
        if self.is_empty() {
            *self = Self::default();
        } else {
            self.referenced = Some(referenced);
        }
        passed.map(drop)
    }
}

impl ReferencedIds {
    pub(super) fn add(&mut self, id: &str) {
        self.hashes.insert(self.hasher.hash_one(id));
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.hashes.contains(&self.hasher.hash_one(id))
    }
}

/// The message behind the header at `at`, and whether it is a call; `None` at the end.
fn message_at(bytes: &[u8], at: usize) -> Option<(std::ops::Range<usize>, bool)> {
    let (header, rest) = bytes.get(at..)?.split_first_chunk::<HEADER_BYTES>()?;
    let header = u64::from_ne_bytes(*header);
    // It is there whole, so its length is one of this machine's.
    let length = usize::try_from(header & !CALL).unwrap_or(usize::MAX).min(rest.len());
    let start = at + HEADER_BYTES;
    Some((start..start + length, header & CALL != 0))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn buffer(messages: &[&str]) -> ReceiveBuffer {
        let mut buffer = ReceiveBuffer::default();
        for message in messages {
            buffer.push(message.as_bytes(), message.starts_with("call"));
        }
        buffer
    }

    fn rest(mut buffer: ReceiveBuffer) -> Vec<String> {
        std::iter::from_fn(|| buffer.next().map(|frame| String::from_utf8(frame.to_vec()).unwrap())).collect()
    }

    /// Takes what `taken` allows and keeps the rest; returns what it was shown.
    fn pass(buffer: &mut ReceiveBuffer, taken: impl Fn(&str, bool) -> PassResult) -> Vec<String> {
        let mut shown = Vec::new();
        let Ok(()) = buffer.pass::<Infallible>(|message| {
            let frame = std::str::from_utf8(message.frame).unwrap();
            assert_eq!(message.is_call, frame.starts_with("call"));
            shown.push(frame.to_owned());
            Ok(taken(frame, message.is_first))
        });
        shown
    }

    fn items(frame: &str, _: bool) -> PassResult {
        if frame.starts_with("item") { PassResult::Taken } else { PassResult::Kept }
    }

    #[test]
    fn messages_are_taken_in_order() {
        let mut messages = buffer(&["call 1", "", "item"]);
        assert!(messages.has_call() && !messages.is_empty());
        assert_eq!(messages.next(), Some(&b"call 1"[..]));
        assert!(!messages.has_call());
        messages.push(b"call 2", true);
        assert_eq!(rest(messages), ["", "item", "call 2"]);
    }

    #[test]
    fn items_pass_calls_and_each_message_is_examined_once() {
        let mut messages = buffer(&["item 1", "call 1", "item 2", "completion", "item 3"]);
        assert_eq!(pass(&mut messages, items), ["item 1", "call 1", "item 2", "completion", "item 3"]);
        assert!(!messages.has_unexamined());
        assert_eq!(pass(&mut messages, items), [""; 0]);
        messages.push(b"item 4", false);
        messages.push(b"call 2", true);
        assert!(messages.has_unexamined());
        assert_eq!(pass(&mut messages, items), ["item 4", "call 2"]);
        assert_eq!(rest(messages), ["call 1", "completion", "call 2"]);
    }

    #[test]
    fn a_message_without_others_in_front_is_the_first() {
        let mut messages = buffer(&["item", "other", "other"]);
        assert_eq!(
            pass(&mut messages, |_, is_first| if is_first { PassResult::Taken } else { PassResult::Kept }).len(),
            3
        );
        assert!(messages.is_empty() && messages.bytes.capacity() == 0);
    }

    #[test]
    fn messages_behind_a_stop_are_examined_later() {
        let mut messages = buffer(&["item 1", "call", "stop", "item 2"]);
        let stop = |frame: &str, first| if frame == "stop" { PassResult::Stopped } else { items(frame, first) };
        assert_eq!(pass(&mut messages, stop), ["item 1", "call", "stop"]);
        assert_eq!(messages.next(), Some(&b"call"[..]));
        assert_eq!(pass(&mut messages, items), ["stop", "item 2"]);
        assert_eq!(rest(messages), ["stop"]);
    }

    #[test]
    fn messages_that_were_taken_do_not_stay() {
        let mut messages = ReceiveBuffer::default();
        for _ in 0..10 {
            while messages.len() <= 2 * MAX_CONSUMED_BYTES {
                messages.push(b"call", true);
            }
            pass(&mut messages, items);
            while messages.len() > 12 {
                messages.next();
            }
        }
        assert!(messages.bytes.len() < 4 * MAX_CONSUMED_BYTES);
        assert!(messages.has_call() && !messages.has_unexamined());
        assert_eq!(rest(messages), ["call"]);
    }

    #[test]
    fn named_ids_are_found() {
        let mut referenced = ReferencedIds::default();
        referenced.add("1");
        assert!(referenced.contains("1") && !referenced.contains("2"));
    }
}
