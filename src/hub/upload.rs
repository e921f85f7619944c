//! Uploads: the buffer between the connection that receives items and the method that reads them.

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

/// Stream from the client, a parameter of a hub method (C#: `IAsyncEnumerable<T>` or `ChannelReader<T>`).
///
/// A hub method can have any number of them, at any position among its parameters:
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
/// It implements `futures_core::Stream`. An error is the last item: the error of the client, which is a
/// `HubException` as in C#, an item that is not a `T`, or the end of the connection. Items that the method
/// does not read are dropped when it returns. At most
/// [`stream_buffer_capacity`](crate::hosting::Builder::stream_buffer_capacity) items are buffered; then no
/// message of the client is read until the method reads an item.
pub struct UploadStream<T> {
    shared: Arc<UploadShared<T>>,
}

struct UploadShared<T> {
    state: Mutex<UploadState<T>>,
}

struct UploadState<T> {
    items: VecDeque<T>,
    /// Number of buffered items at which the connection stops reading.
    capacity: usize,
    end: UploadEnd,
    /// Wakes the method, which waits for an item.
    reader: Option<Waker>,
    /// Wakes the connection, which waits for capacity.
    writer: Option<Waker>,
}

enum UploadEnd {
    Open,
    /// The stream has ended; an error follows the last item.
    Ended(Option<HubError>),
    /// The method has received the end, or has returned.
    Closed,
}

/// Type-erased upload, for the connection.
pub(crate) trait UploadSender: fmt::Debug + Send + Sync {
    /// Adds an item. An item that is not a `T` ends the stream with an error, which has details if `detailed`.
    fn item(&self, item: RawValue<'_>, detailed: bool);

    /// Ends the stream: the client completed it, or the connection ended.
    fn end(&self, error: Option<HubError>);

    /// Ready when there is capacity for an item.
    fn poll_room(&self, cx: &Context<'_>) -> Poll<()>;

    /// Drops further items: the method has returned.
    fn close(&self);

    fn set_capacity(&self, capacity: usize);
}

impl<T: DeserializeOwned + Send + 'static> UploadStream<T> {
    pub(super) fn new() -> Self {
        let state =
            UploadState { items: VecDeque::new(), capacity: 1, end: UploadEnd::Open, reader: None, writer: None };
        Self { shared: Arc::new(UploadShared { state: Mutex::new(state) }) }
    }

    pub(super) fn other_end(&self) -> Arc<dyn UploadSender> {
        Arc::clone(&self.shared) as Arc<dyn UploadSender>
    }
}

impl<T> UploadStream<T> {
    /// Returns the next item; `None` after the last one.
    ///
    /// # Errors
    ///
    /// The error that ended the stream; no item follows it.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no item is lost.
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
            let writer = if state.has_room() { state.writer.take() } else { None };
            drop(state);
            wake(writer);
            return Poll::Ready(Some(Ok(item)));
        }
        match &mut state.end {
            UploadEnd::Open => {
                state.reader = Some(cx.waker().clone());
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

    fn end(&self, error: Option<HubError>) {
        let mut state = self.lock();
        if let UploadEnd::Open = state.end {
            state.end = UploadEnd::Ended(error);
        }
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().for_each(wake);
    }

    fn close(&self) {
        let mut state = self.lock();
        state.end = UploadEnd::Closed;
        let items = mem::take(&mut state.items);
        let wakers = [state.reader.take(), state.writer.take()];
        // Dropping items runs code of the application, which must not run under the lock.
        drop(state);
        drop(items);
        wakers.into_iter().for_each(wake);
    }

    fn lock(&self) -> MutexGuard<'_, UploadState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> UploadState<T> {
    fn has_room(&self) -> bool {
        self.items.len() <= self.capacity || !matches!(self.end, UploadEnd::Open)
    }
}

impl<T: DeserializeOwned + Send> UploadSender for UploadShared<T> {
    fn item(&self, item: RawValue<'_>, detailed: bool) {
        if !matches!(self.lock().end, UploadEnd::Open) {
            return;
        }
        let item = match item.read() {
            Ok(item) => item,
            Err(error) => return Self::end(self, Some(mismatch(error, detailed))),
        };
        let mut state = self.lock();
        if let UploadEnd::Open = state.end {
            state.items.push_back(item);
            let reader = state.reader.take();
            drop(state);
            wake(reader);
        }
    }

    fn end(&self, error: Option<HubError>) {
        Self::end(self, error);
    }

    fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.has_room() {
            return Poll::Ready(());
        }
        state.writer = Some(cx.waker().clone());
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
fn mismatch(error: ReadError, detailed: bool) -> HubError {
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
