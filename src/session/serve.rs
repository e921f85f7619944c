//! The loop of a connection: read, dispatch, write once a batch.

use std::future::poll_fn;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::backlog::{Backlog, Seen};
use super::call::RunningCall;
use super::close::End;
use super::dispatch::Dispatcher;
use super::sequence::Sequence;
use crate::connections::{End as Ended, Entry, Incoming, Read};
use crate::hub::{Caller, Hub, HubCore};
use crate::lifetime::{ConnectionHandle, Flags};
use crate::protocol::{Framer, HubMessage};

/// The private half of a connection: what its task alone touches.
pub(super) struct Session<'a, H: Hub> {
    connection: &'a Arc<ConnectionHandle>,
    entry: &'a Entry,
    dispatcher: Dispatcher<'a, H>,
    framer: Framer,
    backlog: Backlog,
    /// So much is read ahead of a call that waits (ASP.NET: `ApplicationMaxBufferSize`); then the client has to wait, too.
    read_ahead: usize,
    /// The client's end was heard while a call waited.
    input_ended: bool,
}

impl<'a, H: Hub> Session<'a, H> {
    /// `early` came right behind the handshake.
    pub(super) fn new(
        core: &'a Arc<HubCore<H>>,
        caller: &'a Caller<H>,
        entry: &'a Entry,
        sequence: Option<Arc<Sequence>>,
        (early, read_ahead): (Vec<u8>, usize),
    ) -> Self {
        let limit = core.options.maximum_receive_message_size;
        Self {
            connection: caller.connection(),
            entry,
            dispatcher: Dispatcher::new(core, caller, sequence),
            framer: Framer::new(caller.connection().protocol.format(), limit),
            backlog: Backlog::new(early),
            read_ahead,
            input_ended: false,
        }
    }

    /// Runs until the connection ends.
    ///
    /// By reference: a future that owned the session would hold it twice.
    pub(super) fn serve(&mut self, incoming: &mut Incoming) -> impl Future<Output = End> {
        poll_fn(|cx| self.poll(cx, incoming))
    }

    /// The connection has ended. Returns the call that still runs.
    pub(super) fn end(mut self) -> Option<RunningCall> {
        self.dispatcher.take_running()
    }

    fn poll(&mut self, cx: &mut Context<'_>, incoming: &mut Incoming) -> Poll<End> {
        let outbound = &self.connection.outbound;
        let connected = outbound.begin(cx);
        if connected && self.dispatcher.may_resume() {
            self.resume(cx, incoming);
        }
        let end = if connected { self.work(cx, incoming) } else { Poll::Ready(End::InputEnded) };
        outbound.end(cx);
        end
    }

    /// Goes over to a new socket, if there is one: what comes from it begins with a whole message.
    fn resume(&mut self, cx: &mut Context<'_>, incoming: &mut Incoming) {
        if let Some(request) = incoming.resume(cx) {
            tracing::debug!(target: "signalr::connection", connection = %self.connection.id, "resumed");
            self.framer.clear();
            self.backlog.cut(|| self.framer.anew());
            self.connection.set_request(request);
            self.dispatcher.renew();
        }
    }

    /// Goes over to newer credentials, if there are any, behind the calls that came before them.
    fn refresh(&mut self, cx: &mut Context<'_>) {
        if !self.dispatcher.is_held()
            && self.connection.take(Flags::REFRESHED)
            && let Some(user) = self.entry.take_refreshed()
        {
            self.connection.set_user(user);
            self.dispatcher.refresh(cx);
        }
    }

    fn work(&mut self, cx: &mut Context<'_>, incoming: &mut Incoming) -> Poll<End> {
        loop {
            self.dispatcher.poll(cx);
            self.refresh(cx);
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
                if self.dispatcher.may_resume() && self.look_ahead() {
                    continue;
                }
                ready!(self.read_ahead(cx, incoming));
                continue;
            }
            self.connection.take(Flags::PAUSED);
            let read = match self.backlog.rest() {
                [] => ready!(self.read(cx, incoming)),
                _ => self.take_backlog(cx),
            };
            if let Err(end) = read {
                return Poll::Ready(end);
            }
            self.connection.outbound.checkpoint(cx);
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, incoming: &mut Incoming) -> Poll<Result<(), End>> {
        let mut taken = Ok(());
        let read = incoming.poll_read(cx, &mut |cx, mut bytes| {
            if taken.is_ok() {
                taken = self.take(cx, &mut bytes);
                if !bytes.is_empty() {
                    self.backlog.add(bytes);
                }
            }
        });
        let read = ready!(read);
        self.connection.set(Flags::RECEIVED);
        Poll::Ready(taken.and_then(|()| match read {
            Read::Data => Ok(()),
            // Read again, and found again, when this is taken.
            Read::End(_) if self.dispatcher.is_held() || !self.backlog.rest().is_empty() => Ok(()),
            Read::End(Ended::Broken) => Err(End::broken_transport()),
            Read::End(_) if self.framer.is_empty() => Err(End::InputEnded),
            Read::End(_) => Err(End::unfinished_message()),
        }))
    }

    /// Reads while no message may be taken, so that the transport's own pings and goodbyes are answered at once.
    fn read_ahead(&mut self, cx: &mut Context<'_>, incoming: &mut Incoming) -> Poll<()> {
        if self.input_ended || self.backlog.rest().len() >= self.read_ahead {
            return Poll::Pending;
        }
        if let Read::End(_) = ready!(incoming.poll_ahead(cx, &mut |_, bytes| self.backlog.add(bytes))) {
            self.input_ended = true;
            // Whoever runs may stop; what was sent before is done all the same, as in ASP.NET.
            self.connection.cancel();
        }
        Poll::Ready(())
    }

    /// Looks for acknowledgements behind messages that wait, since these may wait for them. Says whether there was one.
    fn look_ahead(&mut self) -> bool {
        let connection = self.connection;
        let framer = || self.framer.anew();
        let acknowledged = self.backlog.look_ahead(framer, |frame| match connection.protocol.parse(frame, |_| true) {
            Ok(Some(HubMessage::Ack { sequence_id })) => {
                connection.outbound.acknowledge(sequence_id);
                Seen::Done
            }
            Ok(Some(HubMessage::Invocation(_))) => Seen::Call,
            _ => Seen::Other,
        });
        if self.dispatcher.is_full() && self.backlog.has_call() {
            connection.outbound.mark_waiting();
        }
        acknowledged
    }

    fn take_backlog(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let mut backlog = mem::take(&mut self.backlog);
        let mut rest = backlog.rest();
        let result = self.take(cx, &mut rest);
        let left = rest.len();
        backlog.keep(left);
        self.backlog = backlog;
        result
    }

    /// Takes the messages that `input` completes, until one must wait: what is behind that one is left in `input`.
    fn take(&mut self, cx: &mut Context<'_>, input: &mut &[u8]) -> Result<(), End> {
        loop {
            // Before each message: whoever knows of newer credentials may call already.
            self.refresh(cx);
            if self.dispatcher.is_held() {
                break;
            }
            match self.framer.next(input).map_err(End::Failed)? {
                Some(frame) => self.dispatcher.message(cx, frame)?,
                None => break,
            }
        }
        Ok(())
    }

    /// What others did to the connection.
    fn signalled(&self) -> Option<End> {
        let flags = self.connection.flags();
        if flags.has(Flags::ABORTED) {
            Some(End::given_up(self.connection))
        } else if flags.has(Flags::LEAVING) {
            Some(End::Leaving)
        } else if flags.has(Flags::TIMED_OUT) {
            Some(End::TimedOut)
        } else if flags.has(Flags::UNACKNOWLEDGED) {
            Some(End::Unacknowledged)
        } else {
            None
        }
    }
}
