//! Uploads: streams from a client to a hub method, with the buffer between the connection and the
//! method.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use serde::de::DeserializeOwned;

use super::error::{HubError, HubResult};
use crate::protocol::{RawValue, ReadError};

/// A stream from the client to a hub method, sent with an invocation (C#: an `IAsyncEnumerable<T>`
/// or `ChannelReader<T>` parameter).
///
/// A hub method can have any number of `UploadStream` parameters, in any position:
///
/// ```
/// # use signalr::{HubResult, UploadStream, hub};
/// # struct Monitor;
/// #[hub]
/// impl Monitor {
///     async fn average(&self, patient: String, mut samples: UploadStream<f64>) -> HubResult<f64> {
///         let (mut sum, mut count) = (0.0, 0.0);
///         while let Some(sample) = samples.next().await {
///             sum += sample?;
///             count += 1.0;
///         }
///         Ok(sum / count)
///     }
/// }
/// ```
///
/// `UploadStream` also implements `futures_core::Stream`. After an error the stream ends. Errors
/// are: the error that the client sent, as a `HubException` as in C#; an item that cannot be
/// deserialized as `T`; the end of the connection. Items that the method has not read when it ends
/// are dropped.
///
/// If more than [`stream_buffer_capacity`](crate::hosting::Builder::stream_buffer_capacity) items
/// wait for the method, the server stops reading from the client until the method reads one.
pub struct UploadStream<T> {
    shared: Arc<UploadShared<T>>,
}

struct UploadShared<T> {
    state: Mutex<UploadState<T>>,
}

struct UploadState<T> {
    items: VecDeque<T>,
    /// Maximum number of waiting items; with more, the connection is not read.
    capacity: usize,
    end: UploadEnd,
    /// Waker of the method that waits for an item.
    reader_waker: Option<Waker>,
    /// Waker of the connection task that waits for capacity.
    sender_waker: Option<Waker>,
}

enum UploadEnd {
    Open,
    /// No more items arrive. The method still receives the waiting items, then the error.
    Ended(Option<HubError>),
    /// The method has received the end, or has dropped the stream.
    Closed,
}

/// Sending half of an upload, without the type of its items.
pub(crate) trait UploadSender: fmt::Debug + Send + Sync {
    /// Queues an item. An item that cannot be deserialized ends the stream with an error, whose
    /// text contains details if `detailed` is set.
    fn push_item(&self, item: RawValue<'_>, detailed: bool);

    /// Ends the stream, because the client or its connection ended it.
    fn finish(&self, error: Option<HubError>);

    /// Ready when the buffer has capacity.
    fn poll_capacity(&self, cx: &Context<'_>) -> Poll<()>;

    /// Closes the stream because the method has ended; waiting items are dropped.
    fn close(&self);

    fn set_capacity(&self, capacity: usize);
}

impl<T: DeserializeOwned + Send + 'static> UploadStream<T> {
    pub(super) fn new() -> Self {
        let state = UploadState {
            items: VecDeque::new(),
            capacity: 1,
            end: UploadEnd::Open,
            reader_waker: None,
            sender_waker: None,
        };
        Self { shared: Arc::new(UploadShared { state: Mutex::new(state) }) }
    }

    pub(super) fn sender(&self) -> Arc<dyn UploadSender> {
        Arc::clone(&self.shared) as Arc<dyn UploadSender>
    }
}

impl<T> UploadStream<T> {
    /// Returns the next item; `None` after the last.
    ///
    /// # Errors
    ///
    /// Fails if the client ended the stream with an error, if an item cannot be deserialized, or if
    /// the connection ended. No items follow an error.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: if the future is dropped before it completes, no item is lost.
    pub async fn next(&mut self) -> Option<HubResult<T>> {
        poll_fn(|cx| self.shared.poll_next(cx)).await
    }
}

impl<T> Stream for UploadStream<T> {
    type Item = HubResult<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<HubResult<T>>> {
        self.shared.poll_next(cx)
    }
}

impl<T> Drop for UploadStream<T> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl<T> UploadShared<T> {
    fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<HubResult<T>>> {
        let mut state = self.lock();
        if let Some(item) = state.items.pop_front() {
            let sender = if state.has_capacity() { state.sender_waker.take() } else { None };
            drop(state);
            wake(sender);
            return Poll::Ready(Some(Ok(item)));
        }
        match &mut state.end {
            UploadEnd::Open => {
                state.reader_waker = Some(cx.waker().clone());
                Poll::Pending
            }
            UploadEnd::Ended(error) => {
                let error = error.take();
                state.end = UploadEnd::Closed;
                Poll::Ready(error.map(Err))
            }
            UploadEnd::Closed => Poll::Ready(None),
        }
    }

    fn finish(&self, error: Option<HubError>) {
        let mut state = self.lock();
        if let UploadEnd::Open = state.end {
            state.end = UploadEnd::Ended(error);
        }
        let wakers = [state.reader_waker.take(), state.sender_waker.take()];
        drop(state);
        wakers.into_iter().for_each(wake);
    }

    fn close(&self) {
        let mut state = self.lock();
        state.end = UploadEnd::Closed;
        let items = mem::take(&mut state.items);
        let wakers = [state.reader_waker.take(), state.sender_waker.take()];
        // Dropping items runs code of the application, so the lock is released first.
        drop(state);
        drop(items);
        wakers.into_iter().for_each(wake);
    }

    fn lock(&self) -> MutexGuard<'_, UploadState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> UploadState<T> {
    fn has_capacity(&self) -> bool {
        self.items.len() <= self.capacity || !matches!(self.end, UploadEnd::Open)
    }
}

impl<T: DeserializeOwned + Send> UploadSender for UploadShared<T> {
    fn push_item(&self, item: RawValue<'_>, detailed: bool) {
        if !matches!(self.lock().end, UploadEnd::Open) {
            return;
        }
        let item = match item.read() {
            Ok(item) => item,
            Err(error) => return Self::finish(self, Some(bind_error(error, detailed))),
        };
        let mut state = self.lock();
        if let UploadEnd::Open = state.end {
            state.items.push_back(item);
            let reader = state.reader_waker.take();
            drop(state);
            wake(reader);
        }
    }

    fn finish(&self, error: Option<HubError>) {
        Self::finish(self, error);
    }

    fn poll_capacity(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.has_capacity() {
            return Poll::Ready(());
        }
        state.sender_waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn close(&self) {
        Self::close(self);
    }

    fn set_capacity(&self, capacity: usize) {
        self.lock().capacity = capacity;
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// `aspnet: DefaultHubDispatcher.ProcessStreamItem`.
fn bind_error(error: ReadError, detailed: bool) -> HubError {
    let error = error.into_inner();
    let base = "Failed to bind Stream message.";
    HubError::new(if detailed { format!("{base} {}: {error}", error.type_name()) } else { base.to_owned() })
}

impl<T> fmt::Debug for UploadStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

impl<T> fmt::Debug for UploadShared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadStream").field("waiting", &self.lock().items.len()).finish_non_exhaustive()
    }
}
