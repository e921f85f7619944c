//! One client of `async-nats`, from its first connection until it ends.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, PublishError, PublishErrorKind, Subscriber};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use super::super::{BackplaneError, BackplaneReceiver};
use super::calls::{CONNECTION_LOST, Calls, ConnectedClient, Publish, Published};
use super::channels::Change;
use super::reader::{self, ActiveSubscription, ChannelPayloads};
use super::subject::Prefix;

/// Runs calls on a client.
///
/// NATS confirms neither subscriptions nor publishes, and `Client::flush` of `async-nats` waits for
/// the socket only. Therefore a session publishes *fences*: numbers, to a subject that it has
/// subscribed to itself. The server processes what arrives on a connection in order, so when it
/// returns a fence, it has processed all that was sent before. Several calls share a fence, which
/// then costs little; a task that waits for each publish waits 0.1 ms longer on one machine than if
/// the client alone had taken the payload.
///
/// When the client connects again, it restores the subscriptions, but payloads that it has not
/// written are lost or not. [`ConnectedClient`] shows that it has, and their calls fail.
pub(super) struct NatsSession<'a> {
    calls: &'a Calls,
    prefix: &'a Prefix,
    request_timeout: Duration,
    client: Client,
    connection: ConnectedClient,
    echo_subject: String,
    echo: Subscriber,
    subscriptions: HashMap<Arc<str>, ActiveSubscription>,
    /// Contains subscriptions that the reader has not begun to read.
    reader: mpsc::UnboundedSender<ChannelPayloads>,
    _reader_task: AbortOnDropHandle<()>,
    /// Batches that are sent and not confirmed.
    batches: VecDeque<Batch>,
    last_fence: u64,
    /// Confirms that subscriptions are restored.
    restored_by: Option<u64>,
}

/// Calls that were sent before a fence.
struct Batch {
    fence: u64,
    sent: Instant,
    channels: Vec<Arc<str>>,
    published: Vec<Published>,
}

/// The client does not connect any more.
#[derive(Debug)]
pub(super) struct SessionEnded;

impl<'a> NatsSession<'a> {
    /// Begins a session with a client that has just connected.
    pub(super) async fn begin(
        calls: &'a Calls,
        prefix: &'a Prefix,
        request_timeout: Duration,
        receiver: BackplaneReceiver,
        client: Client,
    ) -> Result<Self, SessionEnded> {
        let connection = ConnectedClient::of(&client);
        let echo_subject = prefix.echo();
        let echo = client.subscribe(echo_subject.clone()).await.map_err(|_| SessionEnded)?;
        let (reader, added) = mpsc::unbounded_channel();
        let reader_task = AbortOnDropHandle::new(tokio::spawn(reader::read(receiver, added)));
        calls.begin_session();
        Ok(Self {
            calls,
            prefix,
            request_timeout,
            client,
            connection,
            echo_subject,
            echo,
            subscriptions: HashMap::new(),
            reader,
            _reader_task: reader_task,
            batches: VecDeque::new(),
            last_fence: 0,
            restored_by: None,
        })
    }

    /// Runs calls until the client has ended.
    pub(super) async fn run(&mut self) -> SessionEnded {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first fence confirms all subscriptions, even if there are none.
        if let Err(ended) = self.send_batch(true).await {
            return ended;
        }
        loop {
            let result = tokio::select! {
                message = self.echo.next() => match message {
                    Some(message) => self.receive_fence(&message.payload).await,
                    None => Err(SessionEnded),
                },
                () = self.calls.changed.notified(), if self.batches.len() < MAX_BATCHES => self.send_batch(false).await,
                _ = tick.tick() => self.check_connection().await,
            };
            if let Err(ended) = result {
                return ended;
            }
        }
    }

    /// Sends the calls that wait, and a fence.
    async fn send_batch(&mut self, restores: bool) -> Result<(), SessionEnded> {
        let fence = self.last_fence + 1;
        let work = self.calls.take(fence);
        if work.is_empty() && !restores {
            return Ok(());
        }
        let mut channels = Vec::new();
        for change in work.changes {
            match change {
                Change::Subscribe(channel) => {
                    self.subscribe(&channel).await?;
                    channels.push(channel);
                }
                Change::Unsubscribe(channel) => drop(self.subscriptions.remove(&channel)),
            }
        }
        let mut published = Vec::new();
        for publish in work.publishes {
            published.extend(self.publish(publish).await?);
        }
        self.send_fence(channels, published, restores).await
    }

    async fn subscribe(&mut self, channel: &Arc<str>) -> Result<(), SessionEnded> {
        if self.subscriptions.contains_key(channel) {
            return Ok(());
        }
        let subscriber = self.client.subscribe(self.prefix.channel(channel)).await.map_err(|_| SessionEnded)?;
        let (payloads, active) = ChannelPayloads::new(Arc::clone(channel), subscriber);
        self.reader.send(payloads).map_err(|_| SessionEnded)?;
        self.subscriptions.insert(Arc::clone(channel), active);
        Ok(())
    }

    /// Hands a payload to the client. Returns `None` if it is rejected.
    async fn publish(&self, publish: Publish) -> Result<Option<Published>, SessionEnded> {
        let Publish { channel, payload, published, .. } = publish;
        let length = payload.len();
        let Err(error) = self.client.publish(self.prefix.channel(&channel), payload).await else {
            return Ok(Some(published));
        };
        if error.kind() == PublishErrorKind::Send {
            return Err(SessionEnded);
        }
        published.complete(Err(BackplaneError::Rejected(self.rejection(&error, length).into())));
        Ok(None)
    }

    fn rejection(&self, error: &PublishError, length: usize) -> String {
        match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => {
                let max = self.client.max_payload();
                format!("payload of {length} bytes is longer than max_payload of the NATS server, {max} bytes")
            }
            _ => error.to_string(),
        }
    }

    async fn send_fence(
        &mut self,
        channels: Vec<Arc<str>>,
        published: Vec<Published>,
        restores: bool,
    ) -> Result<(), SessionEnded> {
        self.last_fence += 1;
        let fence = self.last_fence;
        if restores {
            self.restored_by = Some(fence);
        }
        self.batches.push_back(Batch { fence, sent: Instant::now(), channels, published });
        let payload = fence.to_be_bytes().to_vec().into();
        self.client.publish(self.echo_subject.clone(), payload).await.map_err(|_| SessionEnded)
    }

    /// Completes what was sent before a fence, unless the connection was lost in between.
    async fn receive_fence(&mut self, payload: &[u8]) -> Result<(), SessionEnded> {
        if self.connection.losses() > 0 {
            return self.reconnected().await;
        }
        let Ok(fence) = payload.try_into().map(u64::from_be_bytes) else { return Ok(()) };
        let confirmed = self.batches.partition_point(|batch| batch.fence <= fence);
        for batch in self.batches.drain(..confirmed) {
            self.calls.confirm(batch.fence, &batch.channels);
            batch.published.into_iter().for_each(|published| published.complete(Ok(())));
        }
        if self.restored_by.is_none_or(|restoring| restoring <= fence) {
            self.restored_by = None;
            if self.calls.connected(&self.connection) {
                tracing::info!(target: "signalr::backplane", service = "nats", "backplane connected");
            }
        }
        Ok(())
    }

    async fn check_connection(&mut self) -> Result<(), SessionEnded> {
        if self.connection.losses() > 0 {
            return self.reconnected().await;
        }
        // A panic of the receiver has ended the task.
        if self.reader.is_closed() {
            return Err(SessionEnded);
        }
        let waited = self.batches.front().map_or(Duration::ZERO, |batch| batch.sent.elapsed());
        if waited > MAX_TIMEOUTS * self.request_timeout {
            return Err(SessionEnded);
        }
        if waited > self.request_timeout {
            self.calls.disconnected("the server does not answer", 0);
        }
        Ok(())
    }

    /// Fails the payloads whose fate is unknown, and confirms subscriptions again.
    async fn reconnected(&mut self) -> Result<(), SessionEnded> {
        tracing::warn!(target: "signalr::backplane", service = "nats", "backplane reconnected");
        self.calls.disconnected(CONNECTION_LOST, self.connection.losses());
        self.connection = ConnectedClient::of(&self.client);
        self.batches.clear();
        let channels = self.calls.request_again(self.last_fence + 1);
        self.send_fence(channels, Vec::new(), true).await
    }
}

impl Drop for NatsSession<'_> {
    fn drop(&mut self) {
        self.calls.end_session();
    }
}

/// How often the connection is checked. Until then a lost fence is not noticed.
const TICK: Duration = Duration::from_millis(200);

/// Number of request timeouts after which a fence is lost, and the session ends. The server may have
/// refused the subscription to the fences.
const MAX_TIMEOUTS: u32 = 3;

/// Fences that are on their way. More would take calls one by one, fewer would delay them.
const MAX_BATCHES: usize = 8;
