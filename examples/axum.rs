//! A hub in an axum application: the hubs are the router's fallback service, and an axum handler
//! sends messages to the clients.
//!
//! Run `cargo run --example axum`, connect a SignalR client with a handler for `Notice` to
//! `http://127.0.0.1:5000/hubs/notices`, and send a message with
//! `curl -d 'Lunch is ready' http://127.0.0.1:5000/notices`.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::serve::{IncomingStream, Listener};
use signalr::hosting::TimeoutStream;
use signalr::{Caller, HubContext, HubResult, SignalR, hub, hub_client};
use tokio::net::{TcpListener, TcpStream};

/// Methods of a client that the server can invoke.
#[hub_client]
trait NoticeClient {
    fn notice(&self, text: &str);
}

struct Notices;

#[hub(client = NoticeClient)]
impl Notices {
    async fn on_connected(&self, caller: &Caller<Self>) -> HubResult {
        let from = caller.request().peer_addr();
        caller
            .client()
            .notice(&format!("Welcome, {}.", from.map_or_else(String::new, |from| from.to_string())))
            .await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let signalr = SignalR::builder()
        // `into_make_service_with_connect_info` stores the peer address in this extension.
        .peer_addr(|extensions| extensions.get().map(|ConnectInfo(Peer(addr)): &ConnectInfo<Peer>| *addr))
        .hub("/hubs/notices", Notices)
        .build()?;

    let app = Router::new()
        .route("/", get(async || "POST a text to /notices to send it to all clients.\n"))
        .route("/notices", post(publish))
        .with_state(signalr.context::<Notices>())
        // `nest_service` would strip the prefix, but the hub is mapped to the full path.
        .fallback_service(signalr.service());

    let listener = TimeoutListener(TcpListener::bind("127.0.0.1:5000").await?, signalr.clone());
    let shutdown_signal = async move {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "failed to listen for Ctrl+C");
        }
        // Closes the WebSockets. axum would wait for them.
        signalr.shutdown(Duration::from_secs(5)).await;
    };
    axum::serve(listener, app.into_make_service_with_connect_info::<Peer>())
        .with_graceful_shutdown(shutdown_signal)
        .await?;
    Ok(())
}

/// Listener whose sockets are closed if the client stops reading.
struct TimeoutListener(TcpListener, SignalR);

impl Listener for TimeoutListener {
    type Io = TimeoutStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let (socket, peer) = Listener::accept(&mut self.0).await;
        (self.1.timeout_stream(socket), peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Address of the peer.
#[derive(Clone, Copy)]
struct Peer(SocketAddr);

impl Connected<IncomingStream<'_, TimeoutListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TimeoutListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

async fn publish(State(notices): State<HubContext<Notices>>, text: String) -> StatusCode {
    match notices.clients().all().notice(&text).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(error) => {
            tracing::error!(%error, "failed to send notice");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}
