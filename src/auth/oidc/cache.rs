//! Cached key sets of a provider, and their renewal.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::source::{FetchError, HttpClient, MetadataFetcher};
use crate::auth::jwt::ProviderKeys;
use crate::auth::key::SigningKey;

/// Key set that a provider has published.
pub(super) struct KeySet {
    issuer: String,
    keys: Vec<SigningKey>,
    /// Document with the keys.
    document: Bytes,
    /// Time at which it last verified a token.
    verified: Mutex<Option<SystemTime>>,
}

/// Current key set of a provider, shared by all requests (IdentityModel: ConfigurationManager.cs).
#[derive(Default)]
pub(super) struct Cache {
    state: Mutex<CacheState>,
    client: OnceLock<HttpClient>,
}

/// Intervals between downloads.
#[derive(Clone, Copy)]
pub(super) struct Intervals {
    /// Without unknown keys.
    pub(super) automatic: Duration,
    /// Minimum, for unknown keys and after failures.
    pub(super) refresh: Duration,
}

#[derive(Default)]
struct CacheState {
    current: Option<Arc<KeySet>>,
    /// Last set before the current one that verified a token.
    last_good: Option<Arc<KeySet>>,
    /// Time until the next scheduled download.
    scheduled: Option<Cooldown>,
    /// Time until an unknown key may trigger a download again.
    on_demand: Option<Cooldown>,
    /// Number of failed downloads while there is no key set.
    failures: u32,
    download: Option<Download>,
}

/// Download in progress; it is aborted when the cache is dropped.
struct Download {
    /// Closed when it has ended.
    done: watch::Receiver<()>,
    _task: AbortOnDropHandle<()>,
}

/// Time that has to pass. It also ends if the clock is set back.
#[derive(Clone, Copy)]
struct Cooldown {
    since: SystemTime,
    length: Duration,
}

impl KeySet {
    pub(super) fn new(issuer: String, keys: Vec<SigningKey>, document: Bytes) -> Self {
        Self { issuer, keys, document, verified: Mutex::new(None) }
    }

    fn is_same_as(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.document == other.document
    }

    pub(super) fn published(&self) -> ProviderKeys<'_> {
        ProviderKeys { keys: &self.keys, issuer: Some(&self.issuer) }
    }

    /// Records that this set verified a token.
    pub(super) fn mark_verified(&self, now: SystemTime) {
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    fn verified(&self) -> Option<SystemTime> {
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    /// Current set. Requests wait for the first set only; later sets replace it in the background.
    pub(super) async fn current(
        self: &Arc<Self>,
        source: &MetadataFetcher,
        intervals: Intervals,
        now: SystemTime,
    ) -> Option<Arc<KeySet>> {
        let done = {
            let mut state = self.lock();
            let due = state.scheduled.is_none_or(|cooldown| cooldown.is_over(now));
            let done = match state.in_progress() {
                None if due => Some(self.start(&mut state, source, intervals, now)),
                in_progress => in_progress,
            };
            match &state.current {
                Some(current) => return Some(Arc::clone(current)),
                None => done?,
            }
        };
        wait_for(done).await;
        self.lock().current.clone()
    }

    /// Set that is newer than `seen`, which lacked a key: present, being downloaded, or downloaded now if
    /// the interval allows.
    pub(super) async fn fetch_newer(
        self: &Arc<Self>,
        seen: &Arc<KeySet>,
        source: &MetadataFetcher,
        intervals: Intervals,
        now: SystemTime,
    ) -> Option<Arc<KeySet>> {
        let done = {
            let mut state = self.lock();
            if let Some(newer) = state.newer_than(seen) {
                return Some(newer);
            }
            match state.in_progress() {
                Some(done) => done,
                None if state.on_demand.is_none_or(|cooldown| cooldown.is_over(now)) => {
                    state.on_demand = Some(Cooldown { since: now, length: intervals.refresh });
                    self.start(&mut state, source, intervals, now)
                }
                None => return None,
            }
        };
        wait_for(done).await;
        self.lock().newer_than(seen)
    }

    /// Set before the current one, if it verified a token within `lifetime`.
    pub(super) fn last_good(&self, lifetime: Duration, now: SystemTime) -> Option<Arc<KeySet>> {
        let last_good = self.lock().last_good.clone()?;
        let over = |since| Cooldown { since, length: lifetime }.is_over(now);
        (!last_good.verified().is_none_or(over)).then_some(last_good)
    }

    /// Starts a download in a separate task, so that a dropped request does not cancel it.
    fn start(
        self: &Arc<Self>,
        state: &mut CacheState,
        source: &MetadataFetcher,
        intervals: Intervals,
        now: SystemTime,
    ) -> watch::Receiver<()> {
        // In case the task ends without a result.
        state.scheduled = Some(Cooldown { since: now, length: intervals.refresh });
        let (running, done) = watch::channel(());
        let client = self.client.get_or_init(|| source.client()).clone();
        let (cache, source) = (Arc::downgrade(self), source.clone());
        let task = tokio::spawn(async move {
            let fetched = source.fetch(&client).await;
            if let Some(cache) = Weak::upgrade(&cache) {
                cache.lock().store(fetched, &source, intervals, now);
            }
            drop(running);
        });
        state.download = Some(Download { done: done.clone(), _task: AbortOnDropHandle::new(task) });
        done
    }

    fn lock(&self) -> MutexGuard<'_, CacheState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until a download has ended, successful or not.
async fn wait_for(mut done: watch::Receiver<()>) {
    // No value is sent; the sender is dropped.
    while done.changed().await.is_ok() {}
}

impl CacheState {
    fn newer_than(&self, seen: &Arc<KeySet>) -> Option<Arc<KeySet>> {
        self.current.clone().filter(|current| !Arc::ptr_eq(current, seen))
    }

    /// Download that has not ended yet.
    fn in_progress(&self) -> Option<watch::Receiver<()>> {
        let download = self.download.as_ref()?;
        download.done.has_changed().is_ok().then(|| download.done.clone())
    }

    fn store(
        &mut self,
        fetched: Result<KeySet, FetchError>,
        source: &MetadataFetcher,
        intervals: Intervals,
        started: SystemTime,
    ) {
        let host = source.host();
        let length = match fetched {
            Ok(set) => {
                tracing::debug!(host, keys = set.keys.len(), "signing keys fetched");
                if self.current.as_ref().is_none_or(|current| !current.is_same_as(&set)) {
                    let before = self.current.replace(Arc::new(set));
                    self.last_good = before.filter(|set| set.verified().is_some()).or_else(|| self.last_good.take());
                }
                self.failures = 0;
                intervals.automatic
            }
            Err(error) if self.current.is_some() => {
                tracing::warn!(host, %error, "failed to fetch signing keys; keeping the current ones");
                intervals.refresh.min(intervals.automatic)
            }
            Err(error) => {
                tracing::error!(host, %error, "failed to fetch signing keys; no cached keys, rejecting all tokens");
                self.failures += 1;
                INITIAL_RETRY_DELAY.saturating_mul(1 << (self.failures - 1).min(30)).min(intervals.refresh)
            }
        };
        self.scheduled = Some(Cooldown { since: started, length });
    }
}

impl Cooldown {
    fn is_over(self, now: SystemTime) -> bool {
        now.duration_since(self.since).map_or(true, |passed| passed >= self.length)
    }
}

/// Delay after the first failure while there is no key set; doubled after each further one.
const INITIAL_RETRY_DELAY: Duration = Duration::from_secs(1);
