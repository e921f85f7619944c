//! Incoming messages: numbered, and taken in order or kept until they may be taken (see [`hold`](super::hold)).

use std::sync::Arc;
use std::task::Context;

use super::close_reason::CloseReason;
use super::dispatch::Dispatcher;
use super::hold::Hold;
use super::message_sequence::MessageSequence;
use super::receive_buffer::{MessageKind, ReceiveBuffer};
use crate::connections::HttpConnection;
use crate::hub::Hub;
use crate::protocol::{Framer, HubMessage, ProtocolError};
use crate::registry::{ConnectionHandle, Flags};

/// Messages of one connection, from bytes to the dispatcher.
pub(super) struct Intake<'a, H: Hub> {
    pub(super) dispatcher: Dispatcher<'a, H>,
    connection: &'a Arc<ConnectionHandle>,
    entry: &'a HttpConnection,
    framer: Framer,
    backlog: ReceiveBuffer,
    /// For a connection that may resume.
    sequence: Option<Arc<MessageSequence>>,
    /// A fault behind messages that wait. Nothing behind it is looked at.
    failed: Option<Box<ProtocolError>>,
    /// Messages since the task was last polled.
    messages: usize,
}

/// Number of messages after which a task reads no more and lets others run; tokio's budget of one poll has the
/// same size.
const MAX_MESSAGES_PER_POLL: usize = 128;

impl<'a, H: Hub> Intake<'a, H> {
    pub(super) fn new(
        dispatcher: Dispatcher<'a, H>,
        connection: &'a Arc<ConnectionHandle>,
        entry: &'a HttpConnection,
        framer: Framer,
        sequence: Option<Arc<MessageSequence>>,
    ) -> Self {
        let backlog = ReceiveBuffer::default();
        Self { dispatcher, connection, entry, framer, backlog, sequence, failed: None, messages: 0 }
    }

    pub(super) fn can_poll_calls(&self) -> bool {
        self.sequence.is_some()
    }

    /// Continues on a new socket, whose first bytes begin a message.
    pub(super) fn resume(&mut self) {
        self.framer.clear();
        self.dispatcher.reset_turn();
    }

    /// Whether the end of the input would cut a message.
    pub(super) fn is_within_message(&self) -> bool {
        !self.framer.is_empty()
    }

    /// Whether messages wait, or a fault behind them.
    pub(super) fn has_waiting(&self) -> bool {
        !self.backlog.is_empty() || self.failed.is_some()
    }

    pub(super) fn has_waiting_call(&self) -> bool {
        self.backlog.has_call()
    }

    /// Whether no more than this is read ahead of messages that wait. Where an Ack may end the hold, the part of a
    /// message in front of it does not count.
    pub(super) fn is_full(&self, limit: usize) -> bool {
        let part = if self.can_poll_calls() { 0 } else { self.framer.unfinished() };
        self.backlog.len() + part >= limit
    }

    /// The task is polled: it may take its share of messages.
    pub(super) fn begin(&mut self) {
        self.messages = 0;
    }

    /// Whether the task has taken its share.
    pub(super) fn is_spent(&self) -> bool {
        self.messages >= MAX_MESSAGES_PER_POLL
    }

    /// Continues with newer credentials, if there are any, behind the calls that were taken before.
    pub(super) fn refresh(&mut self, cx: &mut Context<'_>) {
        refresh(self.connection, self.entry, &mut self.dispatcher, cx);
    }

    /// Takes the messages that these bytes complete; those that must wait are kept.
    ///
    /// # Errors
    ///
    /// The end of the connection.
    pub(super) fn receive(&mut self, cx: &mut Context<'_>, mut bytes: &[u8]) -> Result<(), CloseReason> {
        if self.failed.is_some() {
            return Ok(());
        }
        let Self { dispatcher, connection, entry, framer, backlog, sequence, .. } = self;
        let failed = loop {
            let frame = match framer.next(&mut bytes) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(error) => break error,
            };
            self.messages += 1;
            // Before each message: a client whose refresh was answered calls with the new credentials.
            refresh(connection, entry, dispatcher, cx);
            let in_order = backlog.is_empty() && dispatcher.hold().is_none();
            if !in_order && sequence.is_none() {
                backlog.push(frame, MessageKind::Other, std::iter::empty());
                continue;
            }
            let lookup = dispatcher.lookup();
            let message = match lookup.parse(frame).and_then(|message| admit(connection, sequence.as_deref(), message))
            {
                Ok(Some(message)) => message,
                Ok(None) => continue,
                Err(error) => break error,
            };
            if in_order {
                dispatcher.take(cx, message, &lookup)?;
            } else {
                let kind = match message {
                    HubMessage::Invocation(_) => MessageKind::Call,
                    HubMessage::CancelInvocation { .. } => MessageKind::Cancellation,
                    _ => MessageKind::Other,
                };
                backlog.push(frame, kind, message.ids());
            }
        };
        if self.backlog.is_empty() && matches!(self.dispatcher.hold(), None | Some(Hold::Acknowledgement)) {
            return Err(CloseReason::Failed(failed));
        }
        self.failed = Some(Box::new(failed));
        Ok(())
    }

    /// Takes messages that waited, until one has to wait again.
    ///
    /// # Errors
    ///
    /// The end of the connection.
    pub(super) fn take_backlog(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        while self.messages < MAX_MESSAGES_PER_POLL {
            self.refresh(cx);
            if self.dispatcher.hold().is_some() {
                return Ok(());
            }
            match self.backlog.first() {
                Some(number) => self.take(cx, number)?,
                None => return self.failed.take().map_or(Ok(()), |failed| Err(CloseReason::Failed(*failed))),
            }
        }
        Ok(())
    }

    /// Whether [`pass`](Self::pass) has something to do.
    pub(super) fn may_pass(&self) -> bool {
        self.first_passing().is_some() || self.failed.is_some() && self.fails_now()
    }

    /// Takes messages that need not wait for the calls in front of them.
    ///
    /// # Errors
    ///
    /// The end of the connection.
    pub(super) fn pass(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        while self.messages < MAX_MESSAGES_PER_POLL {
            match self.first_passing() {
                Some(number) => self.take(cx, number)?,
                None if self.fails_now() => {
                    return self.failed.take().map_or(Ok(()), |failed| Err(CloseReason::Failed(*failed)));
                }
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Number of the first message that may be taken although acknowledgements are missing.
    fn first_passing(&self) -> Option<u64> {
        match self.dispatcher.hold() {
            // In order, a Close message too; behind it nothing follows.
            Some(Hold::Acknowledgement) => self.backlog.first_but_call().or_else(|| self.backlog.first_passing(None)),
            Some(Hold::Call) if self.dispatcher.awaits_acknowledgement() => {
                self.backlog.first_passing(self.dispatcher.waiting_call_id())
            }
            _ => None,
        }
    }

    /// Whether a fault behind the messages that waited ends the connection.
    fn fails_now(&self) -> bool {
        self.backlog.is_empty() && self.dispatcher.hold() == Some(Hold::Acknowledgement)
    }

    /// Takes a message that waited.
    fn take(&mut self, cx: &mut Context<'_>, number: u64) -> Result<(), CloseReason> {
        let Self { dispatcher, connection, backlog, sequence, .. } = self;
        self.messages += 1;
        let lookup = dispatcher.lookup();
        let message = lookup.parse(backlog.frame(number));
        let message = match sequence {
            // It was admitted when it arrived.
            Some(_) => message,
            None => message.and_then(|message| admit(connection, None, message)),
        };
        let message = message.map_err(CloseReason::Failed)?;
        let hashes = message.as_ref().map_or_else(Vec::new, |message| backlog.hashes(message.ids()));
        if let Some(message) = message {
            dispatcher.take(cx, message, &lookup)?;
        }
        backlog.remove(number, &hashes);
        Ok(())
    }
}

fn refresh<H: Hub>(
    connection: &ConnectionHandle,
    entry: &HttpConnection,
    dispatcher: &mut Dispatcher<'_, H>,
    cx: &mut Context<'_>,
) {
    if dispatcher.hold().is_none()
        && connection.take(Flags::REFRESHED)
        && let Some(user) = entry.take_refreshed()
    {
        connection.set_user(user);
        dispatcher.refresh(cx);
    }
}

/// Numbers a message, and deals with those that are about the connection itself. Returns what remains to be taken in
/// order: nothing of a message that came before.
fn admit<'f>(
    connection: &ConnectionHandle,
    sequence: Option<&MessageSequence>,
    message: Option<HubMessage<'f>>,
) -> Result<Option<HubMessage<'f>>, ProtocolError> {
    // A type that is newer than this server is ignored.
    let Some(message) = message else { return Ok(None) };
    if let Some(sequence) = sequence
        && !sequence.receive(&message)
    {
        tracing::trace!(target: "signalr::hub", connection = %connection.id, "repeated message ignored");
        return Ok(None);
    }
    match message {
        HubMessage::Ping => connection.set(Flags::PINGED),
        HubMessage::Ack { sequence_id } => connection.outbound.acknowledge(sequence_id),
        HubMessage::Sequence { sequence_id } => {
            sequence.map_or(Ok(()), |sequence| sequence.resume_from(sequence_id))?;
        }
        message => return Ok(Some(message)),
    }
    Ok(None)
}
