//! The task of a connection without a hub: runs the handler, reads ahead and writes the outbound
//! queue.

use std::error::Error;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::future::BoxFuture;

use super::connection::RawConnection;
use super::handle::Handle;
use super::input_pipe::RawEnd;
use crate::connections::{self, Completed, Connection, Read, SessionMonitor, TransportInput};
use crate::quoted::Quoted;
use crate::tasks::Tasks;

/// Connection handler of a path, with its type erased.
pub(crate) struct RawHandler {
    run: Box<dyn Fn(RawConnection) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync>,
}

/// Error that a handler returned, or its panic.
struct Failure(Box<dyn Error + Send + Sync>);

impl RawHandler {
    pub(crate) fn new<F, R>(handler: F) -> Self
    where
        F: Fn(RawConnection) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let run = move |connection| -> BoxFuture<'static, _> {
            let handler = Arc::clone(&handler);
            Box::pin(async move { handler(connection).await.map_err(Failure) })
        };
        Self { run: Box::new(run) }
    }

    /// Serves one connection until its end. A handler that still runs after it has dropped its
    /// connection becomes a task of `tasks`.
    pub(crate) fn serve(&self, tasks: Tasks, connection: Connection) -> BoxFuture<'static, Completed> {
        let Connection { id, transport, request, incoming, outbound, entry } = connection;
        let handle = Handle::new(id, transport, entry.user(), request, outbound, entry.read_ahead_limit());
        let monitor: Arc<dyn SessionMonitor> = Arc::clone(&handle) as _;
        entry.set_monitor(Arc::downgrade(&monitor));
        let running = (self.run)(RawConnection::new(&handle));
        Box::pin(async move {
            tracing::debug!(target: "signalr::connection", connection = %id, "connected");
            let guard = CloseOnDrop(handle);
            let mut task = ConnectionTask { handle: &guard.0, incoming, input_ended: false, running };
            let end = poll_fn(|cx| task.poll(cx)).await;
            let ConnectionTask { incoming, running, .. } = task;
            let failed = match end {
                HandlerEnd::Returned(outcome) => log_outcome(&guard.0, outcome),
                HandlerEnd::Dropped => {
                    tasks.spawn(finish(Arc::clone(&guard.0), running));
                    false
                }
            };
            tracing::debug!(target: "signalr::connection", connection = %id, "disconnected");
            Completed { incoming, failed }
        })
    }
}

/// The private half of a connection: state of its task alone.
struct ConnectionTask<'a> {
    handle: &'a Handle,
    incoming: TransportInput,
    input_ended: bool,
    running: BoxFuture<'static, Result<(), Failure>>,
}

/// Reason for the end of the connection task.
enum HandlerEnd {
    Returned(Result<(), Failure>),
    /// The handler has dropped its connection and still runs.
    Dropped,
}

impl ConnectionTask<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<HandlerEnd> {
        let outbound = &self.handle.outbound;
        if !outbound.begin_batch(cx) {
            self.handle.close(RawEnd::Lost);
        }
        let end = self.poll_handler(cx);
        outbound.end_batch(cx);
        end
    }

    fn poll_handler(&mut self, cx: &mut Context<'_>) -> Poll<HandlerEnd> {
        loop {
            // The transport comes first: a handler that is always ready would use up the task's
            // budget.
            self.handle.outbound.flush_batch(cx);
            let has_read = self.read(cx);
            if let Poll::Ready(outcome) = poll_catching_panics(&mut self.running, cx) {
                return Poll::Ready(HandlerEnd::Returned(outcome));
            }
            if self.handle.is_released() {
                return Poll::Ready(HandlerEnd::Dropped);
            }
            if !has_read {
                return Poll::Pending;
            }
        }
    }

    /// Reads the transport, also while the handler does not read, so that pings and close frames
    /// are answered at once. Returns `false` if nothing can be read now.
    fn read(&mut self, cx: &mut Context<'_>) -> bool {
        let input = &self.handle.input;
        if self.input_ended || input.poll_reserve(cx).is_pending() {
            return false;
        }
        let read = self.incoming.poll_read(cx, &mut |_, bytes| input.push(bytes));
        if let Poll::Ready(Read::End(end)) = read {
            self.input_ended = true;
            self.handle.close(end.into());
        } else {
            // Also without new bytes: the message that an incomplete character waits for may have
            // ended.
            input.publish(self.incoming.is_within_text());
        }
        read.is_ready()
    }
}

impl From<connections::TransportEnd> for RawEnd {
    fn from(end: connections::TransportEnd) -> Self {
        match end {
            connections::TransportEnd::Closed => Self::Closed,
            connections::TransportEnd::Lost => Self::Lost,
            connections::TransportEnd::Broken => Self::Broken,
        }
    }
}

/// Closes the connection when its task ends or is aborted, for writers that still exist.
struct CloseOnDrop(Arc<Handle>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close(RawEnd::Aborted);
    }
}

/// Runs a handler that has dropped its connection to its end.
async fn finish(handle: Arc<Handle>, mut running: BoxFuture<'static, Result<(), Failure>>) {
    let outcome = poll_fn(|cx| poll_catching_panics(&mut running, cx)).await;
    log_outcome(&handle, outcome);
}

/// Logs the outcome of a handler and returns whether it failed.
fn log_outcome(handle: &Handle, outcome: Result<(), Failure>) -> bool {
    let Err(Failure(error)) = outcome else { return false };
    let (connection, ended, error) = (handle.id, handle.input.end(), Quoted(&error));
    let failed = ended.is_none_or(|end| end == RawEnd::Requested);
    if failed {
        tracing::error!(target: "signalr::connection", %connection, %error, "connection handler failed");
    } else {
        // The end of the connection most likely caused the error.
        tracing::debug!(target: "signalr::connection", %connection, %error, ?ended, "connection handler failed");
    }
    failed
}

/// Polls the handler and turns a panic into a failure, so that a panic ends this connection only.
/// The panic hook has printed the panic message already.
fn poll_catching_panics(
    running: &mut BoxFuture<'static, Result<(), Failure>>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Failure>> {
    catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx)))
        .unwrap_or_else(|_| Poll::Ready(Err(Failure("connection handler panicked".into()))))
}
