//! Results of invocations.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::connection::{ConnectionClosed, TestConnection};
use super::deadline::Deadline;
use crate::protocol::{Framer, HubMessage, HubProtocol, ProtocolError, RawValue, ReadError};

/// Error of an invocation.
///
/// ```
/// use signalr::testing::{InvocationError, TestClient};
///
/// async fn is_unauthorized(client: &TestClient) -> bool {
///     matches!(client.invoke::<()>("Reset", ()).await, Err(InvocationError::Server(text)) if text.contains("unauthorized"))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvocationError {
    /// The server completed the invocation with this error.
    #[error("{0}")]
    Server(String),
    /// The connection ended before the completion.
    #[error("connection ended before the completion: {0}")]
    Closed(ConnectionClosed),
    /// The result or the stream item cannot be deserialized as the requested type.
    #[error("result has another type")]
    Unreadable(#[source] ProtocolError),
}

/// Result of an invocation that was sent; see [`TestClient::invoke`](super::TestClient::invoke).
///
/// # Panics
///
/// Panics if the completion is not received in time.
///
/// ```
/// # async fn calls(client: signalr::testing::TestClient) -> Result<(), Box<dyn std::error::Error>> {
/// let first = client.invoke::<i32>("Add", (1, 2));
/// let second = client.invoke::<i32>("Add", (3, 4));
/// assert_eq!((first.await?, second.await?), (3, 7));
/// # Ok(())
/// # }
/// ```
#[must_use = "the future returns whether the invocation succeeded"]
pub struct InvokeFuture<R> {
    connection: TestConnection,
    method: String,
    frames: mpsc::UnboundedReceiver<Vec<u8>>,
    deadline: Deadline,
    _result: PhantomData<fn() -> R>,
}

impl<R> InvokeFuture<R> {
    #[track_caller]
    pub(super) fn new(connection: TestConnection, method: &str, id: &str) -> Self {
        let (frames, deadline) = (connection.register_invocation(id), Deadline::new(connection.deadline));
        Self { connection, method: method.to_owned(), frames, deadline, _result: PhantomData }
    }
}

impl<R: DeserializeOwned> Future for InvokeFuture<R> {
    type Output = Result<R, InvocationError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { connection, method, frames, deadline, .. } = self.get_mut();
        match frames.poll_recv(cx) {
            Poll::Ready(Some(frame)) => Poll::Ready(parse_completion(connection.protocol, &frame)),
            Poll::Ready(None) => Poll::Ready(Err(InvocationError::Closed(connection.closed()))),
            Poll::Pending => {
                deadline.poll(cx, || format!("`{method}` did not complete"));
                Poll::Pending
            }
        }
    }
}

impl<R> fmt::Debug for InvokeFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvokeFuture").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Parses a completion.
fn parse_completion<R: DeserializeOwned>(protocol: HubProtocol, frame: &[u8]) -> Result<R, InvocationError> {
    match protocol.parse(frame, |_| true) {
        Ok(Some(HubMessage::Completion { error: Some(error), .. })) => Err(InvocationError::Server(error.into_owned())),
        Ok(Some(HubMessage::Completion { result: Some(result), .. })) => read(result),
        Ok(Some(HubMessage::Completion { .. })) => read_null(protocol),
        Ok(_) => Err(InvocationError::Unreadable(ProtocolError::new(
            "InvalidDataException",
            "stream item instead of a completion",
        ))),
        Err(error) => Err(InvocationError::Unreadable(error)),
    }
}

pub(super) fn read<T: DeserializeOwned>(value: RawValue<'_>) -> Result<T, InvocationError> {
    value.read().map_err(|error: ReadError| InvocationError::Unreadable(error.into_inner()))
}

/// Deserializes null: a completion without a result counts as null.
fn read_null<R: DeserializeOwned>(protocol: HubProtocol) -> Result<R, InvocationError> {
    let mut null = Vec::new();
    protocol.write_result(&mut null, "0", &()).map_err(|error| InvocationError::Unreadable(error.into_inner()))?;
    let frame = Framer::new(protocol.kind(), None).next(&mut &null[..]).map(|frame| frame.map(<[u8]>::to_vec));
    match frame {
        Ok(Some(frame)) => parse_completion(protocol, &frame),
        Ok(None) => unreachable!("the buffer holds a complete message"),
        Err(error) => Err(InvocationError::Unreadable(error)),
    }
}
