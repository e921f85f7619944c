//! A complete application: live vital signs of patients in the browser, with authentication,
//! authorization for each call, streams of updates and reconnects.
//!
//! Run `npm ci` for the browser's SignalR client and `cargo run --example clinical_dashboard`, and
//! open the page at the URL that it prints. `--urls http://127.0.0.1:0` selects a free port.
//! `--short-tokens 5` sets the lifetime of short-lived tokens to 5 seconds instead of a minute.
//!
//! | file | content |
//! |---|---|
//! | `hub.rs` | the hub, and the methods of its clients |
//! | `wards.rs`, `simulation.rs`, `ecg.rs` | the patients, and their simulated vital signs |
//! | `sessions.rs` | sign-in and access tokens |
//! | `audit.rs` | the audit of denied actions |
//! | `routes.rs`, `files.rs` | the HTTP routes: sign-in, and the page in `page/` |
//! | `listener.rs`, `connection_killer.rs` | TCP sockets, and cutting them |

mod audit;
mod connection_killer;
mod ecg;
mod files;
mod hub;
mod listener;
mod routes;
mod sessions;
mod simulation;
#[cfg(test)]
mod tests;
mod wards;

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lexopt::ValueExt;
use signalr::SignalR;
use signalr::auth::Policy;
use signalr::hosting::{Builder, EndpointBuilder};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing_subscriber::EnvFilter;

use crate::audit::Audit;
use crate::connection_killer::ConnectionKiller;
use crate::hub::ClinicalDashboard;
use crate::routes::Routes;
use crate::sessions::Sessions;
use crate::wards::Wards;

/// Time for running invocations to finish when the server shuts down.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,clinical_dashboard=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();

    let Arguments { address, short_tokens } = arguments()?;
    let sessions = Arc::new(Sessions::new(short_tokens)?);
    let wards = Arc::new(Wards::new()?);
    let killer = Arc::new(ConnectionKiller::default());
    let (audit, denials) = Audit::new();

    let listener = TcpListener::bind(address).await?;
    let hubs =
        SignalR::builder().authentication(sessions.bearer()).allowed_origins(allowed_origins(listener.local_addr()?));
    let signalr = server(hubs, &wards, &audit, &killer).build()?;

    let mut tasks = JoinSet::new();
    wards::publish(&wards, &signalr.context(), &mut tasks);
    tasks.spawn(audit::publish(denials, signalr.context()));
    print_url(&listener)?;
    let routes = Routes::new(signalr.service(), sessions, Arc::clone(&killer));
    tasks.spawn(listener::accept(listener, Arc::new(routes), killer));

    shutdown_signal().await?;
    tracing::info!("shutting down");
    signalr.shutdown(SHUTDOWN_TIMEOUT).await;
    tasks.shutdown().await;
    Ok(())
}

/// Maps the hub with its policies.
fn server(
    hubs: Builder,
    wards: &Arc<Wards>,
    audit: &Arc<Audit>,
    killer: &Arc<ConnectionKiller>,
) -> EndpointBuilder<ClinicalDashboard> {
    // A denied invocation does not reach the hub method, so the policy itself records it.
    let doctors = audit.record_denials("Order a drug", "Only doctors may order drugs.", Policy::require_role("Doctor"));
    let hub = ClinicalDashboard { wards: Arc::clone(wards), audit: Arc::clone(audit), killer: Arc::clone(killer) };
    hubs.policy("DoctorsOnly", doctors)
        .policy("ClinicalStaff", Policy::require_any_role(["Doctor", "Nurse", "Admin"]))
        .hub("/hubs/clinical", hub)
        .require_authorization("ClinicalStaff")
        // A connection closes when its token expires, unless the client refreshes the token before.
        .close_on_authentication_expiration(true)
        .enable_authentication_refresh(true)
}

/// Origins whose pages can open WebSockets: this server's, by both names of the machine.
/// Cross-origin pages cannot act for the user.
fn allowed_origins(address: SocketAddr) -> [String; 2] {
    [format!("http://{address}"), format!("http://localhost:{}", address.port())]
}

struct Arguments {
    address: SocketAddr,
    short_tokens: Duration,
}

/// Parses the command line.
fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut short_tokens = sessions::SHORT_TOKEN_LIFETIME;
    let mut url = String::from("http://127.0.0.1:5000");
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Long("urls") => {
                url = arguments.value()?.into_string().map_err(|_| "URL is not valid UTF-8")?
            }
            lexopt::Arg::Long("short-tokens") => short_tokens = Duration::from_secs(arguments.value()?.parse()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let authority =
        url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/').replace("localhost", "127.0.0.1"));
    let address = authority
        .and_then(|authority| authority.parse().ok())
        .ok_or_else(|| format!("`{url}` is not of the form http://127.0.0.1:5000"))?;
    Ok(Arguments { address, short_tokens })
}

fn print_url(listener: &TcpListener) -> Result<(), Box<dyn Error>> {
    let url = format!("http://{}", listener.local_addr()?);
    let mut out = std::io::stdout().lock();
    writeln!(out, "Now listening on: {url}")?;
    match files::missing_packages() {
        None => writeln!(out, "Open {url} in a browser. Ctrl+C stops the server.")?,
        Some(problem) => writeln!(out, "{problem}")?,
    }
    Ok(())
}

/// Completes on Ctrl+C and on SIGTERM.
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

/// Locks a mutex. No critical section of this program panics between two changes, so poisoning is
/// ignored.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
