//! Received messages that wait, because clients in front of them do not read fast enough.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::registry::{Audience, ConnectionHandle, EncodedMessages};

/// Maximum number of bytes that wait for one hub type, of all channels together.
const MAX_BACKLOG_BYTES: usize = 16 * 1024 * 1024;

/// Bytes that each waiting message counts in addition to its size.
const OVERHEAD_BYTES: usize = 256;

/// A received message and its receivers.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) audience: Audience,
    pub(super) messages: EncodedMessages,
    /// Size of the payload in bytes.
    pub(super) size: usize,
}

/// A message that some clients have not received yet. The channel waits for them.
#[derive(Debug)]
pub(super) struct StalledDelivery {
    pub(super) channel: Box<str>,
    pub(super) messages: EncodedMessages,
    pub(super) connections: Vec<Arc<ConnectionHandle>>,
}

/// Channels that wait for slow clients, each with the messages behind the one that waits.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    state: Mutex<BacklogState>,
    dropped: AtomicU64,
    pub(super) stalled: Notify,
}

#[derive(Debug, Default)]
struct BacklogState {
    channels: HashMap<Box<str>, VecDeque<Delivery>>,
    bytes: usize,
    /// Channels that began to wait, for the task that waits.
    new: Vec<StalledDelivery>,
    /// Whether a task waits for the clients.
    has_task: bool,
    /// Whether messages are dropped at the moment.
    is_full: bool,
}

/// Decision about a received message.
pub(super) enum Admission {
    /// No message of the channel waits.
    Deliver(Delivery),
    /// The message waits, or was dropped.
    Kept,
    /// The message was dropped, as the first one since the backlog was empty.
    Full,
}

impl Backlog {
    /// Queues a message if its channel waits.
    pub(super) fn admit(&self, channel: &str, delivery: Delivery) -> Admission {
        let mut state = self.lock();
        let BacklogState { channels, bytes, is_full, .. } = &mut *state;
        let Some(waiting) = channels.get_mut(channel) else { return Admission::Deliver(delivery) };
        let size = delivery.size + OVERHEAD_BYTES;
        if *bytes + size > MAX_BACKLOG_BYTES {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return if std::mem::replace(is_full, true) { Admission::Kept } else { Admission::Full };
        }
        *bytes += size;
        waiting.push_back(delivery);
        Admission::Kept
    }

    /// Lets a channel wait. Returns whether the caller has to start the task that waits.
    pub(super) fn stall(&self, delivery: StalledDelivery) -> bool {
        let mut state = self.lock();
        state.channels.insert(delivery.channel.clone(), VecDeque::new());
        state.new.push(delivery);
        self.stalled.notify_one();
        !std::mem::replace(&mut state.has_task, true)
    }

    /// Returns the channels that began to wait since the last call. `None` ends the task, if it
    /// waits for no other channel (`is_idle`).
    pub(super) fn take_new(&self, is_idle: bool) -> Option<Vec<StalledDelivery>> {
        let mut state = self.lock();
        if is_idle && state.new.is_empty() {
            state.has_task = false;
            state.is_full = false;
            return None;
        }
        Some(std::mem::take(&mut state.new))
    }

    /// Returns the next message of a channel, which does not wait any more after its last one.
    pub(super) fn next(&self, channel: &str) -> Option<Delivery> {
        let mut state = self.lock();
        let Some(delivery) = state.channels.get_mut(channel).and_then(VecDeque::pop_front) else {
            state.channels.remove(channel);
            return None;
        };
        state.bytes -= delivery.size + OVERHEAD_BYTES;
        Some(delivery)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, BacklogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
