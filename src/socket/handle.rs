//! The socket of a request, as its response sees it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::activity::Activity;

/// Lets the responses of [`Service`](crate::hosting::Service) close the socket of a request that takes none of their bytes.
///
/// It comes from [`TimeoutStream::handle`](crate::hosting::TimeoutStream::handle) and belongs into the extensions of each request
/// over HTTP/2, where a peer may read its socket and still give a stream no window. [`SignalR::serve`](crate::SignalR::serve)
/// puts it there; other hosts do so as with [`PeerAddr`](crate::hosting::PeerAddr).
///
/// ```
/// use signalr::hosting::SocketHandle;
///
/// fn accepted<B>(request: &mut http::Request<B>, socket: &SocketHandle) {
///     request.extensions_mut().insert(socket.clone());
/// }
/// ```
#[derive(Clone)]
pub struct SocketHandle(Arc<OpenRequest>);

/// A request that is open until this is dropped.
struct OpenRequest {
    activity: Arc<Activity>,
}

impl SocketHandle {
    /// Opens a request, which ends with the last clone of the handle.
    pub(crate) fn open(activity: &Arc<Activity>, has_body: bool) -> Self {
        activity.begin_request(has_body);
        Self(Arc::new(OpenRequest { activity: Arc::clone(activity) }))
    }

    /// Closes the socket.
    pub(crate) fn abort(&self) {
        self.0.activity.abort();
    }

    /// Bytes that have to be dropped before the timeout of the socket is over.
    pub(crate) fn track(&self, bytes: Bytes) -> Bytes {
        let number = self.0.activity.begin_chunk();
        Bytes::from_owner(Chunk { bytes, number, socket: self.clone() })
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.activity.end_request();
    }
}

impl fmt::Debug for SocketHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketHandle").finish_non_exhaustive()
    }
}

/// A chunk of a response body that the HTTP server has.
struct Chunk {
    bytes: Bytes,
    number: u64,
    socket: SocketHandle,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.socket.0.activity.end_chunk(self.number);
    }
}
