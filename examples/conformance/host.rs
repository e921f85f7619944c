//! The web server around the hubs, and what it offers beside them.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use axum::extract::Path;
use axum::routing::{get, post};
use axum::{Json, Router};
use lexopt::ValueExt;
use serde_json::{Value, json};
use signalr::{HubContext, SignalR};
use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::hub_variants::ConformanceHub;
use super::streams::told;

/// The URLs to listen on.
pub(crate) fn urls() -> Result<Vec<String>, Box<dyn Error>> {
    let mut urls = "http://127.0.0.1:5000".to_owned();
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Long("urls") => urls = arguments.value()?.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(urls.split(';').map(str::to_owned).collect())
}

/// Serves until Ctrl-C or SIGTERM.
pub(crate) async fn run(urls: &[String], signalr: SignalR) -> Result<(), Box<dyn Error>> {
    let app = app(&signalr);
    let stopping = CancellationToken::new();
    let mut listening = JoinSet::new();
    for url in urls {
        let address = url.strip_prefix("http://").ok_or("only http:// URLs are served")?;
        let listener = listen(address.trim_end_matches('/')).await?;
        let line = format!("Now listening on: http://{}\n", listener.local_addr()?);
        std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes())?;
        let stop = stopping.clone().cancelled_owned();
        listening.spawn(axum::serve(listener, app.clone()).with_graceful_shutdown(stop).into_future());
    }
    stopped().await?;
    stopping.cancel();
    signalr.shutdown(Duration::from_secs(5)).await;
    // What is being answered is answered, polls and streams with their last words.
    let _ = tokio::time::timeout(Duration::from_secs(1), listening.join_all()).await;
    Ok(())
}

/// As many connections may wait to be accepted as with Kestrel; tokio's own listeners let 128 wait, and load tests open more
/// at once.
async fn listen(address: &str) -> std::io::Result<TcpListener> {
    const WAITING: u32 = 512;
    let address = lookup_host(address).await?.next().ok_or(ErrorKind::NotFound)?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

fn app(signalr: &SignalR) -> Router {
    let hub: HubContext<ConformanceHub> = signalr.context();
    let asking = hub.clone();
    let send_to_all = move |text: String| async move {
        hub.clients().all().send("Message", (text,)).await.map_err(|error| error.to_string())
    };
    let ask = move |Path(id): Path<String>, question: String| async move {
        told(asking.clients().client(id).invoke("Answer", (question,)).await).unwrap_or_default()
    };
    let stats = signalr.clone();
    Router::new()
        .route("/ready", get(|| async { "ready" }))
        .route("/outside/all", post(send_to_all))
        .route("/outside/ask/{id}", post(ask))
        .route("/outside/stats", get(move || async move { Json(counted(&stats)) }))
        .fallback_service(signalr.service())
}

/// What is left of all connections; a server whose clients are gone has nothing.
fn counted(signalr: &SignalR) -> Value {
    let stats = signalr.stats();
    json!({
        "connections": stats.connections,
        "hubConnections": stats.hub_connections,
        "groups": stats.groups,
        "questions": stats.questions,
        "tasks": stats.tasks,
        "queuedBytes": stats.queued_bytes,
    })
}

async fn stopped() -> std::io::Result<()> {
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
