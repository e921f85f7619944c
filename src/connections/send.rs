//! POST: what clients without a WebSocket send.

use std::pin::pin;
use std::sync::Arc;

use bytes::Buf;
use http::header::{CONNECTION, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::BodyExt;

use super::Body;
use super::endpoint::plain;
use super::entry::Entry;
use super::inbox::Closed;

/// The largest body (Kestrel: `MaxRequestBodySize`).
pub(super) const MAX_BODY: u64 = 30_000_000;

/// A body is copied so far, and then waits for room (`aspnet: HttpConnectionDispatcher.ProcessSend`).
const PIECE: usize = 4096;

/// Why a body was not taken.
enum Refused {
    /// The client did not send all of it, or far too much.
    Unreadable,
    /// The connection ends.
    Closed,
}

impl From<Closed> for Refused {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

/// Adds a body to what the connection reads. 200 says that it was taken, not that anything was done with it.
pub(super) async fn send<B>(entry: Arc<Entry>, body: B) -> Response<Body>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    match take(&entry, body).await {
        Ok(()) => plain(StatusCode::OK, ""),
        Err(Refused::Closed) => plain(StatusCode::NOT_FOUND, ""),
        Err(Refused::Unreadable) => {
            let mut response = plain(StatusCode::BAD_REQUEST, "");
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

async fn take<B: http_body::Body>(entry: &Entry, body: B) -> Result<(), Refused> {
    let inbox = entry.inbox();
    let _turn = inbox.turn().await;
    if inbox.is_closed() {
        return Err(Refused::Closed);
    }
    let mut left = MAX_BODY;
    if body.size_hint().lower() > left {
        return Err(Refused::Unreadable);
    }
    let mut body = pin!(body.map_err(drop));
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(Refused::Unreadable) };
        // Trailers say nothing.
        let Ok(mut data) = frame.into_data() else { continue };
        left = left.checked_sub(data.remaining() as u64).ok_or(Refused::Unreadable)?;
        while data.has_remaining() {
            let len = data.chunk().len().min(PIECE);
            inbox.push(&data.chunk()[..len]).await?;
            data.advance(len);
        }
    }
    Ok(())
}
