//! A server of raw connections that records the bytes they read.

use std::error::Error;
use std::sync::{Arc, Mutex};

use signalr::SignalR;
use signalr::raw::{RawConnection, RawEnd};

/// The bytes that a connection read, and why it ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) payload: Vec<u8>,
    pub(crate) end: Option<RawEnd>,
}

/// A server with one handler at `/raw`, which echoes, and the record of its connection.
pub(crate) fn server() -> (SignalR, Arc<Mutex<Seen>>) {
    let seen = Arc::<Mutex<Seen>>::default();
    let shared = Arc::clone(&seen);
    let server = SignalR::builder().connection_handler("/raw", move |connection| echo(connection, Arc::clone(&shared)));
    (server.build().expect("one endpoint"), seen)
}

async fn echo(mut connection: RawConnection, seen: Arc<Mutex<Seen>>) -> Result<(), Box<dyn Error + Send + Sync>> {
    connection.set_binary();
    while let Some(bytes) = connection.read().await {
        seen.lock().expect("no panic under the lock").payload.extend_from_slice(&bytes);
        // An error: the client reads no more, but there may be more to read.
        let _ = connection.write(bytes).await;
    }
    seen.lock().expect("no panic under the lock").end = connection.end();
    Ok(())
}
