//! Keys of an identity provider by OpenID Connect discovery.

mod cache;
mod source;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Uri;
use http::uri::Scheme;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use self::cache::{Cache, Intervals};
use self::source::MetadataFetcher;
use super::auth_error::Reason;
use super::jwt::{AuthConfigError, JwtBearer, ProviderKeys};
use super::token::CompactToken;

/// Identity provider that publishes its keys by OpenID Connect discovery (feature `oidc`).
///
/// The first token triggers the download of the discovery document and of the key set that it names.
/// Tokens of the issuer in the document are accepted, beside those of [`JwtBearer::issuer`]. During a
/// later download, and while the provider is unreachable, requests use the current key set. Only a token
/// with an unknown key waits for a download, if its lifetime, issuer and audience are valid. Used are RSA
/// keys, keys on P-256 and P-384 and Ed25519 keys for signatures; other keys are skipped.
///
/// | option | default | C# |
/// |---|---|---|
/// | [`require_https_metadata`](Self::require_https_metadata) | on | `RequireHttpsMetadata` |
/// | [`backchannel_timeout`](Self::backchannel_timeout) | 60 seconds | `BackchannelTimeout` |
/// | [`automatic_refresh_interval`](Self::automatic_refresh_interval) | 12 hours | `AutomaticRefreshInterval` |
/// | [`refresh_interval`](Self::refresh_interval) | 5 minutes | `RefreshInterval` |
/// | [`refresh_on_issuer_key_not_found`](Self::refresh_on_issuer_key_not_found) | on | `RefreshOnIssuerKeyNotFound` |
/// | [`last_known_good_lifetime`](Self::last_known_good_lifetime) | 1 hour | `LastKnownGoodLifetime` |
/// | [`root_certificates`](Self::root_certificates) | Mozilla's | `BackchannelHttpHandler` |
///
/// Redirects are not followed, and proxies are not supported. A document may have at most 1 MiB. Logs
/// contain the host and the error only.
///
/// ```
/// use std::time::Duration;
///
/// use signalr::auth::{IdentityProvider, JwtBearer};
///
/// let provider = IdentityProvider::authority("https://id.example.org/realms/clinic")
///     .refresh_interval(Duration::from_secs(60));
/// let bearer = JwtBearer::identity_provider(provider).audience("wards");
/// assert_eq!(bearer.validate(), Ok(()));
/// ```
#[derive(Clone)]
#[must_use = "a provider has no effect until a `JwtBearer` uses it"]
pub struct IdentityProvider {
    source: MetadataFetcher,
    intervals: Intervals,
    refresh_on_issuer_key_not_found: bool,
    last_known_good_lifetime: Duration,
    /// Shared by all clones.
    cache: Arc<Cache>,
}

impl IdentityProvider {
    /// Provider with this issuer URL (C#: `Authority`). Its discovery document is at
    /// `.well-known/openid-configuration` below that URL and must name the same issuer, except for a `/`
    /// at the end.
    pub fn authority(url: impl Into<String>) -> Self {
        let authority = url.into();
        let address = format!("{}/.well-known/openid-configuration", authority.trim_end_matches('/'));
        Self::new(address, Some(authority))
    }

    /// Provider with a discovery document at this URL, whatever issuer it names (C#: `MetadataAddress`).
    pub fn metadata_address(url: impl Into<String>) -> Self {
        Self::new(url.into(), None)
    }

    fn new(address: String, authority: Option<String>) -> Self {
        Self {
            source: MetadataFetcher {
                address,
                authority,
                require_https: true,
                timeout: Duration::from_secs(60),
                roots: None,
            },
            intervals: Intervals { automatic: Duration::from_secs(12 * 3600), refresh: Duration::from_secs(300) },
            refresh_on_issuer_key_not_found: true,
            last_known_good_lifetime: Duration::from_secs(3600),
            cache: Arc::default(),
        }
    }

    /// Sets whether both documents must be fetched over HTTPS: `true` by default. `false` is for
    /// development: an attacker on the network could replace the keys.
    pub fn require_https_metadata(mut self, required: bool) -> Self {
        self.source.require_https = required;
        self
    }

    /// Sets the time limit for fetching both documents: 60 seconds by default.
    pub fn backchannel_timeout(mut self, timeout: Duration) -> Self {
        self.source.timeout = timeout;
        self
    }

    /// Sets the age at which the next token triggers another download of the keys: 12 hours by default,
    /// at least 5 minutes.
    pub fn automatic_refresh_interval(mut self, interval: Duration) -> Self {
        self.intervals.automatic = interval;
        self
    }

    /// Sets the minimum time between two downloads for unknown keys, and the delay after a failed
    /// download: 5 minutes by default, at least 1 second. If no download has succeeded yet, the delays
    /// are 1 second, 2, 4 and so on up to this.
    pub fn refresh_interval(mut self, interval: Duration) -> Self {
        self.intervals.refresh = interval;
        self
    }

    /// Sets whether an otherwise valid token with an unknown key triggers a download: `true` by default.
    pub fn refresh_on_issuer_key_not_found(mut self, refreshed: bool) -> Self {
        self.refresh_on_issuer_key_not_found = refreshed;
        self
    }

    /// Sets how long the previous key set stays valid after it last verified a token: 1 hour by default.
    /// This bridges the publication of wrong keys. It also applies to withdrawn keys; with zero they are
    /// invalid at once.
    pub fn last_known_good_lifetime(mut self, lifetime: Duration) -> Self {
        self.last_known_good_lifetime = lifetime;
        self
    }

    /// Sets the root certificates, in PEM, that are trusted instead of Mozilla's list, such as that of a
    /// private certification authority.
    pub fn root_certificates(mut self, pem: impl AsRef<[u8]>) -> Self {
        let certificates = CertificateDer::pem_slice_iter(pem.as_ref()).collect::<Result<_, _>>();
        self.source.roots = Some(certificates.unwrap_or_default());
        self.cache = Arc::default();
        self
    }

    pub(super) fn validate(&self) -> Result<(), AuthConfigError> {
        let address = self.source.address.parse::<Uri>().ok().filter(|uri| uri.host().is_some());
        let scheme = address.as_ref().and_then(Uri::scheme);
        if scheme != Some(&Scheme::HTTPS) && scheme != Some(&Scheme::HTTP) {
            Err(AuthConfigError::MetadataAddress)
        } else if self.source.require_https && scheme != Some(&Scheme::HTTPS) {
            Err(AuthConfigError::InsecureMetadata)
        } else if self.intervals.automatic < MIN_AUTOMATIC_REFRESH_INTERVAL
            || self.intervals.refresh < MIN_REFRESH_INTERVAL
        {
            Err(AuthConfigError::ShortInterval)
        } else if self.source.roots.as_ref().is_some_and(Vec::is_empty) {
            Err(AuthConfigError::NoRootCertificate)
        } else {
            Ok(())
        }
    }

    /// Checks a token with the published keys (IdentityModel: JsonWebTokenHandler.ValidateToken.cs).
    ///
    /// Without published keys the token is checked too, since other keys may be configured.
    pub(super) async fn check(
        &self,
        token: &CompactToken<'_>,
        now: SystemTime,
        check: impl Fn(ProviderKeys<'_>) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        let Some(current) = self.cache.current(&self.source, self.intervals, now).await else {
            return check(ProviderKeys::default());
        };
        let checked = check(current.published());
        if checked.is_ok() {
            current.mark_verified(now);
        }
        // Other keys can only help a token whose named key was not found; its lifetime, issuer and audience are
        // valid then.
        if token.kid.is_none() || checked != Err(Reason::KeyNotFound) {
            return checked;
        }
        if self.refresh_on_issuer_key_not_found
            && let Some(newer) = self.cache.fetch_newer(&current, &self.source, self.intervals, now).await
            && check(newer.published()).is_ok()
        {
            newer.mark_verified(now);
            return Ok(());
        }
        match self.cache.last_good(self.last_known_good_lifetime, now) {
            Some(set) if set.published().keys.iter().any(|key| key.is_named_by(token)) => check(set.published()),
            _ => checked,
        }
    }
}

impl JwtBearer {
    /// Accepts tokens of the identity provider at this URL; see [`IdentityProvider::authority`] (C#:
    /// `Authority`).
    ///
    /// ```
    /// use signalr::auth::JwtBearer;
    ///
    /// let bearer = JwtBearer::authority("https://id.example.org/realms/clinic").audience("wards");
    /// # assert_eq!(bearer.validate(), Ok(()));
    /// ```
    pub fn authority(url: impl Into<String>) -> Self {
        Self::identity_provider(IdentityProvider::authority(url))
    }

    /// Accepts tokens of the identity provider with a discovery document at this URL; see
    /// [`IdentityProvider::metadata_address`] (C#: `MetadataAddress`).
    pub fn metadata_address(url: impl Into<String>) -> Self {
        Self::identity_provider(IdentityProvider::metadata_address(url))
    }
}

/// Prints the host of the provider and the options.
impl fmt::Debug for IdentityProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityProvider")
            .field("host", &self.source.host())
            .field("require_https_metadata", &self.source.require_https)
            .field("backchannel_timeout", &self.source.timeout)
            .field("automatic_refresh_interval", &self.intervals.automatic)
            .field("refresh_interval", &self.intervals.refresh)
            .field("refresh_on_issuer_key_not_found", &self.refresh_on_issuer_key_not_found)
            .field("last_known_good_lifetime", &self.last_known_good_lifetime)
            .finish_non_exhaustive()
    }
}

/// `BaseConfigurationManager.MinimumAutomaticRefreshInterval` and `MinimumRefreshInterval` of .NET.
const MIN_AUTOMATIC_REFRESH_INTERVAL: Duration = Duration::from_secs(300);
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(1);
