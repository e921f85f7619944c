//! Request body that is drained when it is dropped unread.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use super::post::MAX_BODY_BYTES;
use crate::tasks::Tasks;

/// Longest time to drain a body (Kestrel: `RequestBodyDrainTimeout`).
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Request body that reads its remaining bytes when it is dropped.
///
/// Over HTTP/1.1 the next request follows the body, and closing a socket with unread bytes resets
/// it, which can lose the response. A body that is too long or too slow ends its HTTP connection.
pub(crate) struct RequestBody<B>
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    /// `None` at the end of the body.
    rest: Option<Pin<Box<B>>>,
    /// Tasks that drain the body; `None` over HTTP/2, where the stream is reset instead.
    drain: Option<Tasks>,
}

impl<B> RequestBody<B>
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    pub(crate) fn new(body: B, version: Version, tasks: &Tasks) -> Self {
        let rest = (!body.is_end_stream()).then(|| Box::pin(body));
        let drain = (rest.is_some() && version <= Version::HTTP_11).then(|| tasks.clone());
        Self { rest, drain }
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let frame = ready!(rest.as_mut().poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.rest = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.as_ref().is_none_or(|rest| rest.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.rest.as_ref().map_or_else(|| SizeHint::with_exact(0), |rest| rest.size_hint())
    }
}

impl<B> Drop for RequestBody<B>
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    fn drop(&mut self) {
        if let (Some(rest), Some(tasks)) = (self.rest.take(), self.drain.take())
            && !rest.is_end_stream()
            && rest.size_hint().lower() <= MAX_BODY_BYTES
        {
            tasks.spawn(drain(rest));
        }
    }
}

async fn drain<B: Body>(mut body: Pin<Box<B>>) {
    let mut left = MAX_BODY_BYTES;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, |data| data.remaining() as u64);
            let Some(rest) = left.checked_sub(length) else { break };
            left = rest;
        }
    };
    // The body is dropped here; the HTTP server closes the connection if bytes are left.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, read).await;
}

impl<B> fmt::Debug for RequestBody<B>
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("is_end_stream", &self.is_end_stream()).finish_non_exhaustive()
    }
}
