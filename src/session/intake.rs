//! Intake of messages: numbers them, and dispatches them in order or buffers them (see
//! [`hold`](super::hold)).

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

/// Received messages of one connection, from bytes to the dispatcher.
pub(super) struct Intake<'a, H: Hub> {
    pub(super) dispatcher: Dispatcher<'a, H>,
    connection: &'a Arc<ConnectionHandle>,
    entry: &'a HttpConnection,
    framer: Framer,
    buffer: ReceiveBuffer,
    /// Set for a connection with stateful reconnect.
    sequence: Option<Arc<MessageSequence>>,
    /// Error behind the buffered messages. Later bytes are ignored.
    pending_error: Option<Box<ProtocolError>>,
    /// Messages since the connection task was last polled.
    messages_this_poll: usize,
}

/// Number of messages after which the connection task stops reading and yields; tokio's budget of
/// one poll has the same size.
const MAX_MESSAGES_PER_POLL: usize = 128;

impl<'a, H: Hub> Intake<'a, H> {
    pub(super) fn new(
        dispatcher: Dispatcher<'a, H>,
        connection: &'a Arc<ConnectionHandle>,
        entry: &'a HttpConnection,
        framer: Framer,
        sequence: Option<Arc<MessageSequence>>,
    ) -> Self {
        let buffer = ReceiveBuffer::default();
        Self { dispatcher, connection, entry, framer, buffer, sequence, pending_error: None, messages_this_poll: 0 }
    }

    pub(super) fn supports_reconnect(&self) -> bool {
        self.sequence.is_some()
    }

    /// Prepares for a new socket, whose first bytes begin a message.
    pub(super) fn resume(&mut self) {
        self.framer.clear();
        self.dispatcher.refresh_caller();
    }

    /// Returns whether the input ends within a message.
    pub(super) fn is_within_message(&self) -> bool {
        !self.framer.is_empty()
    }

    /// Returns whether messages are buffered, or an error behind them.
    pub(super) fn has_buffered(&self) -> bool {
        !self.buffer.is_empty() || self.pending_error.is_some()
    }

    pub(super) fn has_buffered_call(&self) -> bool {
        self.buffer.has_call()
    }

    /// Returns whether the buffered bytes reach `limit`. With stateful reconnect an incomplete
    /// message does not count, because the Ack that ends the hold can follow it.
    pub(super) fn is_full(&self, limit: usize) -> bool {
        let part = if self.supports_reconnect() { 0 } else { self.framer.unfinished() };
        self.buffer.len() + part >= limit
    }

    /// Starts a new budget of messages, when the task is polled.
    pub(super) fn reset_budget(&mut self) {
        self.messages_this_poll = 0;
    }

    /// Returns whether the task has used its budget.
    pub(super) fn has_used_budget(&self) -> bool {
        self.messages_this_poll >= MAX_MESSAGES_PER_POLL
    }

    /// Applies refreshed credentials, behind the calls that were dispatched before.
    pub(super) fn refresh(&mut self, cx: &mut Context<'_>) {
        refresh(self.connection, self.entry, &mut self.dispatcher, cx);
    }

    /// Dispatches the messages that these bytes complete, or buffers them.
    ///
    /// # Errors
    ///
    /// Returns the reason why the connection ends.
    pub(super) fn receive(&mut self, cx: &mut Context<'_>, mut bytes: &[u8]) -> Result<(), CloseReason> {
        if self.pending_error.is_some() {
            return Ok(());
        }
        let Self { dispatcher, connection, entry, framer, buffer, sequence, .. } = self;
        let error = loop {
            let frame = match framer.next(&mut bytes) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(error) => break error,
            };
            self.messages_this_poll += 1;
            // Checked before each message: once a refresh has completed, the next call of the
            // client uses the new credentials.
            refresh(connection, entry, dispatcher, cx);
            let in_order = buffer.is_empty() && dispatcher.hold().is_none();
            if !in_order && sequence.is_none() {
                buffer.push(frame, MessageKind::Other, std::iter::empty());
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
                buffer.push(frame, kind, message.ids());
            }
        };
        if self.buffer.is_empty() && matches!(self.dispatcher.hold(), None | Some(Hold::Acknowledgement)) {
            return Err(CloseReason::Failed(error));
        }
        self.pending_error = Some(Box::new(error));
        Ok(())
    }

    /// Dispatches buffered messages in order, until a hold begins.
    ///
    /// # Errors
    ///
    /// Returns the reason why the connection ends.
    pub(super) fn take_buffered(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        while self.messages_this_poll < MAX_MESSAGES_PER_POLL {
            self.refresh(cx);
            if self.dispatcher.hold().is_some() {
                return Ok(());
            }
            match self.buffer.first() {
                Some(number) => self.take(cx, number)?,
                None => return self.report_pending_error(),
            }
        }
        Ok(())
    }

    /// Returns whether [`pass`](Self::pass) has messages to dispatch, or an error to report.
    pub(super) fn may_pass(&self) -> bool {
        self.first_passing().is_some() || self.is_pending_error_due()
    }

    /// Dispatches messages that can pass the calls in front of them.
    ///
    /// # Errors
    ///
    /// Returns the reason why the connection ends.
    pub(super) fn pass(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        while self.messages_this_poll < MAX_MESSAGES_PER_POLL {
            match self.first_passing() {
                Some(number) => self.take(cx, number)?,
                None if self.is_pending_error_due() => return self.report_pending_error(),
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Returns the number of the first message that can be dispatched although acknowledgements are
    /// missing.
    fn first_passing(&self) -> Option<u64> {
        match self.dispatcher.hold() {
            // In order if possible, which includes a Close message; no message follows a Close
            // message.
            Some(Hold::Acknowledgement) => self.buffer.first_unless_call().or_else(|| self.buffer.first_passing(None)),
            Some(Hold::Call) if self.dispatcher.awaits_acknowledgement() => {
                self.buffer.first_passing(self.dispatcher.waiting_call_id())
            }
            _ => None,
        }
    }

    /// Returns whether a pending error ends the connection although acknowledgements are missing.
    fn is_pending_error_due(&self) -> bool {
        self.pending_error.is_some() && self.buffer.is_empty() && self.dispatcher.hold() == Some(Hold::Acknowledgement)
    }

    /// Ends the connection if an error is pending.
    fn report_pending_error(&mut self) -> Result<(), CloseReason> {
        self.pending_error.take().map_or(Ok(()), |error| Err(CloseReason::Failed(*error)))
    }

    /// Dispatches a buffered message.
    fn take(&mut self, cx: &mut Context<'_>, number: u64) -> Result<(), CloseReason> {
        let Self { dispatcher, connection, buffer, sequence, .. } = self;
        self.messages_this_poll += 1;
        let lookup = dispatcher.lookup();
        let message = lookup.parse(buffer.frame(number));
        let message = match sequence {
            // It was numbered when it arrived.
            Some(_) => message,
            None => message.and_then(|message| admit(connection, None, message)),
        };
        let message = message.map_err(CloseReason::Failed)?;
        let hashes = message.as_ref().map_or_else(Vec::new, |message| buffer.hashes(message.ids()));
        if let Some(message) = message {
            dispatcher.take(cx, message, &lookup)?;
        }
        buffer.remove(number, &hashes);
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
        dispatcher.refresh_user(cx);
    }
}

/// Numbers a message, and handles it if it concerns the connection itself. Returns the message if
/// it has to be dispatched; repeated messages are dropped.
fn admit<'f>(
    connection: &ConnectionHandle,
    sequence: Option<&MessageSequence>,
    message: Option<HubMessage<'f>>,
) -> Result<Option<HubMessage<'f>>, ProtocolError> {
    // Message types of later protocol versions are ignored.
    let Some(message) = message else { return Ok(None) };
    if let Some(sequence) = sequence
        && !sequence.receive(&message)
    {
        tracing::trace!(target: "signalr::hub", connection = %connection.id, "duplicate message ignored");
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
