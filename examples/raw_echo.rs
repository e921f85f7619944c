//! A connection handler without the hub protocol: it echoes bytes over every transport.
//!
//! Run `cargo run --example raw_echo`, and enter in the console of a browser:
//!
//! ```js
//! const socket = new WebSocket('ws://127.0.0.1:5000/echo');
//! socket.onmessage = ({ data }) => console.log(data);
//! socket.onopen = () => socket.send('Hello!');
//! ```

use std::error::Error;
use std::time::Duration;

use signalr::SignalR;
use signalr::raw::RawConnection;
use tokio::net::TcpListener;

/// Echoes all bytes until the client disconnects.
async fn echo(mut connection: RawConnection) -> Result<(), Box<dyn Error + Send + Sync>> {
    while let Some(bytes) = connection.read().await {
        connection.write(bytes).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let signalr = SignalR::builder().connection_handler("/echo", echo).build()?;

    let listener = TcpListener::bind("127.0.0.1:5000").await?;
    tokio::spawn(signalr.clone().serve(listener));

    tokio::signal::ctrl_c().await?;
    signalr.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
