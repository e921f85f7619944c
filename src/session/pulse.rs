//! Keep-alive and client timeout, by the sweep.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::connections::Watched;
use crate::lifetime::{ConnectionHandle, Flags};
use crate::options::HubOptions;
use crate::origin::TransportType;
use crate::outbound::{Frame, HEADROOM};

/// How much a tick of the sweep may come early.
const JITTER: Duration = Duration::from_millis(50);

/// What the sweep does with a connection every second (`aspnet: HubConnectionContext.KeepAliveTick`,
/// `CheckClientTimeout`).
///
/// The connection itself only sets a flag when something arrived: no clock is read on its way.
pub(super) struct Pulse {
    handle: Arc<ConnectionHandle>,
    keep_alive_interval: Duration,
    client_timeout_interval: Duration,
    times: Mutex<Times>,
}

struct Times {
    pinged: Instant,
    heard: Instant,
}

impl Pulse {
    pub(super) fn new(handle: Arc<ConnectionHandle>, options: &HubOptions) -> Self {
        let now = Instant::now();
        Self {
            handle,
            keep_alive_interval: options.keep_alive_interval,
            client_timeout_interval: options.client_timeout_interval,
            times: Mutex::new(Times { pinged: now, heard: now }),
        }
    }

    /// Pings are due by the clock alone, other messages or not. Where messages wait to be written none is needed.
    fn keep_alive(&self, times: &mut Times, now: Instant) {
        let due = now.saturating_duration_since(times.pinged) > self.keep_alive_interval;
        if due && self.handle.transport != TransportType::LongPolling {
            times.pinged = now;
            let mut message = vec![0; HEADROOM];
            self.handle.protocol.write_ping(&mut message);
            self.handle.outbound.try_push(&Frame::message(message, self.handle.protocol.format().is_binary()));
        }
    }

    /// Silence counts from the client's first ping, and only while something is read.
    fn client_timeout(&self, times: &mut Times, now: Instant) {
        let flags = self.handle.flags();
        if self.handle.take(Flags::RECEIVED) || flags.has(Flags::PAUSED) || !flags.has(Flags::PINGED) {
            times.heard = now;
        } else if now.saturating_duration_since(times.heard) + JITTER >= self.client_timeout_interval {
            self.handle.signal(Flags::TIMED_OUT);
        }
    }
}

impl Watched for Pulse {
    fn beat(&self, now: Instant) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        self.keep_alive(&mut times, now);
        self.client_timeout(&mut times, now);
    }

    fn leave(&self) {
        self.handle.signal(Flags::LEAVING);
    }
}
