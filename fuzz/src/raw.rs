//! A server with a connection handler that records the bytes it reads.

use std::error::Error;
use std::sync::{Arc, Mutex};

use signalr::SignalR;
use signalr::raw::{RawConnection, RawEnd};

/// Bytes that a connection handler has read, and the reason for the end of its connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) payload: Vec<u8>,
    pub(crate) end: Option<RawEnd>,
}

/// Creates a server with an echo handler at `/raw`, and the record of its connection.
pub(crate) fn server() -> (SignalR, Arc<Mutex<Recorded>>) {
    let recorded = Arc::<Mutex<Recorded>>::default();
    let shared = Arc::clone(&recorded);
    let server = SignalR::builder().connection_handler("/raw", move |connection| echo(connection, Arc::clone(&shared)));
    (server.build().expect("one endpoint"), recorded)
}

async fn echo(
    mut connection: RawConnection,
    recorded: Arc<Mutex<Recorded>>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    connection.set_binary();
    while let Some(bytes) = connection.read().await {
        recorded.lock().expect("no panic under the lock").payload.extend_from_slice(&bytes);
        // After an error the client reads no more, but more bytes may arrive.
        let _ = connection.write(bytes).await;
    }
    recorded.lock().expect("no panic under the lock").end = connection.end();
    Ok(())
}
