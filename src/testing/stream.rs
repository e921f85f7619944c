//! Streams of items, in both directions.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::connection::TestConnection;
use super::deadline::Deadline;
use super::invocation::{InvocationError, read};
use crate::protocol::{HubMessage, HubProtocol};

/// Items of a server stream; see [`TestClient::stream`](super::TestClient::stream).
///
/// The stream ends after the first error. Dropping it before its end cancels the invocation.
///
/// # Panics
///
/// Panics if the next item or the completion is not received in time.
///
/// ```
/// # async fn counts(client: signalr::testing::TestClient) -> Result<(), Box<dyn std::error::Error>> {
/// let mut numbers = client.stream::<u32>("Count", (2,));
/// assert_eq!(numbers.next().await.transpose()?, Some(0));
/// drop(numbers); // cancels
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a stream cancels it"]
pub struct ItemStream<T> {
    connection: TestConnection,
    method: String,
    id: String,
    frames: mpsc::UnboundedReceiver<Vec<u8>>,
    deadline: Deadline,
    ended: bool,
    _item: PhantomData<fn() -> T>,
}

impl<T> ItemStream<T> {
    #[track_caller]
    pub(super) fn new(connection: TestConnection, method: &str, id: String) -> Self {
        let (frames, deadline) = (connection.register_invocation(&id), Deadline::new(connection.deadline));
        Self { connection, method: method.to_owned(), id, frames, deadline, ended: false, _item: PhantomData }
    }
}

impl<T: DeserializeOwned> ItemStream<T> {
    /// Returns the next item, or `None` after the last one.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: dropping the future loses no item.
    ///
    /// # Panics
    ///
    /// Panics if the item is not received in time.
    pub async fn next(&mut self) -> Option<Result<T, InvocationError>> {
        poll_fn(|cx| self.poll_next_item(cx)).await
    }

    fn poll_next_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, InvocationError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = self.frames.poll_recv(cx);
        if polled.is_pending() {
            self.deadline.poll(cx, || format!("no item and no completion of `{}`", self.method));
        }
        let item = match ready!(polled) {
            Some(frame) => parse_item(self.connection.protocol, &frame),
            None => NextItem::End(Some(InvocationError::Closed(self.connection.closed()))),
        };
        self.deadline.renew();
        Poll::Ready(match item {
            NextItem::Item(item) => Some(item),
            NextItem::End(error) => {
                self.ended = true;
                error.map(Err)
            }
        })
    }
}

impl<T: DeserializeOwned> Stream for ItemStream<T> {
    type Item = Result<T, InvocationError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_next_item(cx)
    }
}

impl<T> Drop for ItemStream<T> {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.deregister_invocation(&self.id);
            self.connection.write(|protocol, out| protocol.write_cancel(out, &self.id));
        }
    }
}

impl<T> fmt::Debug for ItemStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemStream").field("method", &self.method).field("ended", &self.ended).finish_non_exhaustive()
    }
}

enum NextItem<T> {
    Item(Result<T, InvocationError>),
    End(Option<InvocationError>),
}

fn parse_item<T: DeserializeOwned>(protocol: HubProtocol, frame: &[u8]) -> NextItem<T> {
    match protocol.parse(frame, |_| true) {
        Ok(Some(HubMessage::StreamItem { item, .. })) => NextItem::Item(read(item)),
        Ok(Some(HubMessage::Completion { error, .. })) => {
            NextItem::End(error.map(|error| InvocationError::Server(error.into_owned())))
        }
        Ok(_) => NextItem::End(None),
        Err(error) => NextItem::End(Some(InvocationError::Unreadable(error))),
    }
}

/// Upload of an invocation; see [`TestClient::upload`](super::TestClient::upload).
///
/// Dropping the handle ends the stream without an error.
///
/// ```
/// # async fn sums(client: signalr::testing::TestClient) -> Result<(), Box<dyn std::error::Error>> {
/// let ([numbers], sum) = client.upload::<u32, 1>("Sum", ());
/// numbers.send(&1);
/// numbers.finish();
/// assert_eq!(sum.await?, 1);
/// # Ok(())
/// # }
/// ```
pub struct UploadHandle {
    connection: TestConnection,
    id: String,
    ended: bool,
}

impl UploadHandle {
    pub(super) fn new(connection: TestConnection, id: String) -> Self {
        Self { connection, id, ended: false }
    }

    /// Sends an item without waiting for the server to read it.
    ///
    /// # Panics
    ///
    /// Panics if the item cannot be serialized.
    #[track_caller]
    pub fn send<T: Serialize + ?Sized>(&self, item: &T) {
        let mut written = Ok(());
        self.connection.write(|protocol, out| written = protocol.write_stream_item(out, &self.id, item));
        if let Err(error) = written {
            panic!("failed to serialize an item: {error}");
        }
    }

    /// Ends the stream without an error.
    pub fn finish(self) {}

    /// Ends the stream with an error.
    pub fn fail(mut self, error: &str) {
        self.ended = true;
        self.connection.write(|protocol, out| protocol.write_error(out, &self.id, error));
    }
}

impl Drop for UploadHandle {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.write(|protocol, out| protocol.write_completion(out, &self.id));
        }
    }
}

impl fmt::Debug for UploadHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadHandle").field("id", &self.id).finish_non_exhaustive()
    }
}
