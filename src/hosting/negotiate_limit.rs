//! How many connections one address may ask for.

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

/// How many connections one address may ask for: so many a minute, and so many of them at once.
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
    /// So many a minute, evenly: 60 are one a second. As many may come at once, unless [`burst`](Self::burst) says
    /// otherwise.
    pub fn per_minute(negotiates: u32) -> Self {
        Self { per_minute: negotiates, burst: negotiates }
    }

    /// How many may come at once, from an address that has asked for nothing in a while.
    pub fn burst(mut self, negotiates: u32) -> Self {
        self.burst = negotiates;
        self
    }
}

impl Builder {
    /// How many connections one address may ask for, on all paths together. No limit by default.
    ///
    /// What counts is a negotiation, refused or not, and a WebSocket that skips it. It is looked at before the token is. What
    /// names a connection, such as a poll or a refresh, is not counted, whether there is one or not: guesses of API keys go
    /// on there, so keys have to be random. Beyond the limit the answer is 429, and `Retry-After` tells the seconds to wait; whoever
    /// is connected goes on. Clients that reconnect automatically try again by themselves, and may need several
    /// negotiations for one connection: one for each transport that a proxy in between does not let through.
    ///
    /// The address is what [`peer_addr`](Self::peer_addr) finds; all of a network `/64` of IPv6 is one. Requests without an
    /// address are not limited. **Behind a proxy** every client has the proxy's address: there let a layer write the
    /// address that the proxy tells (`X-Forwarded-For`, `Forwarded`, if no client can reach the server without the proxy)
    /// into [`PeerAddr`](crate::hosting::PeerAddr), or limit at the proxy. People behind one NAT share an address: leave room.
    ///
    /// 65,536 addresses at most are remembered, about 40 bytes each, and only those that have used up something. When that
    /// is not enough, all are forgotten, and start anew.
    ///
    /// (C#: `AddRateLimiter`, with a partition by `Connection.RemoteIpAddress`)
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

/// A limit at work.
pub(super) struct Limiter {
    quota: Quota,
    table: Mutex<AddressTable>,
    unknown_address_warning: Once,
}

/// Who has used up something.
struct AddressTable {
    limiter: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, TokioClock, NoOpMiddleware<Duration>>,
    /// At so many addresses those are forgotten that have nothing used up any more. Each time it is double of what was
    /// left, so that the looking costs every request the same.
    sweep_at: usize,
}

impl Limiter {
    pub(super) fn new(limit: NegotiateLimit) -> Result<Self, BuildError> {
        let nonzero = |count| NonZeroU32::new(count).ok_or(BuildError::NoNegotiates);
        let quota = Quota::per_minute(nonzero(limit.per_minute)?).allow_burst(nonzero(limit.burst)?);
        Ok(Self { quota, table: Mutex::new(AddressTable::new(quota)), unknown_address_warning: Once::new() })
    }

    /// Counts a request, or tells that it is one too many.
    pub(super) fn check(&self, peer: Option<SocketAddr>) -> Option<Response<ResponseBody>> {
        let Some(peer) = peer else {
            self.unknown_address_warning.call_once(|| {
                tracing::warn!(target: "signalr::connection", "negotiates of unknown addresses are not limited");
            });
            return None;
        };
        let network = network(peer.ip());
        let wait = self.table.lock().unwrap_or_else(PoisonError::into_inner).check(network, self.quota)?;
        tracing::debug!(target: "signalr::connection", %network, "too many negotiates");
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

    /// How long to wait, if it is one too many.
    fn check(&mut self, network: IpAddr, quota: Quota) -> Option<Duration> {
        if self.limiter.len() >= self.sweep_at {
            self.limiter.retain_recent();
            if self.limiter.len() >= MAX_ADDRESSES {
                tracing::warn!(target: "signalr::connection", "too many addresses negotiate: the limit starts anew");
                *self = Self::new(quota);
            }
            self.limiter.shrink_to_fit();
            self.sweep_at = (self.limiter.len() * 2).clamp(MIN_SWEEP_SIZE, MAX_ADDRESSES);
        }
        let not_until = self.limiter.check_key(&network).err()?;
        Some(not_until.wait_time_from(self.limiter.clock().now()))
    }
}

/// Tests can stop it.
#[derive(Clone)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// What one customer of a provider has: an address of IPv4, 2⁶⁴ of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

/// At least 1: `Retry-After` knows no fractions.
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

    /// The seconds to wait, if it is one too many.
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
        assert_eq!(check_all(5000, 5010), 10, "those of before have nothing used up");

        let max_addresses = u32::try_from(MAX_ADDRESSES).unwrap();
        assert!(check_all(10_000, 10_000 + 3 * max_addresses) <= MAX_ADDRESSES, "no more than that, come who may");
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
