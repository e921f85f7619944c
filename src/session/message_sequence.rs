//! Sequence numbers of the messages of a client with stateful reconnect (`HubProtocol.md § Stateful
//! Reconnect`).

use std::sync::atomic::{AtomicI64, Ordering};

use crate::protocol::{HubMessage, ProtocolError};

/// Tracks the received messages (`aspnet: MessageBuffer.ShouldProcessMessage`). Only the connection
/// task writes `next` and `highest`; a tick reads the number to acknowledge.
#[derive(Debug)]
pub(super) struct MessageSequence {
    /// Number of the next message.
    next: AtomicI64,
    /// Highest number received; initially 0.
    highest: AtomicI64,
    /// Number in the last Ack; lowered if that Ack was lost.
    acknowledged: AtomicI64,
}

impl MessageSequence {
    pub(super) fn new() -> Self {
        Self { next: AtomicI64::new(1), highest: AtomicI64::new(0), acknowledged: AtomicI64::new(0) }
    }

    /// Counts a message. Returns `false` for a message that was received before.
    pub(super) fn receive(&self, message: &HubMessage<'_>) -> bool {
        if !is_counted(message) {
            return true;
        }
        let id = self.next.fetch_add(1, Ordering::AcqRel);
        id > self.highest.fetch_max(id, Ordering::AcqRel)
    }

    /// Sets the number of the next message, on a Sequence message. If that number is not above the
    /// last acknowledged one, the client has not received the Ack, which is then sent again.
    ///
    /// # Errors
    ///
    /// Fails if the number is above that of the next new message. A number above the last Sequence
    /// message is valid: the socket was lost again before the client had repeated its messages.
    pub(super) fn resume_from(&self, sequence_id: i64) -> Result<(), ProtocolError> {
        if sequence_id.saturating_sub(1) > self.highest.load(Ordering::Acquire) {
            return Err(ProtocolError::new("InvalidOperationException", SEQUENCE_ID_TOO_HIGH));
        }
        self.next.store(sequence_id, Ordering::Release);
        self.acknowledged.fetch_min(sequence_id.saturating_sub(1), Ordering::AcqRel);
        Ok(())
    }

    /// Returns the number to acknowledge, if it is new.
    pub(super) fn unacknowledged(&self) -> Option<i64> {
        let latest = self.highest.load(Ordering::Acquire);
        (latest > self.acknowledged.load(Ordering::Acquire).max(0)).then_some(latest)
    }

    /// Records that an Ack was queued.
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
    fn repeated_messages_are_detected() {
        let sequence = MessageSequence::new();
        assert!(sequence.receive(&call()) && sequence.receive(&call()) && sequence.receive(&call()));
        sequence.resume_from(2).unwrap();
        assert!(!sequence.receive(&call()), "2 is repeated");
        assert!(!sequence.receive(&call()), "3 is repeated");
        assert!(sequence.receive(&call()));
        assert_eq!(sequence.unacknowledged(), Some(4));
    }

    #[test]
    fn pings_acks_and_sequence_messages_are_not_numbered() {
        let sequence = MessageSequence::new();
        for message in [HubMessage::Ping, HubMessage::Ack { sequence_id: 1 }, HubMessage::Sequence { sequence_id: 1 }] {
            assert!(sequence.receive(&message));
        }
        assert_eq!(sequence.unacknowledged(), None);
        assert!(sequence.resume_from(2).is_err());
        assert!(sequence.resume_from(1).is_ok());
    }

    #[test]
    fn lost_acknowledgements_are_sent_again() {
        let sequence = MessageSequence::new();
        sequence.receive(&call());
        sequence.receive(&call());
        sequence.acknowledge(2);
        assert_eq!(sequence.unacknowledged(), None);
        sequence.resume_from(3).unwrap();
        assert_eq!(sequence.unacknowledged(), None, "the client has received the Ack");
        sequence.resume_from(2).unwrap();
        assert_eq!(sequence.unacknowledged(), Some(2));
    }

    #[test]
    fn interrupted_repetition_can_continue_at_any_received_message() {
        let sequence = MessageSequence::new();
        assert!(sequence.receive(&call()) && sequence.receive(&call()));
        sequence.resume_from(1).unwrap();
        sequence.resume_from(3).unwrap();
        assert!(sequence.receive(&call()));
        assert!(sequence.resume_from(5).is_err());
    }

    #[test]
    fn invalid_sequence_ids_are_harmless() {
        let sequence = MessageSequence::new();
        for sequence_id in [0, -1, i64::MIN] {
            sequence.resume_from(sequence_id).unwrap();
            assert!(!sequence.receive(&call()), "there is no message {sequence_id}");
            assert_eq!(sequence.unacknowledged(), None);
        }
        assert!(sequence.resume_from(i64::MAX).is_err());
    }
}
