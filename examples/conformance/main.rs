//! The hubs that the transcripts, the client tests and the load tests use, with every option of an
//! endpoint.
//!
//! `cargo run --example conformance -- --urls http://127.0.0.1:5000` starts the server. Several
//! URLs are separated by `;`. Port 0 selects a free port. `--server-url URL` redirects clients to
//! that URL of this server. With the feature `redis`, the variable `REFERENCE_REDIS=HOST:PORT`
//! connects the server with other servers, also of ASP.NET Core.

mod authorized;
mod bench;
mod common;
mod host;
mod hub_variants;
mod lifecycle;
mod streams;
mod values;

use std::error::Error;
use std::time::Duration;

use signalr::SignalR;
use signalr::auth::{IdentityBinding, JwtBearer, Policy, QueryToken, User};
use signalr::hosting::{Builder, Cors, Redirect, RequestInfo, Transports};

use authorized::{AuthorizedHub, ExpiringHub, MixedHub, PolicyHub};
use bench::BenchHub;
use hub_variants::{
    ConformanceHub, DetailedHub, NoWebSocketsHub, ParallelHub, RelayHub, StatefulHub, TightHub, Version1OnlyHub,
    WebSocketsOnlyHub,
};
use lifecycle::{AbortOnConnectHub, LifecycleHub, LoggedHub, ThrowHubOnConnectHub, ThrowOnConnectHub};

const KEY: &str = "a-32-byte-or-longer-key-for-tests-only-0123456789";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let options = host::options()?;
    let signalr = server(options.server_url)?;
    host::run(&options.urls, signalr).await
}

/// Connects the server to the Redis that the environment names.
#[cfg(feature = "redis")]
fn connected(builder: Builder) -> Result<Builder, signalr::backplane::RedisConfigError> {
    match std::env::var("REFERENCE_REDIS") {
        Ok(addr) if !addr.is_empty() => {
            Ok(builder.backplane(signalr::backplane::RedisBackplane::new(format!("redis://{addr}"))?))
        }
        _ => Ok(builder),
    }
}

#[cfg(not(feature = "redis"))]
fn connected(builder: Builder) -> Result<Builder, std::convert::Infallible> {
    Ok(builder)
}

fn server(server_url: Option<String>) -> Result<SignalR, Box<dyn Error>> {
    let bearer = JwtBearer::hmac(KEY)
        .issuer("https://issuer.test")
        .audience("signalr-tests")
        .query_token(QueryToken::Under("/hubs".into()));
    let mut builder = connected(SignalR::builder())?;
    if let Some(url) = server_url {
        builder = builder.server_url(url);
    }
    let signalr = builder
        .dotnet_namespace("Reference")
        .authentication(bearer)
        .policy("DoctorsOnly", Policy::require_role("Doctor"))
        .policy("ClinicalStaff", Policy::require_any_role(["Doctor", "Nurse"]))
        .policy("SameDepartment", Policy::require_claim("department", ["icu", "er"]))
        .cors(Cors::origins(["http://app.test"]).allow_any_method())
        .naming(signalr::dotnet::Naming::DotNet)
        .identity_binding(IdentityBinding::WarnOnly)
        .hub("/conformance", ConformanceHub)
        .hub("/detailed", DetailedHub)
        .enable_detailed_errors(true)
        .hub("/parallel", ParallelHub)
        .maximum_parallel_invocations_per_client(4)
        .hub("/relay", RelayHub)
        .maximum_parallel_invocations_per_client(4)
        .hub("/tight", TightHub)
        .maximum_receive_message_size(Some(256))
        .handshake_timeout(Duration::from_secs(1))
        .keep_alive_interval(Duration::from_secs(1))
        .client_timeout_interval(Duration::from_secs(2))
        .stream_buffer_capacity(2)
        .hub("/stateful", StatefulHub)
        .allow_stateful_reconnects(true)
        .hub("/websockets-only", WebSocketsOnlyHub)
        .transports(Transports::WEB_SOCKETS)
        .hub("/no-websockets", NoWebSocketsHub)
        .transports(Transports::SERVER_SENT_EVENTS | Transports::LONG_POLLING)
        .long_polling_poll_timeout(Duration::from_secs(2))
        .hub("/version-1-only", Version1OnlyHub)
        .minimum_protocol_version(1)
        .hub("/lifecycle", LifecycleHub)
        .hub("/throw-on-connect", ThrowOnConnectHub)
        .hub("/throw-hub-on-connect", ThrowHubOnConnectHub)
        .hub("/abort-on-connect", AbortOnConnectHub)
        .hub("/bench", BenchHub)
        .hub("/hubs/clinical", AuthorizedHub)
        .hub("/hubs/mixed", MixedHub)
        .hub("/mixed-elsewhere", MixedHub)
        .hub("/hubs/logged", LoggedHub)
        .hub("/hubs/policy", PolicyHub)
        .require_authorization("SameDepartment")
        .hub("/hubs/expiring", ExpiringHub)
        .close_on_authentication_expiration(true)
        .hub("/hubs/refreshing", AuthorizedHub)
        .enable_authentication_refresh(true)
        .close_on_authentication_expiration(true)
        .allow_stateful_reconnects(true)
        .identity_binding(IdentityBinding::Strict)
        .connection_handler("/front", async |_| Ok(()))
        .redirect_negotiate(redirect_to_clinical_hub)
        .build()?;
    Ok(signalr)
}

/// Redirects to the clinical hub of this server, with the access token in the query.
fn redirect_to_clinical_hub(request: &RequestInfo, _: &User) -> Option<Redirect> {
    let redirect = Redirect::to(format!("http://{}/hubs/clinical", request.header("host")?));
    Some(redirect.access_token(request.query("token")?))
}
