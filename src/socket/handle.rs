//! Handle of a response to the socket of its request.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::activity::Activity;

/// Lets the responses of [`Service`](crate::hosting::Service) close the socket of a peer that reads
/// none of their bytes.
///
/// [`TimeoutStream::handle`](crate::hosting::TimeoutStream::handle) returns the handle. It belongs
/// into the extensions of each HTTP/2 request, since an HTTP/2 peer may read its socket and still
/// grant a stream no flow-control window. [`SignalR::serve`](crate::SignalR::serve) inserts it;
/// other hosts insert it as they insert [`PeerAddr`](crate::hosting::PeerAddr).
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

/// Counts a request as open until it is dropped.
struct OpenRequest {
    activity: Arc<Activity>,
}

impl SocketHandle {
    /// Counts a request as open until the last clone of the handle is dropped.
    pub(crate) fn open(activity: &Arc<Activity>, has_body: bool) -> Self {
        activity.begin_request(has_body);
        Self(Arc::new(OpenRequest { activity: Arc::clone(activity) }))
    }

    /// Closes the socket.
    pub(crate) fn abort(&self) {
        self.0.activity.abort();
    }

    /// Returns the same bytes, which must be dropped before the timeout of the socket elapses.
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

/// Chunk of a response body that the HTTP server owns.
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
