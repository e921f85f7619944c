//! The HTTP server of the hubs, and its other routes.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use lexopt::ValueExt;
use serde_json::{Value, json};
use signalr::{HubContext, SignalR};
use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::hub_variants::ConformanceHub;
use super::streams::client_result_text;

/// Options of the command line.
pub(crate) struct Options {
    /// URLs to listen on.
    pub(crate) urls: Vec<String>,
    /// URL to which the server redirects its clients.
    pub(crate) server_url: Option<String>,
}

pub(crate) fn options() -> Result<Options, Box<dyn Error>> {
    let mut urls = "http://127.0.0.1:5000".to_owned();
    let mut server_url = None;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Long("urls") => urls = arguments.value()?.string()?,
            lexopt::Arg::Long("server-url") => server_url = Some(arguments.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Options { urls: urls.split(';').map(str::to_owned).collect(), server_url })
}

/// Serves until Ctrl-C or SIGTERM.
pub(crate) async fn run(urls: &[String], signalr: SignalR) -> Result<(), Box<dyn Error>> {
    let app = app(&signalr);
    let shutdown = CancellationToken::new();
    let mut servers = JoinSet::new();
    for url in urls {
        let address = url.strip_prefix("http://").ok_or("only http:// URLs are served")?;
        let listener = listen(address.trim_end_matches('/')).await?;
        let line = format!("Now listening on: http://{}\n", listener.local_addr()?);
        std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes())?;
        let signal = shutdown.clone().cancelled_owned();
        servers.spawn(axum::serve(listener, app.clone()).with_graceful_shutdown(signal).into_future());
    }
    shutdown_signal().await?;
    shutdown.cancel();
    signalr.shutdown(Duration::from_secs(5)).await;
    // Lets pending responses finish, including the Close messages of polls and event streams.
    let _ = tokio::time::timeout(Duration::from_secs(1), servers.join_all()).await;
    Ok(())
}

/// Listens with Kestrel's backlog of connections that are not accepted yet. tokio's default backlog
/// of 128 is too small for load tests.
async fn listen(address: &str) -> std::io::Result<TcpListener> {
    const BACKLOG: u32 = 512;
    let address = lookup_host(address).await?.next().ok_or(ErrorKind::NotFound)?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn app(signalr: &SignalR) -> Router {
    let hub: HubContext<ConformanceHub> = signalr.context();
    let results_hub = hub.clone();
    let send_to_all = move |text: String| async move {
        hub.clients().all().send("Message", (text,)).await.map_err(|error| error.to_string())
    };
    let client_result = move |Path(id): Path<String>, text: String| async move {
        client_result_text(results_hub.clients().client(id).invoke("Answer", (text,)).await).unwrap_or_default()
    };
    let (stats, probed) = (signalr.clone(), signalr.clone());
    let ready =
        move || async move { if probed.is_ready() { Ok("ready") } else { Err(StatusCode::SERVICE_UNAVAILABLE) } };
    Router::new()
        .route("/ready", get(ready))
        .route("/outside/all", post(send_to_all))
        .route("/outside/ask/{id}", post(client_result))
        .route("/outside/stats", get(move || async move { Json(stats_json(&stats)) }))
        .fallback_service(signalr.service())
}

/// Counts of the server's state; all are 0 when no client is connected.
fn stats_json(signalr: &SignalR) -> Value {
    let stats = signalr.stats();
    json!({
        "connections": stats.connections,
        "hubConnections": stats.hub_connections,
        "groups": stats.groups,
        "questions": stats.pending_client_results,
        "tasks": stats.tasks,
        "queuedBytes": stats.queued_bytes,
    })
}

async fn shutdown_signal() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result,
            _ = terminated.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
