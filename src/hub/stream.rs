//! Streams to the client: what a method returns, item by item into the connection's queue.

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

/// Where the items of a stream go.
pub struct ItemSender {
    connection: Arc<ConnectionHandle>,
    call: Arc<CallState>,
    begun: Arc<AtomicBool>,
}

/// A call whose answer is a stream. `run` sets the stream up and then sends it; the two have errors of their own, and
/// whoever makes the call goes on with other things in between.
pub(super) fn streaming<H, F>(
    invocation: MethodInvocation<H>,
    run: impl FnOnce(MethodInvocation<H>, ItemSender) -> F + Send + 'static,
) -> impl Future<Output = HubResult<Reply>> + Send + 'static
where
    H: Send + Sync + 'static,
    F: Future<Output = HubResult<Reply>> + Send + 'static,
{
    let begun = Arc::new(AtomicBool::new(false));
    let items = invocation.caller.call().map(|call| ItemSender {
        connection: Arc::clone(invocation.caller.connection()),
        call: Arc::clone(call),
        begun: Arc::clone(&begun),
    });
    async move {
        let items = items.ok_or_else(|| HubError::internal("a stream outside of a call"))?;
        let mut rest: BoxFuture<'static, HubResult<Reply>> = Box::pin(run(invocation, items));
        let ended = poll_fn(|cx| match rest.as_mut().poll(cx) {
            Poll::Pending if begun.load(Ordering::Acquire) => Poll::Ready(None),
            polled => polled.map(Some),
        });
        match ended.await {
            Some(reply) => reply,
            None => Ok(Reply(CallOutput::Stream(rest))),
        }
    }
}

impl ItemSender {
    /// Those of a stream that is there already.
    pub(super) fn begun(connection: &Arc<ConnectionHandle>, call: &Arc<CallState>) -> Self {
        let begun = Arc::new(AtomicBool::new(true));
        Self { connection: Arc::clone(connection), call: Arc::clone(call), begun }
    }

    /// Sends the items of `stream` until it ends, at the pace of the client; `settle` makes a value or an error of one.
    pub async fn send<S, T, E>(self, stream: S, mut settle: impl FnMut(S::Item) -> Result<T, E>) -> HubResult<Reply>
    where
        S: Stream,
        T: Serialize,
        HubError: From<E>,
    {
        self.begin().await;
        let mut stream = pin!(stream);
        let mut next = |cx: &mut Context<'_>| {
            stream.as_mut().poll_next(cx).map(|item| item.map(|item| self.encode(&settle(item)?)))
        };
        while let Some(message) = poll_fn(&mut next).await {
            self.put(message?).await;
        }
        Ok(Reply(CallOutput::Nothing))
    }

    /// The stream is there, and what follows are its items.
    async fn begin(&self) {
        let mut first = !self.begun.swap(true, Ordering::AcqRel);
        // Who waits for the stream is polling this; it goes on by itself.
        poll_fn(|_| if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }).await;
    }

    fn encode<T: Serialize>(&self, item: &T) -> HubResult<Vec<u8>> {
        let mut message = buffer_pool::take();
        let id = self.call.id.as_deref().unwrap_or_default();
        self.connection.protocol.write_stream_item(&mut message, id, item)?;
        Ok(message)
    }

    async fn put(&self, message: Vec<u8>) {
        self.connection.outbound.write_in_turn(&message).await;
        buffer_pool::recycle(message);
        // A stream that is always ready lets others have their turn.
        tokio::task::consume_budget().await;
    }
}

impl fmt::Debug for ItemSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("id", &self.call.id).finish_non_exhaustive()
    }
}
