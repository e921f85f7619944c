//! The task of a raw connection: runs the handler, reads ahead of it, writes behind it.

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

/// What a path of raw connections is mapped to.
pub(crate) struct RawHandler {
    run: Box<dyn Fn(RawConnection) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync>,
}

/// Why a handler failed.
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

    /// Serves one connection to its end. `tasks` takes a handler that goes on when its connection is dropped.
    pub(crate) fn serve(&self, tasks: Tasks, connection: Connection) -> BoxFuture<'static, Completed> {
        let Connection { id, transport, request, incoming, outbound, entry } = connection;
        let handle = Handle::new(id, transport, entry.user(), request, outbound, entry.read_ahead());
        let monitor: Arc<dyn SessionMonitor> = Arc::clone(&handle) as _;
        entry.watch(Arc::downgrade(&monitor));
        let running = (self.run)(RawConnection::new(&handle));
        Box::pin(async move {
            tracing::debug!(target: "signalr::connection", connection = %id, "connected");
            let ending = Ending(handle);
            let mut task = ConnectionTask { handle: &ending.0, incoming, input_ended: false, running };
            let end = poll_fn(|cx| task.poll(cx)).await;
            let ConnectionTask { incoming, running, .. } = task;
            let failed = match end {
                HandlerEnd::Returned(outcome) => log_outcome(&ending.0, outcome),
                HandlerEnd::Dropped => {
                    tasks.spawn(finish(Arc::clone(&ending.0), running));
                    false
                }
            };
            tracing::debug!(target: "signalr::connection", connection = %id, "disconnected");
            Completed { incoming, failed }
        })
    }
}

/// The private half of a connection: what its task alone touches.
struct ConnectionTask<'a> {
    handle: &'a Handle,
    incoming: TransportInput,
    input_ended: bool,
    running: BoxFuture<'static, Result<(), Failure>>,
}

/// Why the task has done its work.
enum HandlerEnd {
    Returned(Result<(), Failure>),
    /// The handler goes on without its connection.
    Dropped,
}

impl ConnectionTask<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<HandlerEnd> {
        let outbound = &self.handle.outbound;
        if !outbound.begin(cx) {
            self.handle.close(RawEnd::Lost);
        }
        let end = self.poll_handler(cx);
        outbound.end(cx);
        end
    }

    fn poll_handler(&mut self, cx: &mut Context<'_>) -> Poll<HandlerEnd> {
        loop {
            // The transport first: a handler that never waits would leave it nothing of the task's budget.
            self.handle.outbound.checkpoint(cx);
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

    /// Reads also while the handler does not, so that the transport's own pings and goodbyes are answered at once.
    /// `false`: nothing can be read now.
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
            // Also where nothing came: what it waited for may be over.
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

/// Tells everybody who still holds the connection that it has ended, also when its task is cut.
struct Ending(Arc<Handle>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.close(RawEnd::Aborted);
    }
}

/// Runs a handler to its end whose connection is gone.
async fn finish(handle: Arc<Handle>, mut running: BoxFuture<'static, Result<(), Failure>>) {
    let outcome = poll_fn(|cx| poll_catching_panics(&mut running, cx)).await;
    log_outcome(&handle, outcome);
}

/// Logs how a handler ended, and says whether it failed.
fn log_outcome(handle: &Handle, outcome: Result<(), Failure>) -> bool {
    let Err(Failure(error)) = outcome else { return false };
    let (connection, ended) = (handle.id, handle.input.end());
    let failed = ended.is_none_or(|end| end == RawEnd::Requested);
    if failed {
        tracing::error!(target: "signalr::connection", %connection, error = %Quoted(&error), "the handler failed");
    } else {
        // Most likely because of that end.
        tracing::debug!(target: "signalr::connection", %connection, error = %Quoted(&error), ?ended, "the handler failed");
    }
    failed
}

/// A panic ends this connection alone; its own message is on standard error already, by the panic hook.
fn poll_catching_panics(
    running: &mut BoxFuture<'static, Result<(), Failure>>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Failure>> {
    catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx)))
        .unwrap_or_else(|_| Poll::Ready(Err(Failure("the handler panicked".into()))))
}
