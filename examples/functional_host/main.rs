//! The functional test server of dotnet/aspnetcore, which Microsoft's client test suites run
//! against: its hubs, paths and responses, over HTTP and over HTTPS with a certificate that is
//! generated at start.
//!
//! `cargo run --example functional_host -- --urls 'http://127.0.0.1:0;https://127.0.0.1:0'` prints
//! `Now listening on: URL` for each URL. `--wwwroot FOLDER` serves files for suites that run in a
//! browser.

mod hubs;
mod listen;
mod routes;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use hubs::{HubWithAuthorization, TestHub, UncreatableHub, echo};
use lexopt::ValueExt;
use signalr::SignalR;
use signalr::auth::{JwtBearer, Policy, claim_types};
use signalr::hosting::Transports;
use tokio::task::JoinSet;

struct Arguments {
    urls: String,
    wwwroot: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let Arguments { urls, wwwroot } = arguments()?;
    let mut key = [0; 32];
    getrandom::fill(&mut key)?;

    let signalr = SignalR::builder()
        .enable_detailed_errors(true)
        .authentication(
            // The suites use tokens that live for 5 seconds, with a clock skew of 5 minutes. Issuer
            // and audience are not validated.
            JwtBearer::hmac(key).allow_any_issuer().allow_any_audience().header_before_query(true),
        )
        .policy("HasName", Policy::require_claim_type(claim_types::NAME_IDENTIFIER))
        .hub("/testhub", TestHub)
        .hub("/testhub-nowebsockets", TestHub)
        .transports(Transports::SERVER_SENT_EVENTS | Transports::LONG_POLLING)
        .hub("/uncreatable", UncreatableHub)
        .hub("/authorizedhub", HubWithAuthorization)
        .require_authorization("HasName")
        .connection_handler("/echo", echo)
        .build()?;

    let app = routes::router(&signalr, key, wwwroot);
    let mut servers = JoinSet::new();
    for url in urls.split(';') {
        servers.spawn(listen::listen(url, app.clone()).await?);
    }
    tokio::signal::ctrl_c().await?;
    signalr.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut arguments = Arguments { urls: "http://127.0.0.1:5000;https://127.0.0.1:5001".to_owned(), wwwroot: None };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            lexopt::Arg::Long("urls") => arguments.urls = parser.value()?.string()?,
            lexopt::Arg::Long("wwwroot") => arguments.wwwroot = Some(parser.value()?.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(arguments)
}
