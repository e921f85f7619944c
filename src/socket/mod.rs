//! One socket of an HTTP server: writes that time out, and since when it waits for a request.

mod activity;
mod handle;
mod keep_alive;
mod stream;
mod timer;

pub use handle::SocketHandle;
pub(crate) use keep_alive::Phase;
pub use stream::TimeoutStream;
