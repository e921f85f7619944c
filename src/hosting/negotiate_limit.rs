//! Rate limit of negotiate requests by address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};
use tokio::time::Instant;

use super::builder::Builder;
use super::error::BuildError;
use super::router::status;
use crate::connections::ResponseBody;

/// Rate limit of negotiate requests from one address: a rate per minute and a burst.
///
/// ```
/// use signalr::hosting::NegotiateLimit;
///
/// let limit = NegotiateLimit::per_minute(60).burst(20);
/// # let _ = limit;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NegotiateLimit {
    per_minute: u32,
    burst: u32,
}

impl NegotiateLimit {
    /// Allows `negotiates` per minute, replenished evenly: 60 are one per second. The burst is the
    /// same number unless [`burst`](Self::burst) sets another.
    pub fn per_minute(negotiates: u32) -> Self {
        Self { per_minute: negotiates, burst: negotiates }
    }

    /// Sets the maximum number of negotiates at once from an address that has sent none for a
    /// while.
    pub fn burst(mut self, negotiates: u32) -> Self {
        self.burst = negotiates;
        self
    }
}

impl Builder {
    /// Limits the negotiate requests of one address, over all paths together. Default: no limit.
    /// (C#: `AddRateLimiter`, with a partition by `Connection.RemoteIpAddress`)
    ///
    /// Every negotiate request counts, rejected or not, and every WebSocket request that skips
    /// negotiation. The limit is checked before credentials are. Requests that name a connection,
    /// such as polls and refreshes, do not count, whether the connection exists or not. Clients can
    /// therefore guess API keys there without a limit, so keys must be random.
    ///
    /// Requests above the limit get 429, with the seconds to wait in `Retry-After`. Open
    /// connections are not affected. Clients with automatic reconnect retry, and may need several
    /// negotiates for one connection: one for each transport that a proxy blocks.
    ///
    /// The address is that of [`peer_addr`](Self::peer_addr); a `/64` network of IPv6 counts as one
    /// address. Requests without an address are not limited. **Behind a proxy** all clients have
    /// the address of the proxy: add a layer that inserts the forwarded address (`X-Forwarded-For`,
    /// `Forwarded`) as [`PeerAddr`](crate::hosting::PeerAddr), provided that no client can bypass
    /// the proxy, or apply the limit at the proxy. Clients behind one NAT share an address: choose
    /// the limit accordingly.
    ///
    /// At most 65,536 addresses are stored, about 40 bytes each, and only those whose allowance is
    /// partly used. When the table is full, it is cleared, and all addresses start with a full
    /// allowance.
    ///
    /// ```
    /// use signalr::hosting::NegotiateLimit;
    /// use signalr::SignalR;
    ///
    /// let signalr = SignalR::builder().negotiate_limit(NegotiateLimit::per_minute(60).burst(20)).build()?;
    /// # Ok::<_, signalr::hosting::BuildError>(())
    /// ```
    pub fn negotiate_limit(mut self, limit: NegotiateLimit) -> Self {
        self.negotiate_limit = Some(limit);
        self
    }
}

/// State of a limit.
pub(super) struct Limiter {
    quota: Quota,
    table: Mutex<AddressTable>,
    unknown_address_warning: Once,
}

/// Addresses whose allowance is partly used.
struct AddressTable {
    limiter: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, TokioClock, NoOpMiddleware<Duration>>,
    /// Number of addresses at which those with a full allowance are removed. Each sweep sets it to
    /// twice the number of remaining addresses, so that sweeps have a constant amortized cost per
    /// request.
    sweep_at: usize,
}

impl Limiter {
    pub(super) fn new(limit: NegotiateLimit) -> Result<Self, BuildError> {
        let nonzero = |count| NonZeroU32::new(count).ok_or(BuildError::NoNegotiates);
        let quota = Quota::per_minute(nonzero(limit.per_minute)?).allow_burst(nonzero(limit.burst)?);
        Ok(Self { quota, table: Mutex::new(AddressTable::new(quota)), unknown_address_warning: Once::new() })
    }

    /// Counts a request, or returns the response that rejects it.
    pub(super) fn check(&self, peer: Option<SocketAddr>) -> Option<Response<ResponseBody>> {
        let Some(peer) = peer else {
            self.unknown_address_warning.call_once(|| {
                tracing::warn!(target: "signalr::connection", "negotiate without peer address not limited");
            });
            return None;
        };
        let network = network(peer.ip());
        let wait = self.table.lock().unwrap_or_else(PoisonError::into_inner).check(network, self.quota)?;
        tracing::debug!(target: "signalr::connection", %network, "negotiate limit exceeded");
        let mut response = status(StatusCode::TOO_MANY_REQUESTS);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        Some(response)
    }
}

impl AddressTable {
    fn new(quota: Quota) -> Self {
        let clock = TokioClock(Instant::now());
        Self { limiter: RateLimiter::hashmap_with_clock(quota, clock), sweep_at: MIN_SWEEP_SIZE }
    }

    /// Counts a request, or returns the time to wait if it exceeds the limit.
    fn check(&mut self, network: IpAddr, quota: Quota) -> Option<Duration> {
        if self.limiter.len() >= self.sweep_at {
            self.limiter.retain_recent();
            if self.limiter.len() >= MAX_ADDRESSES {
                tracing::warn!(target: "signalr::connection", "negotiate limit reset: too many addresses");
                *self = Self::new(quota);
            }
            self.limiter.shrink_to_fit();
            self.sweep_at = (self.limiter.len() * 2).clamp(MIN_SWEEP_SIZE, MAX_ADDRESSES);
        }
        let not_until = self.limiter.check_key(&network).err()?;
        Some(not_until.wait_time_from(self.limiter.clock().now()))
    }
}

/// Clock that tests can pause.
#[derive(Clone)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Network that a provider usually assigns to one customer: an IPv4 address, a `/64` of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

/// Rounds up, to at least 1: `Retry-After` has no fractions.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

const MIN_SWEEP_SIZE: usize = 1024;

const MAX_ADDRESSES: usize = 65_536;

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(per_minute: u32, burst: u32) -> Limiter {
        Limiter::new(NegotiateLimit::per_minute(per_minute).burst(burst)).unwrap()
    }

    /// Returns `Retry-After` if the request is rejected.
    fn seconds_to_wait(limiter: &Limiter, address: &str) -> Option<String> {
        let refused = limiter.check(Some(SocketAddr::new(address.parse().unwrap(), 1)))?;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        Some(refused.headers()[RETRY_AFTER].to_str().unwrap().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn burst_is_followed_by_an_even_rate() {
        let limiter = limiter(6, 3);
        for _ in 0..3 {
            assert_eq!(seconds_to_wait(&limiter, "192.0.2.1"), None);
        }
        assert_eq!(seconds_to_wait(&limiter, "192.0.2.1").as_deref(), Some("10"));
        assert_eq!(seconds_to_wait(&limiter, "192.0.2.2"), None);
        tokio::time::advance(Duration::from_millis(9_500)).await;
        assert_eq!(seconds_to_wait(&limiter, "192.0.2.1").as_deref(), Some("1"));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(seconds_to_wait(&limiter, "192.0.2.1"), None);
        assert_eq!(seconds_to_wait(&limiter, "192.0.2.1").as_deref(), Some("10"));
    }

    #[tokio::test(start_paused = true)]
    async fn ipv6_addresses_of_one_network_share_a_limit() {
        let limiter = limiter(1, 1);
        assert_eq!(seconds_to_wait(&limiter, "2001:db8:1:2:3::4"), None);
        assert_eq!(seconds_to_wait(&limiter, "2001:db8:1:2:ffff::1").as_deref(), Some("60"));
        assert_eq!(seconds_to_wait(&limiter, "2001:db8:1:3::1"), None);
        assert_eq!(seconds_to_wait(&limiter, "::ffff:192.0.2.1"), None);
        assert_eq!(seconds_to_wait(&limiter, "192.0.2.1").as_deref(), Some("60"));
        assert!(limiter.check(None).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn unused_addresses_are_removed_and_their_number_is_bounded() {
        let limiter = limiter(60, 2);
        let check_all = |from: u32, to: u32| {
            for address in from..to {
                limiter.check(Some(SocketAddr::new(std::net::Ipv4Addr::from_bits(address).into(), 1)));
            }
            limiter.table.lock().unwrap().limiter.len()
        };
        assert_eq!(check_all(0, 1024), 1024);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(check_all(5000, 5010), 10, "addresses with a full allowance are removed");

        let max_addresses = u32::try_from(MAX_ADDRESSES).unwrap();
        assert!(check_all(10_000, 10_000 + 3 * max_addresses) <= MAX_ADDRESSES, "the table is bounded");
    }

    #[test]
    fn zero_limits_are_errors() {
        for limit in [
            NegotiateLimit::per_minute(0),
            NegotiateLimit::per_minute(0).burst(1),
            NegotiateLimit::per_minute(1).burst(0),
        ] {
            assert!(matches!(Limiter::new(limit), Err(BuildError::NoNegotiates)), "{limit:?}");
        }
        assert!(Limiter::new(NegotiateLimit::per_minute(u32::MAX)).is_ok());
    }
}
