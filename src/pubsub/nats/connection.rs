//! Task that connects until the backplane is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Client, ConnectError, Event};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::sleep;

use super::super::BackplaneReceiver;
use super::calls::{CONNECTION_LOST, Calls};
use super::options::{NatsOptions, RECONNECT_DELAY};
use super::session::{NatsSession, SessionEnded};
use crate::quoted::Quoted;

/// Runs sessions, one after another. Does not return.
pub(super) async fn run(options: NatsOptions, calls: Arc<Calls>, receiver: BackplaneReceiver) {
    let tls = load_tls(&options).await;
    let mut delay = RECONNECT_DELAY;
    loop {
        match connect(&options, tls.clone()).await {
            Ok(client) => {
                delay = RECONNECT_DELAY;
                let SessionEnded = serve(&options, &calls, receiver.clone(), client).await;
                calls.disconnected(CONNECTION_LOST, 1);
                tracing::warn!(target: "signalr::backplane", service = "nats", "backplane disconnected");
            }
            Err(error) => {
                let error = error.to_string();
                calls.disconnected(&error, 0);
                tracing::warn!(
                    target: "signalr::backplane",
                    service = "nats",
                    error = %Quoted(&error),
                    "backplane connection failed",
                );
            }
        }
        sleep(delay).await;
        delay = MAX_RECONNECT_DELAY.min(delay * 2);
    }
}

async fn load_tls(options: &NatsOptions) -> ClientConfig {
    let blocking = options.clone();
    // Fails when the runtime shuts down.
    let roots = tokio::task::spawn_blocking(move || blocking.root_store()).await;
    let roots = roots.unwrap_or_else(|_| RootCertStore::empty());
    options.tls_config(roots).expect("the client certificate was checked when it was set")
}

async fn connect(options: &NatsOptions, tls: ClientConfig) -> Result<Client, ConnectError> {
    let dropped = AtomicU64::new(0);
    let log = move |event| {
        match event {
            Event::SlowConsumer(_) => {
                let dropped = dropped.fetch_add(1, Ordering::Relaxed) + 1;
                // Each of them would make it worse.
                if dropped.is_power_of_two() {
                    tracing::warn!(target: "signalr::backplane", service = "nats", dropped, "payloads dropped");
                }
            }
            Event::ServerError(error) => {
                let error = Quoted(error);
                tracing::warn!(target: "signalr::backplane", service = "nats", %error, "backplane error");
            }
            _ => (),
        }
        std::future::ready(())
    };
    options.connect_options(tls).event_callback(log).connect(options.servers.as_slice()).await
}

async fn serve(options: &NatsOptions, calls: &Calls, receiver: BackplaneReceiver, client: Client) -> SessionEnded {
    match NatsSession::begin(calls, &options.prefix, options.request_timeout, receiver, client).await {
        Ok(mut session) => session.run().await,
        Err(ended) => ended,
    }
}

const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(2);
