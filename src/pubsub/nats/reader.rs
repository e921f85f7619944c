//! Task that passes payloads on.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_nats::Subscriber;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use futures_util::stream::{SelectAll, TakeUntil};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{unconstrained, yield_now};

use super::super::BackplaneReceiver;

/// Payloads of one channel, until its subscription is cancelled.
pub(super) struct ChannelPayloads {
    channel: Arc<str>,
    messages: TakeUntil<Subscriber, oneshot::Receiver<()>>,
}

/// Ends a subscription when it is dropped.
pub(super) struct ActiveSubscription(#[expect(dead_code, reason = "its drop is the signal")] oneshot::Sender<()>);

impl ChannelPayloads {
    pub(super) fn new(channel: Arc<str>, subscriber: Subscriber) -> (Self, ActiveSubscription) {
        let (tx, cancelled) = oneshot::channel();
        (Self { channel, messages: subscriber.take_until(cancelled) }, ActiveSubscription(tx))
    }
}

impl Stream for ChannelPayloads {
    type Item = (Arc<str>, Bytes);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let message = std::task::ready!(self.messages.poll_next_unpin(cx));
        Poll::Ready(message.map(|message| (Arc::clone(&self.channel), message.payload)))
    }
}

/// Passes payloads of all channels to the receiver, until the session drops `added`.
///
/// The client drops payloads when the queue of a channel is full. Tokio's budget would let this
/// task read 128 payloads for each time that the client reads a whole socket buffer, so the task
/// runs without it, and yields after [`MAX_PAYLOADS_AT_ONCE`].
pub(super) async fn read(receiver: BackplaneReceiver, mut added: mpsc::UnboundedReceiver<ChannelPayloads>) {
    let mut channels = SelectAll::new();
    let mut budget = MAX_PAYLOADS_AT_ONCE;
    let reading = async {
        loop {
            tokio::select! {
                channel = added.recv() => match channel {
                    Some(channel) => channels.push(channel),
                    None => return,
                },
                Some((channel, payload)) = channels.next() => {
                    receiver.receive(&channel, payload);
                    budget -= 1;
                    if budget == 0 {
                        budget = MAX_PAYLOADS_AT_ONCE;
                        yield_now().await;
                    }
                }
            }
        }
    };
    unconstrained(reading).await;
}

const MAX_PAYLOADS_AT_ONCE: usize = 4096;
