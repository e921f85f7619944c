//! A backplane within one process, for tests.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::ready;

use super::{Backplane, BackplaneError, BackplaneFuture, BackplaneReceiver, BackplaneStats};

/// Connects servers of one process. Cloning is cheap.
#[derive(Clone, Default)]
pub struct MemoryBus {
    shared: Arc<BusShared>,
}

#[derive(Default)]
struct BusShared {
    state: Mutex<BusState>,
    /// Locked by the thread that passes payloads on.
    delivering: Mutex<()>,
}

#[derive(Default)]
struct BusState {
    next_node: u64,
    is_interrupted: bool,
    interruptions: u64,
    channels: HashMap<Box<str>, HashMap<u64, BackplaneReceiver>>,
    /// Payloads that are not passed on yet: published by a receiver, or by another thread while
    /// receivers run.
    deliveries: VecDeque<BusDelivery>,
}

struct BusDelivery {
    channel: Box<str>,
    payload: Bytes,
    nodes: Vec<u64>,
}

/// Connection of one server to a [`MemoryBus`].
pub struct MemoryBackplane {
    node: u64,
    bus: MemoryBus,
    receiver: OnceLock<BackplaneReceiver>,
    /// `None` when closed. Locked before the bus.
    channels: Mutex<Option<HashSet<Box<str>>>>,
    earlier_interruptions: u64,
    failed_publishes: AtomicU64,
}

impl MemoryBus {
    /// Creates a bus without servers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Connects a server.
    pub fn connect(&self) -> MemoryBackplane {
        let mut state = lock(&self.shared.state);
        state.next_node += 1;
        MemoryBackplane {
            node: state.next_node,
            bus: self.clone(),
            receiver: OnceLock::new(),
            channels: Mutex::new(Some(HashSet::new())),
            earlier_interruptions: state.interruptions,
            failed_publishes: AtomicU64::new(0),
        }
    }

    /// Interrupts the bus, or restores it: while it is interrupted, all calls fail and no payload
    /// arrives.
    pub fn set_interrupted(&self, interrupted: bool) {
        let mut state = lock(&self.shared.state);
        if interrupted && !state.is_interrupted {
            state.interruptions += 1;
        }
        state.is_interrupted = interrupted;
    }

    /// Returns the names of all subscribed channels, sorted.
    pub fn channels(&self) -> Vec<String> {
        let mut names: Vec<_> = lock(&self.shared.state).channels.keys().map(|name| name.to_string()).collect();
        names.sort_unstable();
        names
    }

    fn publish(&self, channel: &str, payload: Bytes) -> Result<Option<u64>, BackplaneError> {
        let mut state = lock(&self.shared.state);
        state.check()?;
        let Some(receivers) = state.channels.get(channel) else { return Ok(Some(0)) };
        let nodes: Vec<u64> = receivers.keys().copied().collect();
        if state.deliveries.len() == MAX_DELIVERIES {
            return Err(BackplaneError::QueueFull);
        }
        let receivers = nodes.len() as u64;
        state.deliveries.push_back(BusDelivery { channel: channel.into(), payload, nodes });
        drop(state);
        self.deliver();
        Ok(Some(receivers))
    }

    /// Passes payloads on, one at a time, unless another thread or a caller of this function does.
    fn deliver(&self) {
        // Checked again after the lock is released: another thread may have published before.
        while !lock(&self.shared.state).deliveries.is_empty() {
            let _delivering = match self.shared.delivering.try_lock() {
                Ok(guard) => guard,
                Err(TryLockError::Poisoned(error)) => error.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            while let Some((delivery, receivers)) = self.next_delivery() {
                // Without the lock of the state, since a receiver may call the backplane.
                receivers.iter().for_each(|receiver| receiver.receive(&delivery.channel, delivery.payload.clone()));
            }
        }
    }

    /// Returns the next payload with its receivers, without those that have unsubscribed.
    fn next_delivery(&self) -> Option<(BusDelivery, Vec<BackplaneReceiver>)> {
        let mut state = lock(&self.shared.state);
        let delivery = state.deliveries.pop_front()?;
        let receivers = match state.channels.get(&delivery.channel) {
            Some(receivers) => delivery.nodes.iter().filter_map(|node| receivers.get(node)).cloned().collect(),
            None => Vec::new(),
        };
        Some((delivery, receivers))
    }
}

impl BusState {
    fn check(&self) -> Result<(), BackplaneError> {
        if self.is_interrupted {
            return Err(BackplaneError::Disconnected("the bus is interrupted".into()));
        }
        Ok(())
    }

    fn remove(&mut self, node: u64, channel: &str) {
        if let Some(receivers) = self.channels.get_mut(channel) {
            receivers.remove(&node);
            if receivers.is_empty() {
                self.channels.remove(channel);
            }
        }
    }
}

impl MemoryBackplane {
    fn insert(&self, channel: &str) -> Result<(), BackplaneError> {
        let mut channels = lock(&self.channels);
        let channels = channels.as_mut().ok_or(BackplaneError::Closed)?;
        let mut state = lock(&self.bus.shared.state);
        state.check()?;
        if let Some(receiver) = self.receiver.get() {
            channels.insert(channel.into());
            state.channels.entry(channel.into()).or_default().insert(self.node, receiver.clone());
        }
        Ok(())
    }
}

impl Backplane for MemoryBackplane {
    fn attach(&self, receiver: BackplaneReceiver) {
        self.receiver.get_or_init(|| receiver);
    }

    fn start(&self) {}

    fn publish(&self, channel: &str, payload: Bytes) -> BackplaneFuture<Option<u64>> {
        let is_closed = lock(&self.channels).is_none();
        let published = if is_closed { Err(BackplaneError::Closed) } else { self.bus.publish(channel, payload) };
        if published.is_err() {
            self.failed_publishes.fetch_add(1, Ordering::Relaxed);
        }
        ready(published).boxed()
    }

    fn subscribe(&self, channel: &str) -> BackplaneFuture<()> {
        ready(self.insert(channel)).boxed()
    }

    fn unsubscribe(&self, channel: &str) {
        if let Some(channels) = &mut *lock(&self.channels)
            && channels.remove(channel)
        {
            lock(&self.bus.shared.state).remove(self.node, channel);
        }
    }

    fn is_ready(&self) -> bool {
        lock(&self.channels).is_some() && !lock(&self.bus.shared.state).is_interrupted
    }

    fn stats(&self) -> BackplaneStats {
        let interruptions = lock(&self.bus.shared.state).interruptions - self.earlier_interruptions;
        let subscriptions = lock(&self.channels).as_ref().map_or(0, HashSet::len);
        BackplaneStats {
            failed_publishes: self.failed_publishes.load(Ordering::Relaxed),
            interruptions,
            subscriptions,
            ..BackplaneStats::default()
        }
    }

    fn close(&self) {
        if let Some(channels) = lock(&self.channels).take() {
            let mut state = lock(&self.bus.shared.state);
            channels.iter().for_each(|channel| state.remove(self.node, channel));
        }
    }
}

impl Drop for MemoryBackplane {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for MemoryBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBus").field("channels", &self.channels()).finish_non_exhaustive()
    }
}

impl fmt::Debug for MemoryBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackplane").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Far more than receivers that publish in turn have outstanding.
const MAX_DELIVERIES: usize = 65_536;
