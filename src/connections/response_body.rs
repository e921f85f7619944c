//! Response body of the service.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::http_connection::HttpConnection;
use super::long_polling::PollPermit;
use super::sse::Events;
use crate::outbound::{BodyAborted, BodyChunks};
use crate::socket::SocketHandle;

/// Body of a response of [`Service`](crate::hosting::Service).
///
/// The body returns an error when its connection is aborted because the client reads too slowly. An
/// HTTP server that waits for the socket does not poll the body;
/// [`TimeoutStream`](crate::hosting::TimeoutStream) closes the socket in that case.
///
/// ```
/// use http_body_util::BodyExt;
///
/// /// Reads a finite response, such as that of negotiate.
/// async fn text(response: http::Response<signalr::hosting::ResponseBody>) -> String {
///     let bytes = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
///     String::from_utf8_lossy(&bytes).into_owned()
/// }
/// ```
#[derive(Debug, Default)]
pub struct ResponseBody {
    content: BodyContent,
    /// Socket of the response, if the host has set it.
    socket: Option<SocketHandle>,
}

#[derive(Debug)]
enum BodyContent {
    Whole(Bytes),
    /// Response to a poll.
    Messages {
        messages: BodyChunks,
        _turn: PollPermit,
    },
    Events(Events),
}

impl ResponseBody {
    /// Body of the response to a poll. The poll is active until the body is written.
    pub(super) fn messages(messages: BodyChunks, turn: PollPermit) -> Self {
        BodyContent::Messages { messages, _turn: turn }.into()
    }

    /// Body with all further messages of a connection as Server-Sent Events.
    pub(super) fn events(entry: Arc<HttpConnection>) -> Self {
        BodyContent::Events(Events::new(entry)).into()
    }

    /// Sets the socket that tracks the chunks handed to the HTTP server.
    pub(crate) fn set_socket(&mut self, socket: Option<SocketHandle>) {
        self.socket = socket;
    }
}

impl From<BodyContent> for ResponseBody {
    fn from(content: BodyContent) -> Self {
        Self { content, socket: None }
    }
}

impl Default for BodyContent {
    fn default() -> Self {
        Self::Whole(Bytes::new())
    }
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        BodyContent::Whole(bytes).into()
    }
}

impl From<&'static str> for ResponseBody {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = match &mut self.content {
            BodyContent::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                (!bytes.is_empty()).then_some(Ok(bytes))
            }
            BodyContent::Messages { messages, .. } => ready!(messages.poll_chunk(cx)),
            BodyContent::Events(events) => ready!(events.poll_chunk(cx)),
        };
        Poll::Ready(piece.map(|piece| match (piece, &self.socket) {
            (Ok(bytes), Some(socket)) => Ok(Frame::data(socket.track(bytes))),
            (Ok(bytes), None) => Ok(Frame::data(bytes)),
            (Err(BodyAborted), socket) => {
                // Over HTTP/2 the error would only reset the stream; Kestrel closes the socket.
                socket.iter().for_each(SocketHandle::abort);
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, "connection aborted"))
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            BodyContent::Whole(bytes) => bytes.is_empty(),
            BodyContent::Messages { messages, .. } => messages.is_empty(),
            BodyContent::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            BodyContent::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            BodyContent::Messages { messages, .. } => SizeHint::with_exact(messages.len() as u64),
            BodyContent::Events(_) => SizeHint::default(),
        }
    }
}
