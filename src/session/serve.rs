//! The loop of a connection: read, dispatch, write once a batch.

use std::future::poll_fn;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::call::RunningCall;
use super::close::End;
use super::dispatch::Dispatcher;
use crate::connections::{End as Ended, Incoming, Read};
use crate::hub::{Caller, Hub, HubCore};
use crate::lifetime::{ConnectionHandle, Flags};
use crate::protocol::Framer;

/// The private half of a connection: what its task alone touches.
pub(super) struct Session<'a, H: Hub> {
    connection: &'a Arc<ConnectionHandle>,
    dispatcher: Dispatcher<'a, H>,
    framer: Framer,
    /// What was read and may not be taken yet; nothing more is read meanwhile.
    backlog: Vec<u8>,
}

impl<'a, H: Hub> Session<'a, H> {
    /// `early` came right behind the handshake.
    pub(super) fn new(core: &'a Arc<HubCore<H>>, caller: &'a Caller<H>, early: Vec<u8>) -> Self {
        let format = caller.connection.protocol.format();
        Self {
            connection: &caller.connection,
            dispatcher: Dispatcher::new(core, caller),
            framer: Framer::new(format, core.options.maximum_receive_message_size),
            backlog: early,
        }
    }

    /// Runs until the connection ends; hands back the call that still runs then.
    pub(super) async fn serve(mut self, incoming: &mut Incoming) -> (End, Option<RunningCall>) {
        let end = poll_fn(|cx| self.poll(cx, incoming)).await;
        (end, self.dispatcher.into_running())
    }

    fn poll(&mut self, cx: &mut Context<'_>, incoming: &mut Incoming) -> Poll<End> {
        let outbound = &self.connection.outbound;
        let connected = outbound.begin(cx);
        let end = if connected { self.work(cx, incoming) } else { Poll::Ready(End::InputEnded) };
        outbound.end(cx);
        end
    }

    fn work(&mut self, cx: &mut Context<'_>, incoming: &mut Incoming) -> Poll<End> {
        loop {
            self.dispatcher.poll(cx);
            if let Some(end) = self.signalled() {
                return Poll::Ready(end);
            }
            if self.dispatcher.is_full() {
                // Room made now is worth more than waiting for it.
                self.connection.outbound.checkpoint(cx);
                self.dispatcher.poll(cx);
            }
            if self.dispatcher.is_held() {
                self.connection.set(Flags::PAUSED);
                return Poll::Pending;
            }
            self.connection.take(Flags::PAUSED);
            if !self.backlog.is_empty() {
                let backlog = mem::take(&mut self.backlog);
                if let Err(end) = self.take(cx, &backlog) {
                    return Poll::Ready(end);
                }
                continue;
            }
            match self.read(cx, incoming) {
                Poll::Ready(Ok(())) => self.connection.outbound.checkpoint(cx),
                Poll::Ready(Err(end)) => return Poll::Ready(end),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, incoming: &mut Incoming) -> Poll<Result<(), End>> {
        let mut taken = Ok(());
        let read = incoming.poll_read(cx, &mut |cx, bytes| {
            if taken.is_ok() {
                taken = self.take(cx, bytes);
            }
        });
        let read = ready!(read);
        self.connection.set(Flags::RECEIVED);
        Poll::Ready(taken.and_then(|()| match read {
            Read::Data => Ok(()),
            Read::End(Ended::Broken) => Err(End::broken_transport()),
            Read::End(_) if self.framer.is_empty() && self.backlog.is_empty() => Err(End::InputEnded),
            Read::End(_) => Err(End::unfinished_message()),
        }))
    }

    /// Takes the messages that `input` completes, until one must wait.
    fn take(&mut self, cx: &mut Context<'_>, mut input: &[u8]) -> Result<(), End> {
        while !self.dispatcher.is_held() {
            match self.framer.next(&mut input).map_err(End::Failed)? {
                Some(frame) => self.dispatcher.message(cx, frame)?,
                None => return Ok(()),
            }
        }
        self.backlog.extend_from_slice(input);
        Ok(())
    }

    /// What others did to the connection.
    fn signalled(&self) -> Option<End> {
        let flags = self.connection.flags();
        if flags.has(Flags::ABORTED) {
            Some(End::Aborted)
        } else if flags.has(Flags::SHUTDOWN) {
            Some(End::Shutdown)
        } else if flags.has(Flags::TIMED_OUT) {
            Some(End::TimedOut)
        } else {
            None
        }
    }
}
