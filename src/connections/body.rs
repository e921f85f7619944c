//! The response body of the service.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::entry::Entry;
use super::long_polling::Turn;
use super::sse::Events;
use crate::outbound::{GivenUp, HandedOver};

/// The body of a response of [`Service`](crate::Service).
///
/// It fails when a connection is given up while a client reads too slowly; the HTTP server closes the socket then.
///
/// ```
/// use http_body_util::BodyExt;
///
/// /// All of an answer that has an end, such as that of a negotiation.
/// async fn text(response: http::Response<signalr::Body>) -> String {
///     let bytes = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
///     String::from_utf8_lossy(&bytes).into_owned()
/// }
/// ```
#[derive(Debug, Default)]
pub struct Body(Content);

#[derive(Debug)]
enum Content {
    Whole(Bytes),
    /// What a poll brings.
    Messages {
        messages: HandedOver,
        _turn: Turn,
    },
    Events(Events),
}

impl Body {
    /// The answer to a poll, which is under way until the body is written.
    pub(super) fn messages(messages: HandedOver, turn: Turn) -> Self {
        Self(Content::Messages { messages, _turn: turn })
    }

    /// Everything that a connection sends from now on.
    pub(super) fn events(entry: Arc<Entry>) -> Self {
        Self(Content::Events(Events::new(entry)))
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Whole(Bytes::new())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Content::Whole(bytes))
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = match &mut self.0 {
            Content::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                (!bytes.is_empty()).then_some(Ok(bytes))
            }
            Content::Messages { messages, .. } => ready!(messages.poll_piece(cx)),
            Content::Events(events) => ready!(events.poll_piece(cx)),
        };
        Poll::Ready(piece.map(|piece| piece.map(Frame::data).map_err(given_up)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Messages { messages, .. } => messages.is_empty(),
            Content::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Messages { messages, .. } => SizeHint::with_exact(messages.len() as u64),
            Content::Events(_) => SizeHint::default(),
        }
    }
}

fn given_up(_: GivenUp) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was given up")
}
