//! A chat on several servers that share a Redis.
//!
//! ```text
//! redis-server &
//! cargo run --package redis_scaleout --example redis_scaleout -- --listen 127.0.0.1:5001 &
//! cargo run --package redis_scaleout --example redis_scaleout -- --listen 127.0.0.1:5002 &
//! ```
//!
//! A client of the hub `/chat` on one server reads what is said on the other. `/ready` is the
//! readiness probe: 503 while Redis is not connected.

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use lexopt::ValueExt;
use signalr::backplane::RedisBackplane;
use signalr::{Caller, HubResult, SignalR, hub, hub_client};
use tokio::net::TcpListener;

#[hub_client]
trait ChatClient {
    fn said(&self, room: &str, text: &str);
}

struct Chat;

#[hub(client = ChatClient)]
impl Chat {
    async fn enter(&self, caller: &Caller<Self>, room: String) -> HubResult {
        caller.join(room).await?;
        Ok(())
    }

    async fn say(&self, caller: &Caller<Self>, room: String, text: String) -> HubResult {
        caller.clients().group(&room).said(&room, &text).await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let (mut listen, mut redis) = ("127.0.0.1:5001".to_owned(), "redis://127.0.0.1:6379".to_owned());
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Long("listen") => listen = arguments.value()?.string()?,
            lexopt::Arg::Long("redis") => redis = arguments.value()?.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let signalr = SignalR::builder()
        .backplane(RedisBackplane::new(redis)?)
        .hub("/chat", Chat)
        .dotnet_name("Example.Chat")
        .build()?;
    let probed = signalr.clone();
    let ready = move || async move { if probed.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE } };
    let app = Router::new().route("/ready", get(ready)).fallback_service(signalr.service());
    axum::serve(TcpListener::bind(listen).await?, app)
        .with_graceful_shutdown(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                // Clients reconnect to the other server.
                signalr.shutdown(Duration::from_secs(5)).await;
            }
        })
        .await?;
    Ok(())
}
