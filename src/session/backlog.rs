//! What was read and may not be taken yet.

use std::mem;

use crate::protocol::Framer;

/// What was taken already is kept in front of the rest until it is so much.
const TAKEN: usize = 64 * 1024;

/// Bytes behind a message that has to wait.
#[derive(Default)]
pub(super) struct Backlog {
    bytes: Vec<u8>,
    /// So much of it is taken already.
    taken: usize,
    ahead: Option<Box<Ahead>>,
}

/// What was looked at ahead of its time.
struct Ahead {
    framer: Framer,
    /// So much of the bytes.
    seen: usize,
    /// Where the last call ends.
    last_call: usize,
}

/// What a message that is seen ahead is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It has to wait.
    Call,
    /// It is dealt with.
    Done,
    Other,
}

impl Backlog {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, taken: 0, ahead: None }
    }

    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        if self.taken > TAKEN {
            let taken = mem::take(&mut self.taken);
            self.bytes.drain(..taken);
            if let Some(ahead) = &mut self.ahead {
                ahead.seen = ahead.seen.saturating_sub(taken);
                ahead.last_call = ahead.last_call.saturating_sub(taken);
            }
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// All but the last `left` bytes are taken.
    pub(super) fn keep(&mut self, left: usize) {
        if left == 0 {
            *self = Self::default();
        } else {
            self.taken = self.bytes.len() - left;
        }
    }

    /// Shows the whole messages that were not shown yet, each once; they stay where they are. Says whether one of them
    /// is dealt with.
    pub(super) fn look_ahead(&mut self, framer: impl FnOnce() -> Framer, mut look: impl FnMut(&[u8]) -> Seen) -> bool {
        let taken = self.taken;
        let ahead =
            self.ahead.get_or_insert_with(|| Box::new(Ahead { framer: framer(), seen: taken, last_call: taken }));
        let mut fresh = &self.bytes[ahead.seen.max(taken)..];
        let mut done = false;
        // A broken message is found again when it is taken.
        while let Ok(Some(frame)) = ahead.framer.next(&mut fresh) {
            match look(frame) {
                Seen::Call => ahead.last_call = self.bytes.len() - fresh.len(),
                Seen::Done => done = true,
                Seen::Other => {}
            }
        }
        ahead.seen = self.bytes.len();
        done
    }

    /// Whether a call was seen that has not been taken.
    pub(super) fn has_call(&self) -> bool {
        self.ahead.as_ref().is_some_and(|ahead| ahead.last_call > self.taken)
    }

    /// Drops the beginning of a message whose end will never come.
    pub(super) fn cut(&mut self, framer: impl FnOnce() -> Framer) {
        if self.rest().is_empty() {
            return;
        }
        self.look_ahead(framer, |_| Seen::Other);
        // What is left is looked at anew.
        if let Some(ahead) = self.ahead.take() {
            let whole = self.bytes.len() - ahead.framer.unfinished();
            self.bytes.truncate(whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Format;

    fn framer() -> Framer {
        Framer::new(Format::Json, Some(100))
    }

    fn seen(backlog: &mut Backlog) -> Vec<String> {
        let mut seen = Vec::new();
        backlog.look_ahead(framer, |frame| {
            seen.push(String::from_utf8(frame.to_vec()).unwrap());
            if frame.starts_with(b"call") { Seen::Call } else { Seen::Other }
        });
        seen
    }

    #[test]
    fn messages_are_shown_once_and_stay() {
        let mut backlog = Backlog::new(b"taken\x1ecall 1\x1eack".to_vec());
        backlog.keep(10);
        assert_eq!(seen(&mut backlog), ["call 1"]);
        assert!(backlog.has_call());
        backlog.add(b" 2\x1eping\x1eca");
        assert_eq!(seen(&mut backlog), ["ack 2", "ping"]);
        assert_eq!(seen(&mut backlog), [""; 0]);
        assert_eq!(backlog.rest(), b"call 1\x1eack 2\x1eping\x1eca");
        backlog.keep(13);
        assert!(!backlog.has_call());
        backlog.add(b"ll 2\x1e");
        assert_eq!(seen(&mut backlog), ["call 2"]);
        assert!(backlog.has_call());
    }

    #[test]
    fn what_is_taken_long_since_is_forgotten_and_the_places_move_with_it() {
        let mut backlog = Backlog::new(Vec::new());
        while backlog.rest().len() <= TAKEN + 5 {
            backlog.add(b"call\x1e");
        }
        assert!(seen(&mut backlog).len() > TAKEN / 5);
        backlog.keep(5);
        backlog.add(b"ping\x1ecall");
        assert_eq!(backlog.bytes.len(), 14);
        assert!(backlog.has_call());
        assert_eq!(seen(&mut backlog), ["ping"]);
        backlog.keep(9);
        assert!(!backlog.has_call());
    }

    #[test]
    fn half_a_message_is_cut_off() {
        let mut backlog = Backlog::new(b"one\x1etw".to_vec());
        backlog.cut(framer);
        assert_eq!(backlog.rest(), b"one\x1e");
        backlog.add(b"two\x1ethr");
        assert_eq!(seen(&mut backlog), ["one", "two"]);
        backlog.cut(framer);
        backlog.add(b"three\x1e");
        assert_eq!(backlog.rest(), b"one\x1etwo\x1ethree\x1e");
        let mut empty = Backlog::default();
        empty.cut(framer);
        assert_eq!(empty.rest(), b"");
    }
}
