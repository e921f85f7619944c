//! The answer to a call.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::line::{Closed, Line};
use super::patience::Patience;
use crate::protocol::{Framer, HubMessage, HubProtocol, ProtocolError, Raw, ReadError};

/// A call came to no result.
///
/// ```
/// use signalr::testing::{InvokeFailure, TestClient};
///
/// async fn is_refused(client: &TestClient) -> bool {
///     matches!(client.invoke::<()>("Reset", ()).await, Err(InvokeFailure::Server(text)) if text.contains("unauthorized"))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeFailure {
    /// The server says so, in this text.
    #[error("{0}")]
    Server(String),
    /// The connection ended first.
    #[error("the connection ended before the answer came: {0}")]
    Closed(Closed),
    /// The answer, or an item of the stream, is of another type than was asked for.
    #[error("the answer is of another type")]
    Unreadable(#[source] ProtocolError),
}

/// The answer to a call that was made: what [`TestClient::invoke`](super::TestClient::invoke) gives.
///
/// # Panics
///
/// When it does not come in time.
///
/// ```
/// # async fn calls(client: signalr::testing::TestClient) -> Result<(), Box<dyn std::error::Error>> {
/// let first = client.invoke::<i32>("Add", (1, 2));
/// let second = client.invoke::<i32>("Add", (3, 4));
/// assert_eq!((first.await?, second.await?), (3, 7));
/// # Ok(())
/// # }
/// ```
#[must_use = "whether the call succeeded is in the answer"]
pub struct Answer<R> {
    line: Line,
    method: String,
    frames: mpsc::UnboundedReceiver<Vec<u8>>,
    patience: Patience,
    _result: PhantomData<fn() -> R>,
}

impl<R> Answer<R> {
    #[track_caller]
    pub(super) fn new(line: Line, method: &str, id: &str) -> Self {
        let (frames, patience) = (line.answers(id), Patience::new(line.deadline));
        Self { line, method: method.to_owned(), frames, patience, _result: PhantomData }
    }
}

impl<R: DeserializeOwned> Future for Answer<R> {
    type Output = Result<R, InvokeFailure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { line, method, frames, patience, .. } = self.get_mut();
        match frames.poll_recv(cx) {
            Poll::Ready(Some(frame)) => Poll::Ready(result(line.protocol, &frame)),
            Poll::Ready(None) => Poll::Ready(Err(InvokeFailure::Closed(line.closed()))),
            Poll::Pending => {
                patience.poll(cx, || format!("`{method}` was not answered"));
                Poll::Pending
            }
        }
    }
}

impl<R> fmt::Debug for Answer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What stands in a completion.
fn result<R: DeserializeOwned>(protocol: HubProtocol, frame: &[u8]) -> Result<R, InvokeFailure> {
    match protocol.parse(frame, |_| true) {
        Ok(Some(HubMessage::Completion { error: Some(error), .. })) => Err(InvokeFailure::Server(error.into_owned())),
        Ok(Some(HubMessage::Completion { result: Some(result), .. })) => read(result),
        Ok(Some(HubMessage::Completion { .. })) => nothing(protocol),
        Ok(_) => Err(InvokeFailure::Unreadable(ProtocolError::new("InvalidDataException", "an item, not a result"))),
        Err(error) => Err(InvokeFailure::Unreadable(error)),
    }
}

pub(super) fn read<T: DeserializeOwned>(value: Raw<'_>) -> Result<T, InvokeFailure> {
    value.read().map_err(|error: ReadError| InvokeFailure::Unreadable(error.into_inner()))
}

/// No result is as good as null.
fn nothing<R: DeserializeOwned>(protocol: HubProtocol) -> Result<R, InvokeFailure> {
    let mut null = Vec::new();
    protocol.write_result(&mut null, "0", &()).map_err(|error| InvokeFailure::Unreadable(error.into_inner()))?;
    let frame = Framer::new(protocol.format(), None).next(&mut &null[..]).map(|frame| frame.map(<[u8]>::to_vec));
    match frame {
        Ok(Some(frame)) => result(protocol, &frame),
        Ok(None) => unreachable!("a whole message was written"),
        Err(error) => Err(InvokeFailure::Unreadable(error)),
    }
}
