//! The web server around the hubs, and what it offers beside them.

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use lexopt::ValueExt;
use signalr::{HubContext, SignalR};
use tokio::net::TcpListener;

use super::plain::ConformanceHub;

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
    for url in urls {
        let address = url.strip_prefix("http://").ok_or("only http:// URLs are served")?;
        let listener = TcpListener::bind(address.trim_end_matches('/')).await?;
        let line = format!("Now listening on: http://{}\n", listener.local_addr()?);
        std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes())?;
        let serve = axum::serve(listener, app.clone()).into_future();
        tokio::spawn(async move {
            if let Err(error) = serve.await {
                tracing::error!(%error, "a listener ended");
            }
        });
    }
    stopped().await?;
    signalr.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

fn app(signalr: &SignalR) -> Router {
    let hub: HubContext<ConformanceHub> = signalr.context();
    let send_to_all = move |text: String| async move {
        hub.clients().all().send("Message", (text,)).await.map_err(|error| error.to_string())
    };
    Router::new()
        .route("/ready", get(|| async { "ready" }))
        .route("/outside/all", post(send_to_all))
        .fallback_service(signalr.service())
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
