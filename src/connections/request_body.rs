//! The body of a request, which is read to its end even where nobody wants it.

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

/// An unwanted body is read for so long (Kestrel: `RequestBodyDrainTimeout`).
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A body that is read on when it is dropped. Over HTTP/1.1 the next request stands behind it; and a socket that is
/// closed with unread bytes takes the answer with it. One that is too long or too slow ends its connection.
pub(crate) struct RequestBody<B>
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    /// `None` when nothing is left to read.
    rest: Option<Pin<Box<B>>>,
    /// What reads on; streams of HTTP/2 just end.
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
    // However far it came, the body is dropped with this, and the server closes the connection if that was not all.
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
