//! A backplane on NATS.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::ready;
use tokio_util::task::AbortOnDropHandle;

use super::super::{Backplane, BackplaneFuture, BackplaneReceiver, BackplaneStats};
use super::calls::Calls;
use super::connection;
use super::options::{Hosts, NatsConfigError, NatsOptions};
use super::subject::Prefix;

#[doc = include_str!("nats_backplane.md")]
pub struct NatsBackplane {
    options: NatsOptions,
    connection: OnceLock<NatsConnection>,
    receiver: OnceLock<BackplaneReceiver>,
}

/// Calls and task of a backplane, whose options cannot be changed any more.
struct NatsConnection {
    calls: Arc<Calls>,
    task: Mutex<NatsConnectionTask>,
}

enum NatsConnectionTask {
    New,
    Running(#[expect(dead_code, reason = "aborts the task when it is dropped")] AbortOnDropHandle<()>),
    Closed,
}

impl NatsBackplane {
    /// Uses one NATS, whose servers are URLs separated by commas: `nats://user:password@host:4222`,
    /// or `nats://token@host`. With `tls://`, the connection is encrypted; with `nats://` only if
    /// the server requires it. Special characters in credentials are percent-encoded. The
    /// credentials of the first URL that has some are used for all.
    ///
    /// # Errors
    ///
    /// Fails if a URL is invalid. Whether a server is reachable is not checked.
    pub fn new(urls: impl AsRef<str>) -> Result<Self, NatsConfigError> {
        let options = NatsOptions::new(urls.as_ref())?;
        Ok(Self { options, connection: OnceLock::new(), receiver: OnceLock::new() })
    }

    /// Sets the prefix of all subjects: tokens of ASCII letters, digits, `_` and `-`, separated by
    /// dots. Default: `signalr`.
    ///
    /// Applications on one NATS that have a hub of the same name need different prefixes. The user
    /// of NATS needs the permission to publish and to subscribe to `PREFIX.>`.
    ///
    /// # Errors
    ///
    /// Fails if the prefix is no such text.
    pub fn subject_prefix(mut self, prefix: impl AsRef<str>) -> Result<Self, NatsConfigError> {
        self.options.prefix = Prefix::parse(prefix.as_ref()).ok_or(NatsConfigError::Prefix)?;
        Ok(self)
    }

    /// Sets the time within which a publish or a subscription fails: it covers the wait for a
    /// connection and for the answer. Default: 5 seconds.
    ///
    /// A connection on which nothing arrives is checked after this time, and replaced after three
    /// times this time.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.options.request_timeout = timeout.max(MIN_REQUEST_TIMEOUT);
        self
    }

    /// Sets how many bytes of payloads may wait to be published or confirmed. When there are as
    /// many, calls fail with [`QueueFull`](crate::backplane::BackplaneError::QueueFull). Default:
    /// 16 MiB.
    #[must_use]
    pub fn max_queued_bytes(mut self, bytes: usize) -> Self {
        self.options.max_queued_bytes = bytes;
        self
    }

    /// Sets the root certificates, in PEM, that are trusted instead of those of the operating
    /// system.
    ///
    /// # Errors
    ///
    /// Fails if the text contains no certificate, or an invalid one.
    pub fn root_certificates(mut self, pem: impl AsRef<[u8]>) -> Result<Self, NatsConfigError> {
        self.options.set_roots(pem.as_ref())?;
        Ok(self)
    }

    /// Sets the certificate, with its chain, and the private key by which the server authenticates
    /// this client, both in PEM.
    ///
    /// # Errors
    ///
    /// Fails if one of them is invalid, or they do not belong together.
    pub fn client_certificate(
        mut self,
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, NatsConfigError> {
        self.options.set_client_certificate(chain.as_ref(), key.as_ref())?;
        Ok(self)
    }

    fn connection(&self) -> &NatsConnection {
        self.connection.get_or_init(|| NatsConnection {
            calls: Arc::new(Calls::new(self.options.max_queued_bytes, self.options.request_timeout)),
            task: Mutex::new(NatsConnectionTask::New),
        })
    }

    fn calls(&self) -> &Arc<Calls> {
        &self.connection().calls
    }
}

impl NatsConnection {
    fn task(&self) -> MutexGuard<'_, NatsConnectionTask> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backplane for NatsBackplane {
    fn attach(&self, receiver: BackplaneReceiver) {
        self.receiver.get_or_init(|| receiver);
    }

    fn start(&self) {
        let mut task = self.connection().task();
        if let (NatsConnectionTask::New, Some(receiver)) = (&*task, self.receiver.get()) {
            let run = connection::run(self.options.clone(), Arc::clone(self.calls()), receiver.clone());
            *task = NatsConnectionTask::Running(AbortOnDropHandle::new(tokio::spawn(run)));
        }
    }

    fn publish(&self, channel: &str, payload: Bytes) -> BackplaneFuture<Option<u64>> {
        let call = self.calls().publish(channel, payload);
        let calls = Arc::clone(self.calls());
        // NATS does not count receivers.
        async move { calls.published(call).await.map(|()| None) }.boxed()
    }

    fn subscribe(&self, channel: &str) -> BackplaneFuture<()> {
        match self.calls().subscribe(channel) {
            Ok(Some(call)) => {
                let (calls, channel) = (Arc::clone(self.calls()), Box::<str>::from(channel));
                async move { calls.subscribed(&channel, call).await }.boxed()
            }
            Ok(None) => ready(Ok(())).boxed(),
            Err(error) => ready(Err(error)).boxed(),
        }
    }

    fn unsubscribe(&self, channel: &str) {
        self.calls().unsubscribe(channel);
    }

    fn is_ready(&self) -> bool {
        self.calls().is_ready()
    }

    fn stats(&self) -> BackplaneStats {
        self.calls().stats()
    }

    fn close(&self) {
        self.calls().close();
        let task = std::mem::replace(&mut *self.connection().task(), NatsConnectionTask::Closed);
        // Without the lock.
        drop(task);
    }
}

impl Drop for NatsBackplane {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for NatsBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsBackplane")
            .field("servers", &Hosts(&self.options.servers))
            .field("prefix", &self.options.prefix.as_str())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// The interval of checks of the connection may not be zero.
const MIN_REQUEST_TIMEOUT: Duration = Duration::from_millis(1);
