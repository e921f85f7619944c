//! What does a whole application look like? Patients' vital signs live in the browser, and a server that decides, call by
//! call, who may watch which ward and who may order drugs.
//!
//! `cargo run --example clinical_dashboard`, then open the page that it names. `--urls http://127.0.0.1:0` takes a free
//! port, and `--short-tokens 5` lets short tokens live for 5 seconds instead of a minute. The page needs the browser's SignalR client: `npm ci` installs it.
//!
//! | file | what is in it |
//! |---|---|
//! | `hub.rs` | the hub, and what the dashboards offer to it |
//! | `wards.rs`, `simulation.rs`, `ecg.rs` | the patients, and what their monitors measure |
//! | `sessions.rs` | who signs in, and their tokens |
//! | `audit.rs` | who was refused what |
//! | `routes.rs`, `files.rs` | the HTTP side: signing in, and the page in `page/` |
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
use signalr::auth::Policy;
use signalr::{Builder, EndpointBuilder, SignalR};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing_subscriber::EnvFilter;

use crate::audit::Audit;
use crate::connection_killer::Cuts;
use crate::hub::ClinicalDashboard;
use crate::routes::Site;
use crate::sessions::Sessions;
use crate::wards::Wards;

/// How long running calls may go on when the server is stopped.
const GRACE: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,clinical_dashboard=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();

    let Arguments { address, short_tokens } = arguments()?;
    let sessions = Arc::new(Sessions::new(short_tokens)?);
    let wards = Arc::new(Wards::new()?);
    let cuts = Arc::new(Cuts::default());
    let (audit, refusals) = Audit::new();

    let listener = TcpListener::bind(address).await?;
    let hubs = SignalR::builder().authentication(sessions.bearer()).allowed_origins(origins(listener.local_addr()?));
    let signalr = server(hubs, &wards, &audit, &cuts).build()?;

    let mut tasks = JoinSet::new();
    wards::publish(&wards, &signalr.context(), &mut tasks);
    tasks.spawn(audit::publish(refusals, signalr.context()));
    announce(&listener)?;
    let site = Site::new(signalr.service(), sessions, Arc::clone(&cuts));
    tasks.spawn(listener::accept(listener, Arc::new(site), cuts));

    stopped().await?;
    tracing::info!("stopping");
    signalr.shutdown(GRACE).await;
    tasks.shutdown().await;
    Ok(())
}

/// The hub, and who may connect to it and call what.
fn server(
    hubs: Builder,
    wards: &Arc<Wards>,
    audit: &Arc<Audit>,
    cuts: &Arc<Cuts>,
) -> EndpointBuilder<ClinicalDashboard> {
    // Whom this one refuses never reaches the hub, so the policy itself writes it down.
    let doctors = audit.watch("Order a drug", "Only doctors may order drugs.", Policy::require_role("Doctor"));
    let hub = ClinicalDashboard { wards: Arc::clone(wards), audit: Arc::clone(audit), cuts: Arc::clone(cuts) };
    hubs.policy("DoctorsOnly", doctors)
        .policy("ClinicalStaff", Policy::require_any_role(["Doctor", "Nurse", "Admin"]))
        .hub("/hubs/clinical", hub)
        .require_authorization("ClinicalStaff")
        // Nobody stays longer than their token, and nobody has to reconnect for a new one.
        .close_on_authentication_expiration(true)
        .enable_authentication_refresh(true)
}

/// Whose pages may open WebSockets: our own, by either name of this machine. No page of a stranger's acts for who looks at it.
fn origins(address: SocketAddr) -> [String; 2] {
    [format!("http://{address}"), format!("http://localhost:{}", address.port())]
}

struct Arguments {
    address: SocketAddr,
    short_tokens: Duration,
}

/// What the command line says.
fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut short_tokens = sessions::SHORT_ACCESS;
    let mut url = String::from("http://127.0.0.1:5000");
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Long("urls") => url = arguments.value()?.into_string().map_err(|_| "the URL is no text")?,
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

fn announce(listener: &TcpListener) -> Result<(), Box<dyn Error>> {
    let url = format!("http://{}", listener.local_addr()?);
    let mut out = std::io::stdout().lock();
    writeln!(out, "Now listening on: {url}")?;
    match files::missing() {
        None => writeln!(out, "Open {url} in a browser. Ctrl+C stops the server.")?,
        Some(problem) => writeln!(out, "{problem}")?,
    }
    Ok(())
}

/// Ready when somebody wants the server to stop.
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

/// Locks a mutex. Nothing here leaves half of a change behind when it panics, so a poisoned lock is as good as any.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
