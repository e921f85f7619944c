//! The connection on which payloads arrive.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::OptionFuture;
use futures_util::{FutureExt, StreamExt};
use redis::aio::PubSubSink;
use redis::{RedisResult, Value};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::backoff::Backoff;
use super::connector::{Connected, Connector, KEEP_ALIVE_INTERVAL};
use super::options::{Address, RedisOptions};
use super::paced_socket::{Pace, PacedMessages};
use super::subscriptions::{Requests, Subscriptions, Waiting};
use crate::pubsub::{BackplaneError, BackplaneReceiver};
use crate::quoted::Quoted;

/// Subscribes over one connection, which a task keeps open.
pub(super) struct Subscriber {
    table: Mutex<Subscriptions>,
    /// Wakes the task after a change of the table.
    changed: Notify,
    receiver: OnceLock<BackplaneReceiver>,
    channel_prefix: String,
    request_timeout: Duration,
    interruptions: AtomicU64,
}

/// An open connection, as its requests need it.
struct SubscriberSession<'a> {
    sink: PubSubSink,
    pace: Arc<Pace>,
    address: &'a Address,
    connector: &'a Connector,
}

impl Subscriber {
    pub(super) fn new(options: &RedisOptions) -> Self {
        Self {
            table: Mutex::new(Subscriptions::new()),
            changed: Notify::new(),
            receiver: OnceLock::new(),
            channel_prefix: options.channel_prefix.clone(),
            request_timeout: options.request_timeout,
            interruptions: AtomicU64::new(0),
        }
    }

    pub(super) fn attach(&self, receiver: BackplaneReceiver) {
        self.receiver.get_or_init(|| receiver);
    }

    /// Takes effect before the future is polled.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        channel: String,
    ) -> impl Future<Output = Result<(), BackplaneError>> + use<> {
        let channel: Arc<str> = channel.into();
        let deadline = Instant::now() + self.request_timeout;
        let subscribed = self.table().subscribe(&channel);
        self.changed.notify_one();
        let subscriber = self.clone();
        async move {
            let Some(Waiting { id, mut rx }) = subscribed? else { return Ok(()) };
            match timeout_at(deadline, &mut rx).await {
                Ok(completed) => completed.unwrap_or(Err(BackplaneError::Closed)),
                Err(_) => {
                    let expired = subscriber.table().expire(&channel, id);
                    subscriber.changed.notify_one();
                    match expired {
                        Some(error) => Err(error),
                        None => rx.await.unwrap_or(Err(BackplaneError::Closed)),
                    }
                }
            }
        }
    }

    pub(super) fn unsubscribe(&self, channel: &str) {
        let completion = self.table().unsubscribe(channel);
        completion.send();
        self.changed.notify_one();
    }

    pub(super) fn is_ready(&self) -> bool {
        self.table().is_ready()
    }

    pub(super) fn subscriptions(&self) -> usize {
        self.table().len()
    }

    pub(super) fn interruptions(&self) -> u64 {
        self.interruptions.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        let completion = self.table().close();
        completion.send();
    }

    /// Stays connected; never returns.
    pub(super) async fn run(&self, connector: &Connector) {
        let mut backoff = Backoff::new();
        let mut outage_is_logged = false;
        loop {
            let reason = match connector.open_subscriber().await {
                Ok(Connected { connection, address, pace }) => {
                    let (sink, stream) = connection.split();
                    let session = SubscriberSession { sink, pace: pace.clone(), address: &address, connector };
                    self.table().connected();
                    tokio::select! {
                        reason = self.read(PacedMessages::new(stream, pace)) => reason,
                        reason = self.apply(&session, &mut backoff) => reason,
                        reason = self.keep_alive(&session) => reason,
                    }
                }
                Err(reason) => reason,
            };
            if self.table().disconnected(reason.clone()) {
                self.interruptions.fetch_add(1, Ordering::Relaxed);
                outage_is_logged = false;
            }
            if !outage_is_logged {
                outage_is_logged = true;
                tracing::warn!(reason = %Quoted(&reason), "Redis subscriptions interrupted");
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }

    /// Passes messages on until the connection is lost.
    async fn read(&self, mut messages: PacedMessages) -> Arc<str> {
        while let Some(message) = messages.next().await {
            let channel = message.get_channel_name();
            if let Some(receiver) = self.receiver.get()
                && let Some(channel) = channel.strip_prefix(&*self.channel_prefix)
            {
                receiver.receive(channel, Bytes::copy_from_slice(message.get_payload_bytes()));
            }
        }
        "connection closed".into()
    }

    /// Restores all subscriptions, and applies changes until the connection is lost.
    async fn apply(&self, session: &SubscriberSession<'_>, backoff: &mut Backoff) -> Arc<str> {
        if let Err(reason) = self.apply_changes(session).await {
            return reason;
        }
        backoff.reset();
        let subscriptions = self.table().restored();
        tracing::info!(server = %session.address, subscriptions, "Redis subscriptions ready");
        let mut retry = Backoff::new();
        let mut retry_at = None;
        loop {
            if self.table().has_refused() {
                retry_at.get_or_insert_with(|| Instant::now() + retry.next_delay());
            } else {
                retry_at = None;
                retry.reset();
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = OptionFuture::from(retry_at.map(tokio::time::sleep_until)).map(drop), if retry_at.is_some() => {
                    self.table().retry_refused();
                    retry_at = None;
                }
            }
            if let Err(reason) = self.apply_changes(session).await {
                return reason;
            }
        }
    }

    /// Applies one round of changes. Fails with the reason if the connection is lost.
    async fn apply_changes(&self, session: &SubscriberSession<'_>) -> Result<(), Arc<str>> {
        let Requests { unsubscribe, unchanged, subscribe } = self.table().take_requests();
        for batch in unsubscribe.chunks(MAX_CHANNELS_PER_REQUEST) {
            let mut sink = session.sink.clone();
            // An error reply needs no handling: payloads of such a channel have no receiver.
            let _ = self.answer(session, sink.unsubscribe(names(batch))).await?;
        }
        let completion = self.table().confirm(&unchanged);
        completion.send();
        for batch in subscribe.chunks(MAX_CHANNELS_PER_REQUEST) {
            self.request_subscriptions(session, batch).await?;
        }
        self.table().applied();
        Ok(())
    }

    /// Subscribes to channels. After an error reply, which is to a whole request, each half of the
    /// request is repeated, until the channels that cause it are alone.
    async fn request_subscriptions(
        &self,
        session: &SubscriberSession<'_>,
        channels: &[Arc<str>],
    ) -> Result<(), Arc<str>> {
        let mut parts = vec![channels];
        while let Some(part) = parts.pop().filter(|part| !part.is_empty()) {
            let mut sink = session.sink.clone();
            match self.answer(session, sink.subscribe(names(part))).await? {
                Ok(()) => {
                    let completion = self.table().confirm(part);
                    completion.send();
                }
                Err(_) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(error) => self.refuse(&part[0], &error.to_string()),
            }
        }
        Ok(())
    }

    fn refuse(&self, channel: &Arc<str>, reason: &str) {
        let (completion, interrupted) = self.table().refuse(channel, reason.into());
        completion.send();
        if interrupted {
            tracing::warn!(channel = %Quoted(channel), reason = %Quoted(reason), "Redis refused a subscription");
        }
    }

    /// Detects a dead connection that has no traffic.
    async fn keep_alive(&self, session: &SubscriberSession<'_>) -> Arc<str> {
        loop {
            tokio::time::sleep(KEEP_ALIVE_INTERVAL).await;
            let mut sink = session.sink.clone();
            if let Err(reason) = self.answer(session, sink.ping::<Value>()).await {
                return reason;
            }
            if session.connector.has_moved(session.address).await {
                return "the master has changed".into();
            }
        }
    }

    /// Waits for an answer, which may be an error reply. Fails if the connection is lost.
    async fn answer<T>(
        &self,
        session: &SubscriberSession<'_>,
        request: impl Future<Output = RedisResult<T>>,
    ) -> Result<RedisResult<T>, Arc<str>> {
        match session.pace.answer(request, self.request_timeout).await {
            None => Err("Redis did not answer in time".into()),
            Some(Err(error)) if error.is_io_error() => Err(error.to_string().into()),
            Some(answer) => Ok(answer),
        }
    }

    fn table(&self) -> MutexGuard<'_, Subscriptions> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn names(channels: &[Arc<str>]) -> Vec<&str> {
    channels.iter().map(|channel| &**channel).collect()
}

/// Redis answers nothing else while it handles one request.
const MAX_CHANNELS_PER_REQUEST: usize = 500;
