//! Table of the subscribed channels.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::completion::{NatsCompletion, PendingCall};

/// Channels that are to be subscribed, and what the session has to change for that.
///
/// Calls change the table and are not queued, so that it is not larger than the number of channels.
#[derive(Default)]
pub(super) struct Channels {
    table: HashMap<Arc<str>, NatsChannel>,
    /// Channels that the session has to look at, each once. Without a session there are none, since
    /// a session begins with all channels.
    changed: Vec<Arc<str>>,
    has_session: bool,
    subscribed: usize,
}

#[derive(Default)]
struct NatsChannel {
    /// If not, the channel is in the table until the session has seen it.
    is_wanted: bool,
    is_changed: bool,
    confirmation: Confirmation,
    waiting: Vec<NatsCompletion>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Confirmation {
    #[default]
    None,
    /// The server has the subscription when it has this fence.
    Requested(u64),
    Confirmed,
}

/// Change of a channel since the session has last seen it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Subscribe(Arc<str>),
    Unsubscribe(Arc<str>),
}

impl Channels {
    /// Returns the number of channels that are to be subscribed.
    pub(super) fn subscribed(&self) -> usize {
        self.subscribed
    }

    /// Subscribes to a channel. Returns `None` if the server has confirmed it already.
    pub(super) fn subscribe(&mut self, name: &str, deadline: Instant) -> Option<PendingCall> {
        if !self.table.contains_key(name) {
            self.table.insert(name.into(), NatsChannel::default());
        }
        let channel = self.table.get_mut(name).expect("the channel was inserted");
        if channel.confirmation == Confirmation::Confirmed {
            return None;
        }
        if !channel.is_wanted {
            channel.is_wanted = true;
            self.subscribed += 1;
        }
        let (completion, call) = NatsCompletion::new(deadline);
        channel.waiting.push(completion);
        self.mark(name);
        Some(call)
    }

    /// Ends a subscription. Returns the calls that wait for it.
    pub(super) fn unsubscribe(&mut self, name: &str) -> Vec<NatsCompletion> {
        let Some(channel) = self.table.get_mut(name).filter(|channel| channel.is_wanted) else { return Vec::new() };
        channel.is_wanted = false;
        channel.confirmation = Confirmation::None;
        let waiting = std::mem::take(&mut channel.waiting);
        self.subscribed -= 1;
        self.mark(name);
        waiting
    }

    /// Ends a subscription unless it is confirmed. Returns the calls that wait for it.
    pub(super) fn abandon(&mut self, name: &str) -> Vec<NatsCompletion> {
        match self.table.get(name) {
            Some(channel) if channel.confirmation != Confirmation::Confirmed => self.unsubscribe(name),
            _ => Vec::new(),
        }
    }

    /// Begins a session, which has no subscriptions yet.
    pub(super) fn begin_session(&mut self) {
        self.has_session = true;
        self.changed = self.table.keys().cloned().collect();
        self.table.values_mut().for_each(|channel| channel.is_changed = true);
    }

    /// Ends the session.
    pub(super) fn end_session(&mut self) {
        self.has_session = false;
        self.changed.clear();
        self.table.retain(|_, channel| channel.is_wanted);
        for channel in self.table.values_mut() {
            channel.is_changed = false;
            if matches!(channel.confirmation, Confirmation::Requested(_)) {
                channel.confirmation = Confirmation::None;
            }
        }
    }

    /// Returns the changes since the last call, which the session has to make before this fence.
    pub(super) fn take_changes(&mut self, fence: u64) -> Vec<Change> {
        let mut changes = Vec::with_capacity(self.changed.len());
        for name in std::mem::take(&mut self.changed) {
            let channel = self.table.get_mut(&name).expect("changed channels are in the table");
            channel.is_changed = false;
            if channel.is_wanted {
                if channel.confirmation == Confirmation::None {
                    channel.confirmation = Confirmation::Requested(fence);
                }
                changes.push(Change::Subscribe(name));
            } else {
                self.table.remove(&name);
                changes.push(Change::Unsubscribe(name));
            }
        }
        changes
    }

    /// Moves unconfirmed requests to this fence, since fences were lost. Returns their channels.
    pub(super) fn request_again(&mut self, fence: u64) -> Vec<Arc<str>> {
        let mut names = Vec::new();
        for (name, channel) in &mut self.table {
            if let Confirmation::Requested(lost) = &mut channel.confirmation {
                *lost = fence;
                names.push(Arc::clone(name));
            }
        }
        names
    }

    /// Confirms those of the channels that were requested before this fence. Returns the calls that
    /// wait for them.
    pub(super) fn confirm(&mut self, fence: u64, names: &[Arc<str>]) -> Vec<NatsCompletion> {
        let mut waiting = Vec::new();
        for name in names {
            if let Some(channel) = self.table.get_mut(name)
                && channel.confirmation == Confirmation::Requested(fence)
            {
                channel.confirmation = Confirmation::Confirmed;
                waiting.append(&mut channel.waiting);
            }
        }
        waiting
    }

    /// Removes all channels. Returns the calls that wait.
    pub(super) fn clear(&mut self) -> Vec<NatsCompletion> {
        self.changed.clear();
        self.subscribed = 0;
        std::mem::take(&mut self.table).into_values().flat_map(|channel| channel.waiting).collect()
    }

    /// Lets the session look at a channel.
    fn mark(&mut self, name: &str) {
        let Some((key, channel)) = self.table.get_key_value(name) else { return };
        if self.has_session {
            let key = Arc::clone(key);
            if let Some(channel) = self.table.get_mut(name)
                && !std::mem::replace(&mut channel.is_changed, true)
            {
                self.changed.push(key);
            }
        } else if !channel.is_wanted {
            self.table.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::{Change, Channels};

    fn subscribe(name: &str) -> Change {
        Change::Subscribe(name.into())
    }

    fn unsubscribe(name: &str) -> Change {
        Change::Unsubscribe(name.into())
    }

    #[test]
    fn last_call_before_a_take_decides() {
        let mut channels = Channels::default();
        channels.begin_session();
        let _ = channels.subscribe("a", Instant::now());
        channels.unsubscribe("a");
        let _ = channels.subscribe("a", Instant::now());
        let _ = channels.subscribe("b", Instant::now());
        channels.unsubscribe("b");
        assert_eq!(channels.take_changes(1), [subscribe("a"), unsubscribe("b")]);
        assert_eq!(channels.take_changes(2), []);
        assert_eq!(channels.subscribed(), 1);
    }

    #[test]
    fn fence_of_an_earlier_subscription_does_not_confirm() {
        let mut channels = Channels::default();
        channels.begin_session();
        let _ = channels.subscribe("a", Instant::now());
        channels.take_changes(1);
        assert_eq!(channels.unsubscribe("a").len(), 1);
        channels.take_changes(2);
        assert!(channels.subscribe("a", Instant::now()).is_some());
        channels.take_changes(3);
        assert_eq!(channels.confirm(1, &["a".into()]).len(), 0);
        assert_eq!(channels.confirm(3, &["a".into()]).len(), 1);
        assert!(channels.subscribe("a", Instant::now()).is_none());
    }

    #[test]
    fn channels_without_a_session_leave_no_trace() {
        let mut channels = Channels::default();
        let _ = channels.subscribe("kept", Instant::now());
        for number in 0..100 {
            let _ = channels.subscribe(&number.to_string(), Instant::now());
            channels.unsubscribe(&number.to_string());
        }
        assert_eq!((channels.table.len(), channels.changed.len()), (1, 0));
        channels.begin_session();
        assert_eq!(channels.take_changes(1), [subscribe("kept")]);
        channels.unsubscribe("kept");
        channels.end_session();
        assert_eq!((channels.table.len(), channels.subscribed()), (0, 0));
    }

    #[test]
    fn lost_fences_are_requested_again() {
        let mut channels = Channels::default();
        channels.begin_session();
        let _ = channels.subscribe("a", Instant::now());
        channels.take_changes(1);
        assert_eq!(channels.request_again(2), [std::sync::Arc::<str>::from("a")]);
        assert_eq!(channels.confirm(1, &["a".into()]).len(), 0);
        assert_eq!(channels.confirm(2, &["a".into()]).len(), 1);
        assert!(channels.request_again(3).is_empty());
    }

    #[test]
    fn confirmed_channels_are_not_abandoned() {
        let mut channels = Channels::default();
        channels.begin_session();
        let (_first, _second) = (channels.subscribe("a", Instant::now()), channels.subscribe("a", Instant::now()));
        let _ = channels.subscribe("b", Instant::now());
        channels.take_changes(1);
        channels.confirm(1, &["b".into()]);
        assert_eq!((channels.abandon("a").len(), channels.abandon("b").len()), (2, 0));
        assert_eq!(channels.take_changes(2), [unsubscribe("a")]);
    }
}
