//! Keep-alive, client timeout and acknowledgements, by the sweep.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::message_sequence::MessageSequence;
use crate::connection_info::TransportType;
use crate::connections::SessionMonitor;
use crate::options::HubOptions;
use crate::outbound::EncodedMessage;
use crate::protocol::HubProtocol;
use crate::registry::{ConnectionHandle, Flags};

/// How much a tick of the sweep may come early.
const TICK_TOLERANCE: Duration = Duration::from_millis(50);

/// What came is acknowledged so often at most (`aspnet: MessageBuffer.cs`).
const ACK_INTERVAL: Duration = Duration::from_secs(1);

/// So long senders wait for an acknowledgement (`aspnet: MessageBuffer.cs`, from 10.0.x on).
const ACK_TIMEOUT: Duration = Duration::from_secs(5);

/// What the sweep does with a connection every second (`aspnet: HubConnectionContext.KeepAliveTick`,
/// `CheckClientTimeout`).
///
/// The connection itself only sets a flag when something arrived: no clock is read on its way.
pub(super) struct KeepAliveTimers {
    handle: Arc<ConnectionHandle>,
    keep_alive_interval: Duration,
    client_timeout_interval: Duration,
    /// For a connection that may go on with another socket.
    sequence: Option<Arc<MessageSequence>>,
    times: Mutex<Timestamps>,
}

struct Timestamps {
    last_ping: Instant,
    last_receive: Instant,
    last_ack: Instant,
}

impl KeepAliveTimers {
    pub(super) fn new(
        handle: Arc<ConnectionHandle>,
        options: &HubOptions,
        sequence: Option<Arc<MessageSequence>>,
    ) -> Self {
        let now = Instant::now();
        Self {
            handle,
            keep_alive_interval: options.keep_alive_interval,
            client_timeout_interval: options.client_timeout_interval,
            sequence,
            times: Mutex::new(Timestamps { last_ping: now, last_receive: now, last_ack: now }),
        }
    }

    /// Pings are due by the clock alone, other messages or not. Where messages wait to be written none is needed.
    fn keep_alive(&self, times: &mut Timestamps, now: Instant) {
        let due = now.saturating_duration_since(times.last_ping) > self.keep_alive_interval;
        if due && self.handle.transport != TransportType::LongPolling {
            times.last_ping = now;
            self.enqueue(HubProtocol::write_ping);
        }
    }

    /// Acknowledges what came, and gives up a client that acknowledges nothing while others wait for it.
    fn acknowledge(&self, sequence: &MessageSequence, times: &mut Timestamps, now: Instant) {
        if now.saturating_duration_since(times.last_ack) + TICK_TOLERANCE >= ACK_INTERVAL
            && let Some(id) = sequence.unacknowledged()
            && self.enqueue(|protocol, message| protocol.write_ack(message, id))
        {
            sequence.acknowledge(id);
            times.last_ack = now;
        }
        if self.handle.outbound.unacknowledged_for(now) >= ACK_TIMEOUT {
            self.handle.abort_unacknowledged();
        }
    }

    /// Queues a message that does not count, if there is room.
    fn enqueue(&self, write: impl FnOnce(HubProtocol, &mut Vec<u8>)) -> bool {
        let protocol = self.handle.protocol;
        let frame = EncodedMessage::written(protocol.kind().is_binary(), |message| write(protocol, message));
        self.handle.outbound.try_push_uncounted(&frame)
    }

    /// Silence counts from the client's first ping, and only while something is read.
    fn client_timeout(&self, times: &mut Timestamps, now: Instant) {
        let flags = self.handle.flags();
        if self.handle.take(Flags::RECEIVED) || flags.has(Flags::PAUSED) || !flags.has(Flags::PINGED) {
            times.last_receive = now;
        } else if now.saturating_duration_since(times.last_receive) + TICK_TOLERANCE >= self.client_timeout_interval {
            self.handle.signal(Flags::TIMED_OUT);
        }
    }
}

impl SessionMonitor for KeepAliveTimers {
    fn on_tick(&self, now: Instant) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        self.keep_alive(&mut times, now);
        self.client_timeout(&mut times, now);
        if let Some(sequence) = &self.sequence {
            self.acknowledge(sequence, &mut times, now);
        }
    }

    fn on_credentials_refreshed(&self) {
        self.handle.signal(Flags::REFRESHED);
    }

    fn request_close(&self) {
        self.handle.signal(Flags::CLOSING);
    }
}
