//! Soak test: clients connect and disconnect over all transports, in order and abruptly, and the
//! server must have no connection left afterwards: `soak [--clients 2000] [--seconds 300]`.
//!
//! The program starts the conformance host, or the program in the environment variable
//! `CONFORMANCE`, which must have the same hubs and `/outside/stats`.

#![expect(clippy::print_stdout, reason = "the program prints its result")]

mod client;

use std::env;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use client::{Random, Server};
use protocol_tests::Host;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Time after which the server has removed a client that vanished: 15 s, checked once a second, and
/// a margin.
const REMOVAL_DELAY: Duration = Duration::from_secs(25);

/// Totals of all clients.
#[derive(Default)]
struct Counters {
    sessions: AtomicUsize,
    failures: AtomicUsize,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let (mut clients, mut seconds) = (2000, 300);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse().ok());
        match (argument.as_str(), value) {
            ("--clients", Some(value)) => clients = value,
            ("--seconds", Some(value)) => seconds = value,
            _ => return Err("usage: soak [--clients N] [--seconds N]".into()),
        }
    }
    let host = Host::start(&Host::program()?).await?;
    let server = Server::new(host.server().to_string());
    let before = (server.stats().await?, resident(host.id())?);

    let counters = Arc::new(Counters::default());
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut tasks = JoinSet::new();
    for number in 0..clients {
        tasks.spawn(run_clients(server.clone(), Arc::clone(&counters), Random::new(number), end));
    }
    let mut peak = 0;
    while Instant::now() < end {
        sleep(Duration::from_secs(10)).await;
        peak = peak.max(resident(host.id())?);
        let (sessions, failures) =
            (counters.sessions.load(Ordering::Relaxed), counters.failures.load(Ordering::Relaxed));
        println!("{sessions} sessions, {failures} failures, {} KiB, {}", resident(host.id())?, server.stats().await?);
    }
    while tasks.join_next().await.is_some() {}
    sleep(REMOVAL_DELAY).await;
    let after = (server.stats().await?, resident(host.id())?);
    println!("before: {} KiB, {}", before.1, before.0);
    println!("peak:   {peak} KiB");
    println!("after:  {} KiB, {}", after.1, after.0);
    let clean = after.0 == before.0 && counters.failures.load(Ordering::Relaxed) == 0;
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one session after another.
async fn run_clients(server: Server, counters: Arc<Counters>, mut random: Random, end: Instant) {
    sleep(random.delay_up_to(2000)).await;
    while Instant::now() < end {
        match client::run(&server, &mut random).await {
            Ok(()) => counters.sessions.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                println!("a client failed: {error}");
                counters.failures.fetch_add(1, Ordering::Relaxed)
            }
        };
        sleep(random.delay_up_to(1000)).await;
    }
}

/// Resident memory of a process in KiB.
fn resident(process: u32) -> std::io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse().unwrap_or_default())
}
