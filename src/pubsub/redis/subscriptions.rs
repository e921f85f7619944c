//! Which channels are wanted, and which of them Redis has confirmed.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::pubsub::BackplaneError;

/// Subscriptions as they should be and as they are. The difference is what the subscriber's task has
/// to request.
///
/// | change | wanted | confirmed | changed | refused |
/// |---|---|---|---|---|
/// | `subscribe` | added | | added | |
/// | `unsubscribe` | removed | | added | removed |
/// | requests taken | | removed if not wanted | emptied | |
/// | confirmation | | added | | removed |
/// | error reply | removed, unless it was established | | | added if established |
/// | connection lost | | emptied | emptied | emptied |
/// | connected | | | becomes wanted | |
///
/// All changes that are pending when requests are taken form one round. Calls complete with the round
/// that their change is part of, and it begins with the channels to unsubscribe from: a call that is
/// completed implies that all earlier calls have taken effect.
pub(super) struct Subscriptions {
    wanted: HashMap<Arc<str>, WantedChannel>,
    confirmed: HashSet<Arc<str>>,
    changed: HashSet<Arc<str>>,
    /// Whether a round is being applied.
    applying: bool,
    /// Established channels that this connection is not permitted to subscribe to.
    refused: HashSet<Arc<str>>,
    link: SubscribeLink,
    next_waiter: u64,
}

#[derive(Default)]
struct WantedChannel {
    /// Whether a call of `subscribe` has succeeded.
    established: bool,
    waiters: Vec<SubscribeWaiter>,
}

/// A call of `subscribe` that is not completed.
struct SubscribeWaiter {
    id: u64,
    tx: oneshot::Sender<Result<(), BackplaneError>>,
}

/// State of the connection.
#[derive(Clone)]
enum SubscribeLink {
    Disconnected(Arc<str>),
    Restoring,
    Ready,
    Closed,
}

/// Calls that complete with one result, outside of the lock.
#[must_use]
pub(super) struct SubscribeCompletion {
    waiters: Vec<SubscribeWaiter>,
    result: Result<(), BackplaneError>,
}

/// A call that has to wait.
pub(super) struct Waiting {
    pub(super) id: u64,
    pub(super) rx: oneshot::Receiver<Result<(), BackplaneError>>,
}

/// Requests of one round, to be made in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Requests {
    pub(super) unsubscribe: Vec<Arc<str>>,
    /// Channels with calls to complete that need no request.
    pub(super) unchanged: Vec<Arc<str>>,
    pub(super) subscribe: Vec<Arc<str>>,
}

impl Subscriptions {
    pub(super) fn new() -> Self {
        Self {
            wanted: HashMap::new(),
            confirmed: HashSet::new(),
            changed: HashSet::new(),
            applying: false,
            refused: HashSet::new(),
            link: SubscribeLink::Disconnected("not started".into()),
            next_waiter: 0,
        }
    }

    /// Returns `None` if the channel is subscribed and no change is pending.
    pub(super) fn subscribe(&mut self, channel: &Arc<str>) -> Result<Option<Waiting>, BackplaneError> {
        if matches!(self.link, SubscribeLink::Closed) {
            return Err(BackplaneError::Closed);
        }
        if self.confirmed.contains(channel) && self.changed.is_empty() && !self.applying {
            return Ok(None);
        }
        let (tx, rx) = oneshot::channel();
        let id = self.next_waiter;
        self.next_waiter += 1;
        self.wanted.entry(channel.clone()).or_default().waiters.push(SubscribeWaiter { id, tx });
        self.mark_changed(channel);
        Ok(Some(Waiting { id, rx }))
    }

    /// Ends the subscription. Calls of `subscribe` that wait for it complete, since they precede this.
    pub(super) fn unsubscribe(&mut self, channel: &str) -> SubscribeCompletion {
        let Some((channel, wanted)) = self.wanted.remove_entry(channel) else { return SubscribeCompletion::none() };
        self.refused.remove(&channel);
        self.mark_changed(&channel);
        SubscribeCompletion { waiters: wanted.waiters, result: Ok(()) }
    }

    /// Removes a call whose time has expired, and the channel unless another call wants it. Returns the
    /// error of that call, or `None` if it was completed just before.
    pub(super) fn expire(&mut self, channel: &Arc<str>, id: u64) -> Option<BackplaneError> {
        let wanted = self.wanted.get_mut(channel)?;
        let at = wanted.waiters.iter().position(|waiter| waiter.id == id)?;
        wanted.waiters.remove(at);
        if !wanted.established && wanted.waiters.iter().all(|waiter| waiter.tx.is_closed()) {
            self.wanted.remove(channel);
            self.mark_changed(channel);
        }
        Some(match &self.link {
            SubscribeLink::Disconnected(reason) => BackplaneError::Disconnected(reason.clone()),
            _ => BackplaneError::Timeout,
        })
    }

    /// Begins with a new connection.
    pub(super) fn connected(&mut self) {
        if !matches!(self.link, SubscribeLink::Closed) {
            self.link = SubscribeLink::Restoring;
            self.changed = self.wanted.keys().cloned().collect();
        }
    }

    /// Reports all channels restored. Returns how many are subscribed.
    pub(super) fn restored(&mut self) -> usize {
        if !matches!(self.link, SubscribeLink::Closed) {
            self.link = SubscribeLink::Ready;
        }
        self.confirmed.len()
    }

    /// Returns whether it was ready.
    pub(super) fn disconnected(&mut self, reason: Arc<str>) -> bool {
        let was_ready = matches!(self.link, SubscribeLink::Ready);
        if !matches!(self.link, SubscribeLink::Closed) {
            self.link = SubscribeLink::Disconnected(reason);
        }
        self.applying = false;
        self.confirmed.clear();
        self.changed.clear();
        self.refused.clear();
        was_ready
    }

    /// Fails all calls, and forgets all channels.
    pub(super) fn close(&mut self) -> SubscribeCompletion {
        self.disconnected("closed".into());
        self.link = SubscribeLink::Closed;
        let waiters = mem::take(&mut self.wanted).into_values().flat_map(|wanted| wanted.waiters).collect();
        SubscribeCompletion { waiters, result: Err(BackplaneError::Closed) }
    }

    /// Begins a round. Returns what has to be requested.
    pub(super) fn take_requests(&mut self) -> Requests {
        let mut requests = Requests::default();
        for channel in mem::take(&mut self.changed) {
            match (self.wanted.contains_key(&channel), self.confirmed.contains(&channel)) {
                (true, false) => requests.subscribe.push(channel),
                (true, true) => requests.unchanged.push(channel),
                (false, true) => {
                    self.confirmed.remove(&channel);
                    requests.unsubscribe.push(channel);
                }
                (false, false) => {}
            }
            self.applying = true;
        }
        requests
    }

    /// Ends a round.
    pub(super) fn applied(&mut self) {
        self.applying = false;
    }

    /// Completes the calls for channels that are subscribed now. Calls since the round began are part
    /// of the next one.
    pub(super) fn confirm(&mut self, channels: &[Arc<str>]) -> SubscribeCompletion {
        let mut waiters = Vec::new();
        for channel in channels {
            self.confirmed.insert(channel.clone());
            self.refused.remove(channel);
            if let Some(wanted) = self.wanted.get_mut(channel) {
                wanted.established = true;
                if !self.changed.contains(channel) {
                    waiters.append(&mut wanted.waiters);
                }
            }
        }
        SubscribeCompletion { waiters, result: Ok(()) }
    }

    /// Handles an error reply. Returns in addition whether a subscription is interrupted by it.
    pub(super) fn refuse(&mut self, channel: &Arc<str>, reason: Arc<str>) -> (SubscribeCompletion, bool) {
        let Some(wanted) = self.wanted.get_mut(channel) else { return (SubscribeCompletion::none(), false) };
        let waiters = mem::take(&mut wanted.waiters);
        let interrupted = if wanted.established {
            self.refused.insert(channel.clone())
        } else {
            self.wanted.remove(channel);
            false
        };
        (SubscribeCompletion { waiters, result: Err(BackplaneError::Rejected(reason)) }, interrupted)
    }

    /// Requests the refused channels again.
    pub(super) fn retry_refused(&mut self) {
        self.changed.extend(self.refused.iter().cloned());
    }

    pub(super) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.link, SubscribeLink::Ready) && self.refused.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.wanted.len()
    }

    /// A connection begins with all wanted channels, so that changes without one need no record.
    fn mark_changed(&mut self, channel: &Arc<str>) {
        if matches!(self.link, SubscribeLink::Restoring | SubscribeLink::Ready) {
            self.changed.insert(channel.clone());
        }
    }
}

impl SubscribeCompletion {
    fn none() -> Self {
        Self { waiters: Vec::new(), result: Ok(()) }
    }

    /// Completes the calls.
    pub(super) fn send(self) {
        for waiter in self.waiters {
            // The caller may have dropped its future.
            let _ = waiter.tx.send(self.result.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNEL: &str = "Chat:all";

    fn channels() -> Vec<Arc<str>> {
        vec![CHANNEL.into()]
    }

    /// A table with an open connection.
    fn connected() -> Subscriptions {
        let mut table = Subscriptions::new();
        table.connected();
        table.restored();
        table
    }

    fn subscribe(table: &mut Subscriptions) -> Option<Waiting> {
        table.subscribe(&CHANNEL.into()).unwrap()
    }

    /// Begins a round, and returns how many channels have to be subscribed to, and how many not.
    fn requests(table: &mut Subscriptions) -> (usize, usize) {
        let requests = table.take_requests();
        (requests.subscribe.len(), requests.unsubscribe.len())
    }

    /// Ends a round in which Redis has confirmed the channel.
    fn confirm(table: &mut Subscriptions) {
        table.confirm(&channels()).send();
        table.applied();
    }

    #[test]
    fn two_callers_share_one_request() {
        let mut table = connected();
        let mut first = subscribe(&mut table).unwrap();
        let mut second = subscribe(&mut table).unwrap();
        assert_eq!(requests(&mut table), (1, 0));
        confirm(&mut table);
        assert_eq!(first.rx.try_recv(), Ok(Ok(())));
        assert_eq!(second.rx.try_recv(), Ok(Ok(())));
        assert!(subscribe(&mut table).is_none());
        assert_eq!(requests(&mut table), (0, 0));
    }

    #[test]
    fn expired_call_keeps_a_channel_that_another_call_wants() {
        let mut table = connected();
        let (first, second) = (subscribe(&mut table).unwrap(), subscribe(&mut table).unwrap());
        assert_eq!(table.expire(&CHANNEL.into(), first.id), Some(BackplaneError::Timeout));
        assert_eq!(table.len(), 1);
        assert_eq!(table.expire(&CHANNEL.into(), second.id), Some(BackplaneError::Timeout));
        assert_eq!(table.len(), 0);
        assert_eq!(requests(&mut table), (0, 0));
    }

    #[test]
    fn confirmation_after_the_last_call_expired_ends_the_subscription() {
        let mut table = connected();
        let waiting = subscribe(&mut table).unwrap();
        assert_eq!(requests(&mut table), (1, 0));
        assert!(table.expire(&CHANNEL.into(), waiting.id).is_some());
        confirm(&mut table);
        assert_eq!(requests(&mut table), (0, 1));
    }

    #[test]
    fn call_that_is_completed_does_not_expire() {
        let mut table = connected();
        let mut waiting = subscribe(&mut table).unwrap();
        assert_eq!(requests(&mut table), (1, 0));
        confirm(&mut table);
        assert_eq!(table.expire(&CHANNEL.into(), waiting.id), None);
        assert_eq!(waiting.rx.try_recv(), Ok(Ok(())));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn unsubscribe_takes_effect_after_a_pending_subscribe() {
        let mut table = connected();
        let mut waiting = subscribe(&mut table).unwrap();
        assert_eq!(requests(&mut table), (1, 0));
        table.unsubscribe(CHANNEL).send();
        assert_eq!(waiting.rx.try_recv(), Ok(Ok(())));
        confirm(&mut table);
        assert_eq!(requests(&mut table), (0, 1));
    }

    #[test]
    fn subscribe_takes_effect_after_a_pending_unsubscribe() {
        let mut table = connected();
        let _ = subscribe(&mut table);
        assert_eq!(requests(&mut table), (1, 0));
        confirm(&mut table);
        table.unsubscribe(CHANNEL).send();
        assert_eq!(requests(&mut table), (0, 1));
        assert!(subscribe(&mut table).is_some());
        table.applied();
        assert_eq!(requests(&mut table), (1, 0));
    }

    #[test]
    fn changes_that_cancel_each_other_need_no_request() {
        let mut table = connected();
        let _ = subscribe(&mut table);
        assert_eq!(requests(&mut table), (1, 0));
        confirm(&mut table);
        table.unsubscribe(CHANNEL).send();
        let mut waiting = subscribe(&mut table).unwrap();
        assert_eq!(table.take_requests(), Requests { unchanged: channels(), ..Requests::default() });
        confirm(&mut table);
        assert_eq!(waiting.rx.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn calls_complete_after_earlier_changes_of_other_channels() {
        let mut table = connected();
        let mut first = subscribe(&mut table).unwrap();
        assert_eq!(requests(&mut table), (1, 0));
        // During the round.
        table.unsubscribe("Chat:group:room").send();
        let _other = table.subscribe(&"Chat:group:room".into());
        let mut second = subscribe(&mut table).unwrap();
        confirm(&mut table);
        assert!(first.rx.try_recv().is_err() && second.rx.try_recv().is_err());
        let next = table.take_requests();
        assert_eq!((next.unchanged, next.subscribe.len()), (channels(), 1));
        confirm(&mut table);
        assert_eq!(first.rx.try_recv(), Ok(Ok(())));
        assert_eq!(second.rx.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn wanted_channels_are_requested_on_a_new_connection() {
        let mut table = connected();
        let mut waiting = subscribe(&mut table).unwrap();
        assert_eq!(requests(&mut table), (1, 0));
        assert!(table.disconnected("lost".into()));
        table.connected();
        assert!(!table.is_ready());
        assert_eq!(requests(&mut table), (1, 0));
        confirm(&mut table);
        assert_eq!(table.restored(), 1);
        assert!(table.is_ready());
        assert_eq!(waiting.rx.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn calls_fail_with_the_reason_of_the_outage() {
        let mut table = Subscriptions::new();
        table.disconnected("refused".into());
        let waiting = subscribe(&mut table).unwrap();
        let error = table.expire(&CHANNEL.into(), waiting.id);
        assert_eq!(error, Some(BackplaneError::Disconnected("refused".into())));
    }

    #[test]
    fn new_channel_that_is_refused_is_forgotten() {
        let mut table = connected();
        let mut waiting = subscribe(&mut table).unwrap();
        assert_eq!(requests(&mut table), (1, 0));
        let (completion, interrupted) = table.refuse(&CHANNEL.into(), "NOPERM".into());
        completion.send();
        assert!(!interrupted);
        assert_eq!(waiting.rx.try_recv(), Ok(Err(BackplaneError::Rejected("NOPERM".into()))));
        assert_eq!(table.len(), 0);
        assert!(table.is_ready());
    }

    #[test]
    fn established_channel_that_is_refused_is_requested_again() {
        let mut table = connected();
        let _ = subscribe(&mut table);
        assert_eq!(requests(&mut table), (1, 0));
        confirm(&mut table);
        table.disconnected("lost".into());
        table.connected();
        for first in [true, false] {
            assert_eq!(requests(&mut table), (1, 0));
            let (completion, interrupted) = table.refuse(&CHANNEL.into(), "NOPERM".into());
            completion.send();
            assert_eq!(interrupted, first, "reported once");
            table.restored();
            assert!(!table.is_ready());
            table.retry_refused();
        }
        assert_eq!(requests(&mut table), (1, 0));
        confirm(&mut table);
        assert!(table.is_ready());
    }

    #[test]
    fn closed_table_fails_all_calls() {
        let mut table = connected();
        let mut waiting = subscribe(&mut table).unwrap();
        table.close().send();
        assert_eq!(waiting.rx.try_recv(), Ok(Err(BackplaneError::Closed)));
        assert!(matches!(table.subscribe(&CHANNEL.into()), Err(BackplaneError::Closed)));
        table.connected();
        table.restored();
        assert!(!table.is_ready());
        assert_eq!(table.len(), 0);
    }
}
