//! The keys of a provider as far as they are known, and when they are fetched again.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::source::{FetchError, HttpClient, MetadataFetcher};
use crate::auth::jwt::Published;
use crate::auth::key::SigningKey;

/// What a provider published at one time.
pub(super) struct KeySet {
    issuer: String,
    keys: Vec<SigningKey>,
    /// What the keys were read from.
    document: Bytes,
    /// When it last verified a token.
    verified: Mutex<Option<SystemTime>>,
}

/// The latest set of a provider, which many requests share. IdentityModel: ConfigurationManager.cs.
#[derive(Default)]
pub(super) struct Cache {
    state: Mutex<CacheState>,
    client: OnceLock<HttpClient>,
}

/// How often keys are fetched.
#[derive(Clone, Copy)]
pub(super) struct Intervals {
    /// When nobody misses a key.
    pub(super) automatic: Duration,
    /// At most, when somebody does, or the provider is down.
    pub(super) refresh: Duration,
}

#[derive(Default)]
struct CacheState {
    current: Option<Arc<KeySet>>,
    /// The last set before the current one that verified tokens.
    last_good: Option<Arc<KeySet>>,
    /// Until the next fetch that nobody asks for.
    pause: Option<Pause>,
    /// Until somebody who misses a key may ask again.
    asked: Option<Pause>,
    /// How often fetching failed while there were no keys at all.
    failures: u32,
    flight: Option<Flight>,
}

/// A fetch, which lasts as long as somebody holds the cache.
struct Flight {
    /// Closed when it has ended.
    landed: watch::Receiver<()>,
    _task: AbortOnDropHandle<()>,
}

/// A time that has to pass; a clock that was set back ends it.
#[derive(Clone, Copy)]
struct Pause {
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

    pub(super) fn published(&self) -> Published<'_> {
        Published { keys: &self.keys, issuer: Some(&self.issuer) }
    }

    /// Takes note of a token that was valid with this set.
    pub(super) fn mark_verified(&self, now: SystemTime) {
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    fn verified(&self) -> Option<SystemTime> {
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    /// The latest set. Requests wait for the first one, and for no other: an old set is replaced behind their backs.
    pub(super) async fn current(
        self: &Arc<Self>,
        source: &MetadataFetcher,
        intervals: Intervals,
        now: SystemTime,
    ) -> Option<Arc<KeySet>> {
        let landed = {
            let mut state = self.lock();
            let due = state.pause.is_none_or(|pause| pause.is_over(now));
            let landed = match state.underway() {
                None if due => Some(self.start(&mut state, source, intervals, now)),
                underway => underway,
            };
            match &state.current {
                Some(current) => return Some(Arc::clone(current)),
                None => landed?,
            }
        };
        landing(landed).await;
        self.lock().current.clone()
    }

    /// A newer set than the one in which somebody missed a key, if it is there, is on its way, or may be asked for.
    pub(super) async fn refreshed(
        self: &Arc<Self>,
        seen: &Arc<KeySet>,
        source: &MetadataFetcher,
        intervals: Intervals,
        now: SystemTime,
    ) -> Option<Arc<KeySet>> {
        let landed = {
            let mut state = self.lock();
            if let Some(newer) = state.newer_than(seen) {
                return Some(newer);
            }
            match state.underway() {
                Some(landed) => landed,
                None if state.asked.is_none_or(|pause| pause.is_over(now)) => {
                    state.asked = Some(Pause { since: now, length: intervals.refresh });
                    self.start(&mut state, source, intervals, now)
                }
                None => return None,
            }
        };
        landing(landed).await;
        self.lock().newer_than(seen)
    }

    /// The set before the current one, if it verified a token not longer ago than this.
    pub(super) fn last_good(&self, lifetime: Duration, now: SystemTime) -> Option<Arc<KeySet>> {
        let last_good = self.lock().last_good.clone()?;
        let over = |since| Pause { since, length: lifetime }.is_over(now);
        (!last_good.verified().is_none_or(over)).then_some(last_good)
    }

    /// Fetches in a task of its own, so that a request that is dropped takes no fetch with it.
    fn start(
        self: &Arc<Self>,
        state: &mut CacheState,
        source: &MetadataFetcher,
        intervals: Intervals,
        now: SystemTime,
    ) -> watch::Receiver<()> {
        // Should it end without a word.
        state.pause = Some(Pause { since: now, length: intervals.refresh });
        let (flying, landed) = watch::channel(());
        let client = self.client.get_or_init(|| source.client()).clone();
        let (cache, source) = (Arc::downgrade(self), source.clone());
        let task = tokio::spawn(async move {
            let fetched = source.fetch(&client).await;
            if let Some(cache) = Weak::upgrade(&cache) {
                cache.lock().settle(fetched, &source, intervals, now);
            }
            drop(flying);
        });
        state.flight = Some(Flight { landed: landed.clone(), _task: AbortOnDropHandle::new(task) });
        landed
    }

    fn lock(&self) -> MutexGuard<'_, CacheState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends when a fetch has ended, well or not.
async fn landing(mut landed: watch::Receiver<()>) {
    // Nothing is ever sent: the sender goes.
    while landed.changed().await.is_ok() {}
}

impl CacheState {
    fn newer_than(&self, seen: &Arc<KeySet>) -> Option<Arc<KeySet>> {
        self.current.clone().filter(|current| !Arc::ptr_eq(current, seen))
    }

    /// The fetch that has not ended yet.
    fn underway(&self) -> Option<watch::Receiver<()>> {
        let flight = self.flight.as_ref()?;
        flight.landed.has_changed().is_ok().then(|| flight.landed.clone())
    }

    fn settle(
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
                tracing::warn!(host, %error, "signing keys could not be fetched; the last ones stay");
                intervals.refresh.min(intervals.automatic)
            }
            Err(error) => {
                tracing::error!(host, %error, "signing keys could not be fetched, and there are none: tokens are refused");
                self.failures += 1;
                FIRST_PAUSE.saturating_mul(1 << (self.failures - 1).min(30)).min(intervals.refresh)
            }
        };
        self.pause = Some(Pause { since: started, length });
    }
}

impl Pause {
    fn is_over(self, now: SystemTime) -> bool {
        now.duration_since(self.since).map_or(true, |passed| passed >= self.length)
    }
}

/// After the first failure of a provider that never answered, and twice as long after each more.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
