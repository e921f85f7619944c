//! Timeouts of one socket of an HTTP server: pending writes, idle connections and slow request
//! heads.

mod activity;
mod handle;
mod keep_alive;
mod stream;
mod timer;

pub use handle::SocketHandle;
pub(crate) use keep_alive::Phase;
pub use stream::TimeoutStream;
