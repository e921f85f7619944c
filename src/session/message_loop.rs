//! Message loop of a connection: read, dispatch, write once for each batch.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::call::RunningCall;
use super::close_reason::CloseReason;
use super::dispatch::Dispatcher;
use super::hold::Hold;
use super::intake::Intake;
use super::message_sequence::MessageSequence;
use crate::connections::{HttpConnection, Read, TransportEnd, TransportInput};
use crate::hub::{Caller, Hub, HubRuntime};
use crate::protocol::Framer;
use crate::registry::{ConnectionHandle, Flags};

/// State of a connection that only its task uses.
pub(super) struct Session<'a, H: Hub> {
    connection: &'a Arc<ConnectionHandle>,
    intake: Intake<'a, H>,
    /// Maximum number of bytes of waiting messages; with more, the socket is not read (C#:
    /// `ApplicationMaxBufferSize`).
    read_ahead: usize,
    /// The input has ended while messages waited.
    input_ended: bool,
}

impl<'a, H: Hub> Session<'a, H> {
    pub(super) fn new(
        runtime: &'a Arc<HubRuntime<H>>,
        caller: &'a Caller<H>,
        entry: &'a HttpConnection,
        sequence: Option<Arc<MessageSequence>>,
    ) -> Self {
        let connection = caller.connection();
        let framer = Framer::new(connection.protocol.kind(), runtime.options.maximum_receive_message_size);
        let intake = Intake::new(Dispatcher::new(runtime, caller), connection, entry, framer, sequence);
        Self { connection, intake, read_ahead: entry.read_ahead_limit(), input_ended: false }
    }

    /// Runs until the connection ends, and returns the reason.
    ///
    /// Takes the session by reference, because a future that owned it would store it twice.
    pub(super) fn serve(&mut self, incoming: &mut TransportInput) -> impl Future<Output = CloseReason> {
        poll_fn(|cx| self.poll(cx, incoming))
    }

    /// Returns the call that is still running when the connection has ended.
    pub(super) fn into_running_call(mut self) -> Option<RunningCall> {
        self.intake.dispatcher.take_running()
    }

    fn poll(&mut self, cx: &mut Context<'_>, incoming: &mut TransportInput) -> Poll<CloseReason> {
        let outbound = &self.connection.outbound;
        let connected = outbound.begin_batch(cx);
        self.intake.reset_budget();
        if connected && self.intake.supports_reconnect() {
            self.resume(cx, incoming);
        }
        let end = if connected { self.poll_messages(cx, incoming) } else { Poll::Ready(CloseReason::InputEnded) };
        outbound.end_batch(cx);
        end
    }

    /// Continues on a new socket if the client has reconnected.
    fn resume(&mut self, cx: &mut Context<'_>, incoming: &mut TransportInput) {
        if let Some(request) = incoming.resume(cx) {
            tracing::debug!(target: "signalr::connection", connection = %self.connection.id, "connection resumed");
            self.connection.set_request(request);
            self.intake.resume();
        }
    }

    fn poll_messages(&mut self, cx: &mut Context<'_>, incoming: &mut TransportInput) -> Poll<CloseReason> {
        loop {
            self.intake.dispatcher.poll(cx);
            self.intake.refresh(cx);
            if let Some(end) = CloseReason::requested(self.connection) {
                return Poll::Ready(end);
            }
            if self.intake.dispatcher.hold() == Some(Hold::Capacity) {
                // One write can free capacity at once, without waiting for the socket.
                self.connection.outbound.flush_batch(cx);
                self.intake.dispatcher.poll(cx);
            }
            if self.intake.has_used_budget() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let hold = self.intake.dispatcher.hold();
            let taken = match hold {
                None if self.intake.has_buffered() => self.intake.take_buffered(cx),
                Some(_) if self.intake.may_pass() => self.intake.pass(cx),
                _ => ready!(self.read(cx, incoming, hold)),
            };
            if let Err(end) = taken {
                return Poll::Ready(end);
            }
            self.connection.outbound.flush_batch(cx);
        }
    }

    /// Reads once. While messages wait, the transport is read ahead, so that its own pings and
    /// close frames are answered.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        incoming: &mut TransportInput,
        hold: Option<Hold>,
    ) -> Poll<Result<(), CloseReason>> {
        if hold == Some(Hold::Acknowledgement) && self.intake.has_buffered_call() {
            self.connection.outbound.mark_call_waiting();
        }
        let reads = hold.is_none() || !self.input_ended && !self.intake.is_full(self.read_ahead);
        if reads && matches!(hold, None | Some(Hold::Acknowledgement)) {
            self.connection.take(Flags::PAUSED);
        } else {
            self.connection.set(Flags::PAUSED);
        }
        if !reads {
            return Poll::Pending;
        }
        let mut taken = Ok(());
        let mut take = |cx: &mut Context<'_>, bytes: &[u8]| {
            if taken.is_ok() {
                taken = self.intake.receive(cx, bytes);
            }
        };
        let read = ready!(match hold {
            None => incoming.poll_read(cx, &mut take),
            Some(_) => incoming.poll_ahead(cx, &mut take),
        });
        taken?;
        self.connection.set(Flags::RECEIVED);
        let Read::End(ended) = read else { return Poll::Ready(Ok(())) };
        if hold.is_some() {
            self.input_ended = true;
            // Lets methods stop their work. As in ASP.NET Core, messages that arrived earlier are
            // still dispatched.
            self.connection.cancel();
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(match ended {
            // The end is read again after these messages.
            _ if self.intake.has_buffered() || self.intake.dispatcher.hold().is_some() => Ok(()),
            TransportEnd::Broken => Err(CloseReason::transport_error()),
            _ if self.intake.is_within_message() => Err(CloseReason::unfinished_message()),
            _ => Err(CloseReason::InputEnded),
        })
    }
}
