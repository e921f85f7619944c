//! One socket of an HTTP server: writes that time out.

mod activity;
mod handle;
mod stream;
mod timer;

pub use handle::SocketHandle;
pub use stream::TimeoutStream;
