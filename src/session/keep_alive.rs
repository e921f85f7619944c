//! Keep-alive pings, client timeout and acknowledgements, checked once a second.

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

/// Maximum time by which a tick can be early.
const TICK_TOLERANCE: Duration = Duration::from_millis(50);

/// Minimum time between two acknowledgements (`aspnet: MessageBuffer.cs`).
const ACK_INTERVAL: Duration = Duration::from_secs(1);

/// Maximum time for which senders wait for an acknowledgement (`aspnet: MessageBuffer.cs`, since
/// 10.0.x).
const ACK_TIMEOUT: Duration = Duration::from_secs(5);

/// Timers of a connection, checked by every tick (`aspnet: HubConnectionContext.KeepAliveTick`,
/// `CheckClientTimeout`).
///
/// The connection task only sets a flag when a message arrives, so that it never reads a clock.
pub(super) struct KeepAliveTimers {
    handle: Arc<ConnectionHandle>,
    keep_alive_interval: Duration,
    client_timeout_interval: Duration,
    /// Set for a connection with stateful reconnect.
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

    /// Sends a ping at each interval, whether or not other messages were sent. A full queue needs
    /// no ping, because its messages are still to be written.
    fn keep_alive(&self, times: &mut Timestamps, now: Instant) {
        let due = now.saturating_duration_since(times.last_ping) > self.keep_alive_interval;
        if due && self.handle.transport != TransportType::LongPolling {
            times.last_ping = now;
            self.enqueue(HubProtocol::write_ping);
        }
    }

    /// Acknowledges received messages, and aborts the connection if its client does not acknowledge
    /// messages while senders wait.
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

    /// Queues a message without a sequence number, if the queue has capacity. Returns whether it
    /// was queued.
    fn enqueue(&self, write: impl FnOnce(HubProtocol, &mut Vec<u8>)) -> bool {
        let protocol = self.handle.protocol;
        let frame = EncodedMessage::encode(protocol.kind().is_binary(), |message| write(protocol, message));
        self.handle.outbound.try_push_uncounted(&frame)
    }

    /// Checks the client timeout. It applies after the first ping of the client, and only while the
    /// connection is read.
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
