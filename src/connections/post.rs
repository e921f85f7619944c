//! POST requests: messages of clients on Server-Sent Events and long polling.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use http::header::{CONNECTION, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::ResponseBody;
use super::endpoint::plain;
use super::http_connection::HttpConnection;
use super::post_buffer::PostBufferClosed;

/// Maximum size of a request body (Kestrel: `MaxRequestBodySize`).
pub(super) const MAX_BODY_BYTES: u64 = 30_000_000;

/// Minimum rate at which a body must arrive after the grace period (Kestrel:
/// `MinRequestBodyDataRate`).
const MIN_DATA_RATE_BYTES_PER_SECOND: u32 = 240;
const MIN_DATA_RATE_GRACE_PERIOD: Duration = Duration::from_secs(5);

/// Number of bytes to buffer before waiting for capacity
/// (`aspnet: HttpConnectionDispatcher.ProcessSend`).
const CHUNK_BYTES: usize = 4096;

/// Error of a POST request.
enum PostError {
    /// The body is incomplete, too slow or too large.
    Unreadable,
    /// The connection has ended.
    Closed,
}

impl From<PostBufferClosed> for PostError {
    fn from(_: PostBufferClosed) -> Self {
        Self::Closed
    }
}

/// Appends a body to the input of the connection. Status 200 means that the body was buffered, not
/// that it was processed.
pub(super) async fn send<B>(entry: Arc<HttpConnection>, body: B) -> Response<ResponseBody>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    let taken = tokio::select! {
        biased;
        taken = take(&entry, body) => taken,
        () = entry.inbox().closed() => Err(PostError::Closed),
    };
    match taken {
        Ok(()) => plain(StatusCode::OK, ""),
        Err(PostError::Closed) => plain(StatusCode::NOT_FOUND, ""),
        Err(PostError::Unreadable) => {
            let mut response = plain(StatusCode::BAD_REQUEST, "");
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

async fn take<B: http_body::Body>(entry: &HttpConnection, body: B) -> Result<(), PostError> {
    let inbox = entry.inbox();
    let _turn = inbox.turn().await;
    if inbox.is_closed() {
        return Err(PostError::Closed);
    }
    let mut left = MAX_BODY_BYTES;
    if body.size_hint().lower() > left {
        return Err(PostError::Unreadable);
    }
    let mut body = pin!(body.map_err(drop));
    let mut deadline = Instant::now() + MIN_DATA_RATE_GRACE_PERIOD;
    while let Some(frame) = timeout_at(deadline, body.frame()).await.map_err(|_| PostError::Unreadable)? {
        let Ok(frame) = frame else { return Err(PostError::Unreadable) };
        // Trailers are ignored.
        let Ok(mut data) = frame.into_data() else { continue };
        left = left.checked_sub(data.remaining() as u64).ok_or(PostError::Unreadable)?;
        deadline += Duration::from_secs(data.remaining() as u64) / MIN_DATA_RATE_BYTES_PER_SECOND;
        let arrived = Instant::now();
        while data.has_remaining() {
            let len = data.chunk().len().min(CHUNK_BYTES);
            inbox.push(&data.chunk()[..len]).await?;
            data.advance(len);
        }
        // The time spent waiting for the hub does not count against the client.
        deadline += arrived.elapsed();
    }
    Ok(())
}
