//! How do a hub and an axum application go together? The hub is the router's fallback, and a handler sends to its clients.
//!
//! `cargo run --example axum`; with a SignalR client connected to `http://127.0.0.1:5000/hubs/notices` that listens to
//! `Notice`, try `curl -d 'Lunch is ready' http://127.0.0.1:5000/notices`.

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

/// What a client offers to the server.
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
        // axum leaves the address of the peer here, where `into_make_service_with_connect_info` is used.
        .peer_addr(|extensions| extensions.get().map(|ConnectInfo(Peer(addr)): &ConnectInfo<Peer>| *addr))
        .hub("/hubs/notices", Notices)
        .build()?;

    let app = Router::new()
        .route("/", get(async || "POST a text to /notices, and every client hears of it.\n"))
        .route("/notices", post(publish))
        .with_state(signalr.context::<Notices>())
        // Not `nest_service`, which would cut the prefix off the path before the hub sees it.
        .fallback_service(signalr.service());

    let listener = Sockets(TcpListener::bind("127.0.0.1:5000").await?, signalr.clone());
    let stop = async move {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "Ctrl+C cannot be heard");
        }
        // Ends the WebSockets, which axum would wait for.
        signalr.shutdown(Duration::from_secs(5)).await;
    };
    axum::serve(listener, app.into_make_service_with_connect_info::<Peer>()).with_graceful_shutdown(stop).await?;
    Ok(())
}

/// Sockets that are closed when their client reads nothing.
struct Sockets(TcpListener, SignalR);

impl Listener for Sockets {
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

/// Address of a client.
#[derive(Clone, Copy)]
struct Peer(SocketAddr);

impl Connected<IncomingStream<'_, Sockets>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Sockets>) -> Self {
        Self(*stream.remote_addr())
    }
}

async fn publish(State(notices): State<HubContext<Notices>>, text: String) -> StatusCode {
    match notices.clients().all().notice(&text).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(error) => {
            tracing::error!(%error, "a notice could not be sent");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}
