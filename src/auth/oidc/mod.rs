//! Keys from an identity provider: OpenID Connect discovery, and what is kept of it.

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
use super::jwt::{AuthConfigError, JwtBearer, Published};
use super::token::CompactToken;

/// An identity provider that publishes its keys by OpenID Connect discovery; a feature, `oidc`.
///
/// Its discovery document is fetched with the first token, and the set of keys that it names. Tokens of the issuer that
/// the document names are accepted, besides those of [`JwtBearer::issuer`]. While a set is fetched again, requests go on
/// with the one that is there, and they do when the provider is down. Only a token of a key that nobody has seen yet waits,
/// if its times, its issuer and its audience are right. RSA keys, keys on P-256 and P-384 and Ed25519 keys count that are for
/// signatures; others are passed over.
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
/// Redirects are not followed, and proxies are not known. A document may have 1 MiB. What is logged names the host and
/// what went wrong.
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
#[must_use = "it does nothing until tokens are checked with its keys"]
pub struct IdentityProvider {
    source: MetadataFetcher,
    intervals: Intervals,
    refresh_on_issuer_key_not_found: bool,
    last_known_good_lifetime: Duration,
    /// Shared by all clones.
    cache: Arc<Cache>,
}

impl IdentityProvider {
    /// The provider that is the issuer at this URL. Its discovery document stands below it, at
    /// `.well-known/openid-configuration`, and must name the same issuer but for a `/` at the end. (C#: `Authority`)
    pub fn authority(url: impl Into<String>) -> Self {
        let authority = url.into();
        let address = format!("{}/.well-known/openid-configuration", authority.trim_end_matches('/'));
        Self::new(address, Some(authority))
    }

    /// The provider whose discovery document stands at this URL, whatever issuer it names. (C#: `MetadataAddress`)
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

    /// Whether both documents must come over HTTPS: by default they must. Without it whoever is on the way can sign tokens,
    /// so it is for development.
    pub fn require_https_metadata(mut self, required: bool) -> Self {
        self.source.require_https = required;
        self
    }

    /// How long fetching both documents may take: 60 seconds by default.
    pub fn backchannel_timeout(mut self, timeout: Duration) -> Self {
        self.source.timeout = timeout;
        self
    }

    /// After which time the keys are fetched again with the next token, though nobody misses one: 12 hours by default, 5
    /// minutes at least.
    pub fn automatic_refresh_interval(mut self, interval: Duration) -> Self {
        self.intervals.automatic = interval;
        self
    }

    /// How often, at most, tokens of unknown keys have the keys fetched again, and how soon a fetch that failed is repeated:
    /// 5 minutes by default, a second at least. A provider that never answered is asked again after 1 second, 2, 4 and so
    /// on up to this.
    pub fn refresh_interval(mut self, interval: Duration) -> Self {
        self.intervals.refresh = interval;
        self
    }

    /// Whether a token of an unknown key has the keys fetched again: by default it has, if nothing else is wrong with it.
    pub fn refresh_on_issuer_key_not_found(mut self, refreshed: bool) -> Self {
        self.refresh_on_issuer_key_not_found = refreshed;
        self
    }

    /// How long keys that verified tokens still do after the provider published others without them: 1 hour by default,
    /// which is for a provider that published the wrong ones. It holds for keys that were withdrawn, too; with zero those
    /// verify nothing any more.
    pub fn last_known_good_lifetime(mut self, lifetime: Duration) -> Self {
        self.last_known_good_lifetime = lifetime;
        self
    }

    /// Whom to trust for the certificate of the provider, in place of Mozilla's list: the certificates in this PEM text, such
    /// as that of a private authority.
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

    /// Whether a token is valid with what the provider published. IdentityModel: JsonWebTokenHandler.ValidateToken.cs.
    ///
    /// Without anything published, tokens are checked all the same: other keys may be configured.
    pub(super) async fn check(
        &self,
        token: &CompactToken<'_>,
        now: SystemTime,
        check: impl Fn(Published<'_>) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        let Some(current) = self.cache.current(&self.source, self.intervals, now).await else {
            return check(Published::default());
        };
        let checked = check(current.published());
        if checked.is_ok() {
            current.mark_verified(now);
        }
        // A key that is not found after its token named it is the only fault that other keys mend: times, issuer and
        // audience were right.
        if token.kid.is_none() || checked != Err(Reason::KeyNotFound) {
            return checked;
        }
        if self.refresh_on_issuer_key_not_found
            && let Some(newer) = self.cache.refreshed(&current, &self.source, self.intervals, now).await
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
    /// Tokens of the identity provider at this URL; see [`IdentityProvider::authority`]. (C#: `Authority`)
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

    /// Tokens of the identity provider whose discovery document stands at this URL; see
    /// [`IdentityProvider::metadata_address`]. (C#: `MetadataAddress`)
    pub fn metadata_address(url: impl Into<String>) -> Self {
        Self::identity_provider(IdentityProvider::metadata_address(url))
    }
}

/// Prints where the provider is and the options.
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
