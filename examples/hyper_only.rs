//! How is a hub served without a framework, and written without the macros? By hyper itself, from a loop of one's own.
//!
//! `cargo run --example hyper_only`, then a SignalR client on `http://127.0.0.1:5000/sums` may `invoke('Add', 1, 2)`.

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

/// Adds, and tells everybody the sum.
struct Sums;

/// What `#[hub]` would write.
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
    // Without a contract, clients are called by the names of their methods.
    caller.others().send("Added", (a, b, sum)).await?;
    Ok(sum)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let signalr = SignalR::builder().hub("/sums", Sums).build()?;
    let listener = TcpListener::bind("127.0.0.1:5000").await?;
    loop {
        let (socket, peer) = listener.accept().await?;
        // Closes the socket of a client that reads nothing.
        let socket = signalr.timeout_stream(socket);
        let handle = socket.handle();
        let hubs = signalr.service();
        let service = service_fn(move |mut request: Request<Incoming>| {
            // What the hub sees as `caller.request().peer_addr()`.
            request.extensions_mut().insert(PeerAddr(peer));
            // A stream of HTTP/2 may take nothing while the socket does.
            request.extensions_mut().insert(handle.clone());
            let hubs = hubs.clone();
            async move { respond(&hubs, request).await }
        });
        tokio::spawn(async move {
            // Without `_with_upgrades` there would be no WebSockets.
            let http = auto::Builder::new(TokioExecutor::new());
            if let Err(error) = http.serve_connection_with_upgrades(TokioIo::new(socket), service).await {
                tracing::debug!(error, "an HTTP connection ended badly");
            }
        });
    }
}

/// The hubs answer their own paths; the rest is for this server to answer.
async fn respond(
    hubs: &signalr::hosting::Service,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    match request.uri().path() {
        "/" => Ok(Response::new("Connect a SignalR client to /sums.\n".into())),
        _ => hubs.call(request).await,
    }
}
