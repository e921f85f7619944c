//! Publish/subscribe services, by which servers reach each other: the trait and its
//! implementations. Public as `signalr::backplane`.

mod error;
mod memory;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "redis")]
mod redis;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

#[cfg(feature = "redis")]
pub use self::redis::{RedisBackplane, RedisConfigError};
pub use error::BackplaneError;
pub use memory::{MemoryBackplane, MemoryBus};
#[cfg(feature = "nats")]
pub use nats::{NatsBackplane, NatsConfigError};

/// Future that a [`Backplane`] returns.
pub type BackplaneFuture<T> = Pin<Box<dyn Future<Output = Result<T, BackplaneError>> + Send>>;

/// A publish/subscribe service that connects servers (C#: what `RedisHubLifetimeManager` needs of
/// Redis).
///
/// A server publishes payloads to channels, and receives all payloads of the channels that it has
/// subscribed to, its own included. Channels are literal names of up to a few hundred bytes of any
/// UTF-8 text, such as `Chat:group:room 1`; payloads are opaque.
///
/// Guarantees of an implementation, which [`testing::backplane`](crate::testing::backplane) (feature
/// `testing`) checks:
///
/// - Channels are literal: no text is a pattern, and different names are different channels.
/// - While the service is connected, a payload arrives once at each subscribed server. Payloads
///   that one task publishes to a channel, each after the former has completed, arrive in that
///   order.
/// - Calls of [`subscribe`](Self::subscribe) and [`unsubscribe`](Self::unsubscribe) for a channel take
///   effect in their order, whether or not the futures are polled. A payload that is published after
///   the future of `subscribe` has completed is received. After `unsubscribe`, payloads may arrive
///   for a moment.
/// - After an interruption, all subscriptions are restored without a call. Payloads published
///   meanwhile may be lost.
/// - Futures complete within a bounded time, with an error if the service is not reachable, also
///   before [`start`](Self::start).
/// - Receiving never waits: the receiver returns quickly.
pub trait Backplane: Send + Sync + 'static {
    /// Sets the receiver of payloads. Called once, before all other methods, and possibly outside
    /// of a tokio runtime.
    fn attach(&self, receiver: BackplaneReceiver);

    /// Connects to the service in the background, and stays connected until
    /// [`close`](Self::close). Called within a tokio runtime, possibly more than once.
    fn start(&self);

    /// Publishes a payload. Completes when the service has taken it, and returns how many servers
    /// are subscribed to the channel, or `None` if the service does not count them.
    ///
    /// If the future fails, the payload may have been published nevertheless, but at most once. If
    /// it is dropped, the payload may or may not be published.
    fn publish(&self, channel: &str, payload: Bytes) -> BackplaneFuture<Option<u64>>;

    /// Subscribes to a channel. Completes when the service has confirmed it; at once if the channel
    /// is subscribed already. Several calls make one subscription, which one call of
    /// [`unsubscribe`](Self::unsubscribe) ends. If the future fails, the channel is not subscribed;
    /// if it is dropped, the channel stays subscribed.
    fn subscribe(&self, channel: &str) -> BackplaneFuture<()>;

    /// Ends the subscription of a channel, if there is one. Pending calls of
    /// [`subscribe`](Self::subscribe) for this channel complete with either result.
    fn unsubscribe(&self, channel: &str);

    /// Returns whether the service is connected and all subscriptions of before an interruption are
    /// restored. A subscription that is being made does not change it.
    fn is_ready(&self) -> bool;

    /// Returns counters since the start.
    fn stats(&self) -> BackplaneStats;

    /// Disconnects, and ends all subscriptions. Pending calls complete with either result; all later
    /// calls fail with [`BackplaneError::Closed`].
    fn close(&self);
}

/// Counters of a [`Backplane`], part of [`Stats`](crate::hosting::Stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackplaneStats {
    /// Number of calls of `publish` that failed.
    pub failed_publishes: u64,
    /// Number of times that the connection on which payloads arrive was lost.
    pub interruptions: u64,
    /// Number of channels that are subscribed, or are being subscribed or restored.
    pub subscriptions: usize,
    /// Number of received messages that the server dropped, because more than 16 MiB of them waited
    /// for clients that do not read fast enough. A `Backplane` leaves it at zero.
    pub dropped_messages: u64,
}

impl<B: Backplane + ?Sized> Backplane for Arc<B> {
    fn attach(&self, receiver: BackplaneReceiver) {
        (**self).attach(receiver);
    }

    fn start(&self) {
        (**self).start();
    }

    fn publish(&self, channel: &str, payload: Bytes) -> BackplaneFuture<Option<u64>> {
        (**self).publish(channel, payload)
    }

    fn subscribe(&self, channel: &str) -> BackplaneFuture<()> {
        (**self).subscribe(channel)
    }

    fn unsubscribe(&self, channel: &str) {
        (**self).unsubscribe(channel);
    }

    fn is_ready(&self) -> bool {
        (**self).is_ready()
    }

    fn stats(&self) -> BackplaneStats {
        (**self).stats()
    }

    fn close(&self) {
        (**self).close();
    }
}

/// Receives the payloads of subscribed channels. Cloning is cheap.
#[derive(Clone)]
#[expect(clippy::type_complexity, reason = "an alias would have no other use")]
pub struct BackplaneReceiver(Arc<dyn Fn(&str, Bytes) + Send + Sync>);

impl BackplaneReceiver {
    /// Creates a receiver from a function of channel and payload, which must not block.
    pub fn new(receive: impl Fn(&str, Bytes) + Send + Sync + 'static) -> Self {
        Self(Arc::new(receive))
    }

    /// Passes a payload on. Payloads of one channel have to be passed in order, each after the call
    /// for the former has returned. Calls for different channels may run at the same time.
    pub fn receive(&self, channel: &str, payload: Bytes) {
        (self.0)(channel, payload);
    }
}

impl fmt::Debug for BackplaneReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackplaneReceiver").finish_non_exhaustive()
    }
}
