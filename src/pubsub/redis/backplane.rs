//! `RedisBackplane` and its options.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use super::connector::Connector;
use super::options::{RedisAddress, RedisConfigError, RedisOptions, Topology, login};
use super::publisher::Publisher;
use super::subscriber::Subscriber;
use crate::pubsub::{Backplane, BackplaneFuture, BackplaneReceiver, BackplaneStats};

/// A [`Backplane`] by Redis publish/subscribe (C#: `AddStackExchangeRedis`). Requires the feature
/// `redis`.
///
/// Any server with Redis' protocol is suitable, such as Valkey; nothing is stored in it. A process
/// has two connections: one publishes for all hubs, the other one subscribes.
///
/// ```no_run
/// use std::time::Duration;
///
/// use signalr::backplane::RedisBackplane;
/// use signalr::{SignalR, hub};
///
/// struct Chat;
///
/// #[hub]
/// impl Chat {}
///
/// let redis = RedisBackplane::new("rediss://signalr:password@redis.example.org:6379")?
///     .channel_prefix("production:")
///     .request_timeout(Duration::from_secs(2));
/// let signalr = SignalR::builder().backplane(redis).hub("/chat", Chat).build()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # URLs
///
/// | URL | server |
/// |---|---|
/// | `redis://user:password@host:6379` | over TCP; the port is 6379 by default |
/// | `redis://:password@host` | with a password and no user (`requirepass`) |
/// | `rediss://host` | over TLS; Mozilla's root certificates are trusted, or [`root_certificates`](Self::root_certificates) |
/// | `unix:///run/redis.sock?user=name&pass=password` | over a Unix socket |
///
/// `valkey://` and `valkeys://` are the same as `redis://` and `rediss://`. Reserved characters of a
/// password have to be percent-encoded. A database number, as in `redis://host/2`, has no effect:
/// channels are not part of a database, in C# neither.
///
/// # Options
///
/// | method | default | C#, in `RedisOptions.Configuration` |
/// |---|---|---|
/// | [`channel_prefix`](Self::channel_prefix) | none | `ChannelPrefix` |
/// | [`connect_timeout`](Self::connect_timeout) | 5 s | `ConnectTimeout` |
/// | [`request_timeout`](Self::request_timeout) | 5 s | `AsyncTimeout` |
/// | [`max_queued_bytes`](Self::max_queued_bytes) | 16 MiB | |
/// | [`credentials`](Self::credentials) | of the URL | `User`, `Password` |
/// | [`root_certificates`](Self::root_certificates) | Mozilla's | `TrustIssuer` |
/// | [`client_certificate`](Self::client_certificate) | none | `SetUserPemCertificate` |
///
/// # When Redis fails
///
/// The backplane connects by itself, also if Redis is not reachable at the start, after delays from
/// 50 ms to 2 s. PING detects a connection that has died without notice.
///
/// | event | effect |
/// |---|---|
/// | Redis is not reachable | calls wait for [`request_timeout`](Self::request_timeout), then fail with [`Disconnected`](crate::backplane::BackplaneError::Disconnected) |
/// | the connection is lost during a publish | it fails with [`Disconnected`](crate::backplane::BackplaneError::Disconnected); it is not repeated, since Redis may have received it |
/// | the connection is lost that subscribes | payloads are lost until all subscriptions are restored |
/// | Redis does not answer | calls fail with [`Timeout`](crate::backplane::BackplaneError::Timeout); the connection is replaced if nothing moves on it |
/// | publishes are too many or too large | they wait, then fail with [`QueueFull`](crate::backplane::BackplaneError::QueueFull) |
/// | the ACL denies a channel | calls fail with [`Rejected`](crate::backplane::BackplaneError::Rejected); an existing subscription is requested again until it succeeds, and the backplane is not ready meanwhile |
///
/// The log has a line for each interruption and each restoration of the subscriptions, and one for
/// the first of many failed publishes.
///
/// The ACL has to permit `PUBLISH`, `SUBSCRIBE`, `UNSUBSCRIBE`, `PING` and the channels:
/// `ACL SETUSER signalr on >password resetchannels &production:* -@all +publish +subscribe
/// +unsubscribe +ping`.
pub struct RedisBackplane {
    options: RedisOptions,
    /// Exists from the first call of a method of [`Backplane`].
    running: OnceLock<Running>,
}

struct Running {
    publisher: Arc<Publisher>,
    subscriber: Arc<Subscriber>,
    connector: Arc<Connector>,
    started: AtomicBool,
    closed: CancellationToken,
}

impl RedisBackplane {
    /// Creates a backplane with one server, which [`start`](Backplane::start) connects to.
    ///
    /// # Errors
    ///
    /// If the URL is not one of a Redis server.
    pub fn new(url: impl AsRef<str>) -> Result<Self, RedisConfigError> {
        Ok(Self::with(Topology::Single(RedisAddress::parse(url.as_ref())?)))
    }

    /// Creates a backplane with a Redis Cluster, of which some nodes are given.
    ///
    /// The first node that is reachable is used. The nodes send publishes to each other, so that all
    /// servers receive them whatever their node is. Redis then reports the receivers at one node only;
    /// [`publish`](Backplane::publish) therefore returns `None`.
    ///
    /// # Errors
    ///
    /// If a URL is not one of a Redis server, or there is none.
    pub fn cluster<U: AsRef<str>>(urls: impl IntoIterator<Item = U>) -> Result<Self, RedisConfigError> {
        Ok(Self::with(Topology::Cluster(RedisAddress::parse_all(urls)?)))
    }

    /// Creates a backplane with a server that Redis Sentinel monitors (C#: `ServiceName`).
    ///
    /// The URLs are those of the Sentinels, usually with port 26379, and their credentials are for the
    /// Sentinels; [`credentials`](Self::credentials) sets those of the server. With `rediss://`, the
    /// connections to the server are encrypted, too. The Sentinels are queried for the address of the
    /// master before each connection, and every 10 seconds.
    ///
    /// # Errors
    ///
    /// If a URL is not one of a Redis server, or there is none.
    pub fn sentinel<U: AsRef<str>>(
        urls: impl IntoIterator<Item = U>,
        master: impl Into<String>,
    ) -> Result<Self, RedisConfigError> {
        Ok(Self::with(Topology::Sentinel { sentinels: RedisAddress::parse_all(urls)?, master: master.into() }))
    }

    /// Sets a text that precedes the names of all channels: none by default (C#: `ChannelPrefix`).
    ///
    /// It separates applications that use one Redis, and must be the same at all servers of one
    /// application.
    pub fn channel_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.options.channel_prefix = prefix.into();
        self
    }

    /// Sets the time limit for one attempt to connect, login included: 5 seconds by default (C#:
    /// `ConnectTimeout`).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.options.connect_timeout = timeout;
        self
    }

    /// Sets the time limit for a call: 5 seconds by default, at most a day (C#: `AsyncTimeout`). It
    /// includes the wait for a connection, for queue capacity and for the answer.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.options.request_timeout = timeout.min(MAX_REQUEST_TIMEOUT);
        self
    }

    /// Sets how many bytes of publishes may be queued or unanswered: 16 MiB by default, at most 4 GiB.
    /// Further publishes wait for capacity. A larger payload is published while no other one is queued.
    pub fn max_queued_bytes(mut self, bytes: usize) -> Self {
        self.options.max_queued_bytes = bytes;
        self
    }

    /// Sets user and password, in place of those in the URL (C#: `User` and `Password`). If the user is
    /// empty, only the password is sent (`requirepass`).
    pub fn credentials(mut self, user: &str, password: &str) -> Self {
        self.options.credentials = Some(login(user, password));
        self
    }

    /// Trusts only certificates that these PEM-encoded ones have issued, in place of Mozilla's root
    /// certificates (C#: `TrustIssuer`).
    ///
    /// # Errors
    ///
    /// If there is no certificate, or an invalid one.
    pub fn root_certificates(mut self, pem: impl AsRef<[u8]>) -> Result<Self, RedisConfigError> {
        self.options.tls.set_roots(pem.as_ref())?;
        Ok(self)
    }

    /// Authenticates by a client certificate and its private key, both PEM-encoded (C#:
    /// `SetUserPemCertificate`). None by default.
    ///
    /// # Errors
    ///
    /// If the certificate or the key is invalid.
    pub fn client_certificate(
        mut self,
        certificate_pem: impl AsRef<[u8]>,
        key_pem: impl AsRef<[u8]>,
    ) -> Result<Self, RedisConfigError> {
        self.options.tls.set_client(certificate_pem.as_ref(), key_pem.as_ref())?;
        Ok(self)
    }

    fn with(topology: Topology) -> Self {
        Self { options: RedisOptions::new(topology), running: OnceLock::new() }
    }

    fn running(&self) -> &Running {
        self.running.get_or_init(|| Running {
            publisher: Arc::new(Publisher::new(&self.options)),
            subscriber: Arc::new(Subscriber::new(&self.options)),
            connector: Arc::new(Connector::new(&self.options)),
            started: AtomicBool::new(false),
            closed: CancellationToken::new(),
        })
    }

    fn prefixed(&self, channel: &str) -> String {
        format!("{}{channel}", self.options.channel_prefix)
    }
}

impl Backplane for RedisBackplane {
    fn attach(&self, receiver: BackplaneReceiver) {
        self.running().subscriber.attach(receiver);
    }

    fn start(&self) {
        let Running { publisher, subscriber, connector, started, closed } = self.running();
        if started.swap(true, Ordering::AcqRel) {
            return;
        }
        let (publisher, connector_of_publisher, end) = (publisher.clone(), connector.clone(), closed.clone());
        tokio::spawn(async move { end.run_until_cancelled(publisher.run(&connector_of_publisher)).await });
        let (subscriber, connector, end) = (subscriber.clone(), connector.clone(), closed.clone());
        tokio::spawn(async move { end.run_until_cancelled(subscriber.run(&connector)).await });
    }

    fn publish(&self, channel: &str, payload: Bytes) -> BackplaneFuture<Option<u64>> {
        let publisher = self.running().publisher.clone();
        let channel = self.prefixed(channel);
        let is_cluster = matches!(self.options.topology, Topology::Cluster(_));
        async move {
            let receivers = publisher.publish(&channel, &payload).await?;
            Ok((!is_cluster).then_some(receivers))
        }
        .boxed()
    }

    fn subscribe(&self, channel: &str) -> BackplaneFuture<()> {
        self.running().subscriber.subscribe(self.prefixed(channel)).boxed()
    }

    fn unsubscribe(&self, channel: &str) {
        self.running().subscriber.unsubscribe(&self.prefixed(channel));
    }

    fn is_ready(&self) -> bool {
        let Running { publisher, subscriber, .. } = self.running();
        publisher.is_connected() && subscriber.is_ready()
    }

    fn stats(&self) -> BackplaneStats {
        let Running { publisher, subscriber, .. } = self.running();
        BackplaneStats {
            failed_publishes: publisher.failed(),
            interruptions: subscriber.interruptions(),
            subscriptions: subscriber.subscriptions(),
            ..BackplaneStats::default()
        }
    }

    fn close(&self) {
        let Running { publisher, subscriber, closed, .. } = self.running();
        closed.cancel();
        publisher.close();
        subscriber.close();
    }
}

impl Drop for RedisBackplane {
    fn drop(&mut self) {
        if self.running.get().is_some() {
            self.close();
        }
    }
}

impl fmt::Debug for RedisBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackplane").field("options", &self.options).finish_non_exhaustive()
    }
}

/// So that a deadline can be computed.
const MAX_REQUEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
