//! A hub without a web framework and without macros: an accept loop serves it with hyper, and its
//! methods are registered by hand.
//!
//! Run `cargo run --example hyper_only`, connect a SignalR client to `http://127.0.0.1:5000/sums`
//! and call `invoke('Add', 1, 2)`.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use signalr::hosting::{PeerAddr, ResponseBody};
use signalr::hub::{AnyClient, Methods};
use signalr::{Caller, Hub, HubResult, SignalR};
use tokio::net::TcpListener;

/// Adds numbers and sends the sum to the other clients.
struct Sums;

/// The implementation that `#[hub]` would generate.
impl Hub for Sums {
    type Client = AnyClient;
    type Items = ();

    fn methods(methods: &mut Methods<Self>) {
        methods.method("Add", add);
        methods.method(
            "Whoami",
            |_hub, caller: Caller<Self>, (): ()| async move { Ok(caller.connection_id().to_string()) },
        );
    }
}

async fn add(_hub: Arc<Sums>, caller: Caller<Sums>, (a, b): (i64, i64)) -> HubResult<Option<i64>> {
    let sum = a.checked_add(b);
    // Without a `#[hub_client]` trait, methods of clients are invoked by name.
    caller.others().send("Added", (a, b, sum)).await?;
    Ok(sum)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let signalr = SignalR::builder().hub("/sums", Sums).build()?;
    let listener = TcpListener::bind("127.0.0.1:5000").await?;
    loop {
        let (socket, peer) = listener.accept().await?;
        // Closes the socket if the client stops reading.
        let socket = signalr.timeout_stream(socket);
        let handle = socket.handle();
        let hubs = signalr.service();
        let service = service_fn(move |mut request: Request<Incoming>| {
            // The hub reads it with `caller.request().peer_addr()`.
            request.extensions_mut().insert(PeerAddr(peer));
            // With HTTP/2 a client can stop reading one stream while it reads the socket.
            request.extensions_mut().insert(handle.clone());
            let hubs = hubs.clone();
            async move { respond(&hubs, request).await }
        });
        tokio::spawn(async move {
            // WebSockets need `_with_upgrades`.
            let http = auto::Builder::new(TokioExecutor::new());
            if let Err(error) = http.serve_connection_with_upgrades(TokioIo::new(socket), service).await {
                tracing::debug!(error, "HTTP connection failed");
            }
        });
    }
}

/// Handles the paths of this server; the hubs handle all others.
async fn respond(
    hubs: &signalr::hosting::Service,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    match request.uri().path() {
        "/" => Ok(Response::new("Connect a SignalR client to /sums.\n".into())),
        _ => hubs.call(request).await,
    }
}
