//! Server streams: the items of a method, encoded into the outbound queue of the connection.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::future::BoxFuture;
use serde::Serialize;

use super::call_state::CallState;
use super::error::{HubError, HubResult};
use super::methods::{CallOutput, MethodInvocation, Reply};
use crate::buffer_pool;
use crate::registry::ConnectionHandle;

/// Sends the items of one stream to the client.
pub struct ItemSender {
    connection: Arc<ConnectionHandle>,
    call: Arc<CallState>,
    started: Arc<AtomicBool>,
}

/// Runs a call that returns a stream. `run` sets the stream up and then sends its items. The
/// returned future completes when the stream is set up, so that errors of the two steps are
/// reported differently and filters complete before the first item.
pub(super) fn run_streaming<H, F>(
    invocation: MethodInvocation<H>,
    run: impl FnOnce(MethodInvocation<H>, ItemSender) -> F + Send + 'static,
) -> impl Future<Output = HubResult<Reply>> + Send + 'static
where
    H: Send + Sync + 'static,
    F: Future<Output = HubResult<Reply>> + Send + 'static,
{
    let started = Arc::new(AtomicBool::new(false));
    let items = invocation.caller.call().map(|call| ItemSender {
        connection: Arc::clone(invocation.caller.connection()),
        call: Arc::clone(call),
        started: Arc::clone(&started),
    });
    async move {
        let items = items.ok_or_else(|| HubError::internal("stream created outside of a call"))?;
        let mut future: BoxFuture<'static, HubResult<Reply>> = Box::pin(run(invocation, items));
        let ended = poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Pending if started.load(Ordering::Acquire) => Poll::Ready(None),
            polled => polled.map(Some),
        });
        match ended.await {
            Some(reply) => reply,
            None => Ok(Reply(CallOutput::Stream(future))),
        }
    }
}

impl ItemSender {
    /// Creates a sender for a stream that is already set up.
    pub(super) fn for_running_stream(connection: &Arc<ConnectionHandle>, call: &Arc<CallState>) -> Self {
        let started = Arc::new(AtomicBool::new(true));
        Self { connection: Arc::clone(connection), call: Arc::clone(call), started }
    }

    /// Sends the items of `stream` until it ends, at the pace of the client. `into_result` converts
    /// an item into a value or an error.
    pub async fn send<S, T, E>(
        self,
        stream: S,
        mut into_result: impl FnMut(S::Item) -> Result<T, E>,
    ) -> HubResult<Reply>
    where
        S: Stream,
        T: Serialize,
        HubError: From<E>,
    {
        self.yield_before_first_item().await;
        let mut stream = pin!(stream);
        let mut next = |cx: &mut Context<'_>| {
            stream.as_mut().poll_next(cx).map(|item| item.map(|item| self.encode(&into_result(item)?)))
        };
        while let Some(message) = poll_fn(&mut next).await {
            self.enqueue(message?).await;
        }
        Ok(Reply(CallOutput::Nothing))
    }

    /// Marks the stream as set up, and yields once.
    async fn yield_before_first_item(&self) {
        let mut first = !self.started.swap(true, Ordering::AcqRel);
        // No waker is needed: `run_streaming` polls this future and completes on this `Pending`.
        poll_fn(|_| if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }).await;
    }

    fn encode<T: Serialize>(&self, item: &T) -> HubResult<Vec<u8>> {
        let mut message = buffer_pool::take();
        let id = self.call.id.as_deref().unwrap_or_default();
        self.connection.protocol.write_stream_item(&mut message, id, item)?;
        Ok(message)
    }

    async fn enqueue(&self, message: Vec<u8>) {
        self.connection.outbound.enqueue_in_turn(&message).await;
        buffer_pool::recycle(message);
        // Without this, a stream that is always ready would starve other tasks.
        tokio::task::consume_budget().await;
    }
}

impl fmt::Debug for ItemSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemSender").field("id", &self.call.id).finish_non_exhaustive()
    }
}
