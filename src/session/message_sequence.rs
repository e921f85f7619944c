//! The numbers of what a client sends, where it may go on with another socket (`HubProtocol.md § Stateful Reconnect`).

use std::sync::atomic::{AtomicI64, Ordering};

use crate::protocol::{HubMessage, ProtocolError};

/// Which messages of the client have arrived (`aspnet: MessageBuffer.ShouldProcessMessage`). Only the connection's task
/// counts; the sweep reads what is to be acknowledged.
#[derive(Debug)]
pub(super) struct MessageSequence {
    /// The number of the message that comes next.
    next: AtomicI64,
    /// The highest number that has come, 0 at first.
    highest: AtomicI64,
    /// What the client was told to have come.
    acknowledged: AtomicI64,
}

impl MessageSequence {
    pub(super) fn new() -> Self {
        Self { next: AtomicI64::new(1), highest: AtomicI64::new(0), acknowledged: AtomicI64::new(0) }
    }

    /// Counts a message; `false` if it has come before.
    pub(super) fn receive(&self, message: &HubMessage<'_>) -> bool {
        if !is_counted(message) {
            return true;
        }
        let id = self.next.fetch_add(1, Ordering::AcqRel);
        id > self.highest.fetch_max(id, Ordering::AcqRel)
    }

    /// The client says which number comes next. When it counts from before what it was told to have come, it has not
    /// heard that, and is told again.
    ///
    /// # Errors
    ///
    /// The number is beyond all that has come. One that is only beyond the last Sequence message is fine: the socket
    /// was lost again before the messages behind that came a second time.
    pub(super) fn resume_from(&self, sequence_id: i64) -> Result<(), ProtocolError> {
        if sequence_id.saturating_sub(1) > self.highest.load(Ordering::Acquire) {
            return Err(ProtocolError::new("InvalidOperationException", SEQUENCE_ID_TOO_HIGH));
        }
        self.next.store(sequence_id, Ordering::Release);
        self.acknowledged.fetch_min(sequence_id.saturating_sub(1), Ordering::AcqRel);
        Ok(())
    }

    /// What the client has to be told, if there is news.
    pub(super) fn unacknowledged(&self) -> Option<i64> {
        let latest = self.highest.load(Ordering::Acquire);
        (latest > self.acknowledged.load(Ordering::Acquire).max(0)).then_some(latest)
    }

    /// It was told.
    pub(super) fn acknowledge(&self, sequence_id: i64) {
        self.acknowledged.store(sequence_id, Ordering::Release);
    }
}

fn is_counted(message: &HubMessage<'_>) -> bool {
    match message {
        HubMessage::Invocation(_)
        | HubMessage::StreamItem { .. }
        | HubMessage::Completion { .. }
        | HubMessage::CancelInvocation { .. } => true,
        HubMessage::Ping | HubMessage::Close { .. } | HubMessage::Ack { .. } | HubMessage::Sequence { .. } => false,
    }
}

const SEQUENCE_ID_TOO_HIGH: &str = "Sequence ID greater than amount of messages we've received.";

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> HubMessage<'static> {
        HubMessage::CancelInvocation { id: "1".into() }
    }

    #[test]
    fn messages_that_came_before_are_known() {
        let sequence = MessageSequence::new();
        assert!(sequence.receive(&call()) && sequence.receive(&call()) && sequence.receive(&call()));
        sequence.resume_from(2).unwrap();
        assert!(!sequence.receive(&call()), "2 came before");
        assert!(!sequence.receive(&call()), "3 did, too");
        assert!(sequence.receive(&call()));
        assert_eq!(sequence.unacknowledged(), Some(4));
    }

    #[test]
    fn pings_and_their_like_do_not_count() {
        let sequence = MessageSequence::new();
        for message in [HubMessage::Ping, HubMessage::Ack { sequence_id: 1 }, HubMessage::Sequence { sequence_id: 1 }] {
            assert!(sequence.receive(&message));
        }
        assert_eq!(sequence.unacknowledged(), None);
        assert!(sequence.resume_from(2).is_err());
        assert!(sequence.resume_from(1).is_ok());
    }

    #[test]
    fn what_was_told_in_vain_is_told_again() {
        let sequence = MessageSequence::new();
        sequence.receive(&call());
        sequence.receive(&call());
        sequence.acknowledge(2);
        assert_eq!(sequence.unacknowledged(), None);
        sequence.resume_from(3).unwrap();
        assert_eq!(sequence.unacknowledged(), None, "the client has heard it");
        sequence.resume_from(2).unwrap();
        assert_eq!(sequence.unacknowledged(), Some(2));
    }

    #[test]
    fn a_repetition_that_was_cut_may_continue_anywhere() {
        let sequence = MessageSequence::new();
        assert!(sequence.receive(&call()) && sequence.receive(&call()));
        sequence.resume_from(1).unwrap();
        sequence.resume_from(3).unwrap();
        assert!(sequence.receive(&call()));
        assert!(sequence.resume_from(5).is_err());
    }

    #[test]
    fn numbers_that_make_no_sense_do_no_harm() {
        let sequence = MessageSequence::new();
        for sequence_id in [0, -1, i64::MIN] {
            sequence.resume_from(sequence_id).unwrap();
            assert!(!sequence.receive(&call()), "there is no message {sequence_id}");
            assert_eq!(sequence.unacknowledged(), None);
        }
        assert!(sequence.resume_from(i64::MAX).is_err());
    }
}
