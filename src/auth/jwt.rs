//! Bearer tokens: what is accepted, and whom they name.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

use super::challenge::{AuthFailure, Reason, challenge_header};
use super::claim_types;
use super::claims::{Issuer, Payload};
use super::date;
use super::key::{KeyError, SigningKey};
use super::request::{AuthRequest, QueryToken};
use super::scheme::Authentication;
use super::token::Token;
use super::user::User;

/// Authentication by JSON Web Tokens; C#'s `AddJwtBearer`.
///
/// A token must be signed with one of the keys, be for one of the audiences, come from one of the issuers, and be
/// valid now. What is not configured is refused, not waved through.
///
/// | option | default | C# |
/// |---|---|---|
/// | [`issuer`](Self::issuer), [`issuers`](Self::issuers) | none: [`allow_any_issuer`](Self::allow_any_issuer) or an error | `ValidIssuer(s)` |
/// | [`audience`](Self::audience), [`audiences`](Self::audiences) | none: [`allow_any_audience`](Self::allow_any_audience) or an error | `ValidAudience(s)` |
/// | [`clock_skew`](Self::clock_skew) | 5 minutes | `ClockSkew` |
/// | [`require_expiration`](Self::require_expiration) | on | `RequireExpirationTime` |
/// | [`query_token`](Self::query_token) | on every request to a hub | `OnMessageReceived` |
/// | [`map_inbound_claims`](Self::map_inbound_claims) | on | `MapInboundClaims` |
/// | [`include_error_details`](Self::include_error_details) | on | `IncludeErrorDetails` |
/// | [`max_token_bytes`](Self::max_token_bytes) | 16 KiB | `MaximumTokenSizeInBytes`, 250 KB |
///
/// ```
/// # use signalr::auth::JwtBearer;
/// let key = "a secret of at least 32 bytes, from the configuration";
/// let jwt = JwtBearer::hmac(key).issuer("clinic").audience("dashboards");
/// ```
#[derive(Clone)]
#[must_use = "authentication does nothing until a server uses it"]
pub struct JwtBearer {
    keys: Vec<SigningKey>,
    issuers: Vec<String>,
    audiences: Vec<String>,
    any_issuer: bool,
    any_audience: bool,
    clock_skew: Duration,
    require_expiration: bool,
    query_token: QueryToken,
    header_first: bool,
    name_claim: Arc<str>,
    role_claim: Arc<str>,
    map_inbound_claims: bool,
    include_error_details: bool,
    max_token_bytes: usize,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl JwtBearer {
    /// Tokens signed with a shared secret; see [`SigningKey::hmac`].
    pub fn hmac(secret: impl AsRef<[u8]>) -> Self {
        Self::with_key(SigningKey::hmac(secret))
    }

    /// Tokens signed with an RSA key; see [`SigningKey::rsa_pem`].
    ///
    /// # Errors
    ///
    /// When the text is no such key.
    pub fn rsa_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        SigningKey::rsa_pem(pem).map(Self::with_key)
    }

    /// Tokens signed with a key on an elliptic curve; see [`SigningKey::ec_pem`].
    ///
    /// # Errors
    ///
    /// When the text is no such key.
    pub fn ec_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        SigningKey::ec_pem(pem).map(Self::with_key)
    }

    /// Tokens signed with this key.
    pub fn with_key(key: SigningKey) -> Self {
        Self {
            keys: vec![key],
            issuers: Vec::new(),
            audiences: Vec::new(),
            any_issuer: false,
            any_audience: false,
            clock_skew: Duration::from_secs(300),
            require_expiration: true,
            query_token: QueryToken::default(),
            header_first: false,
            name_claim: claim_types::NAME.into(),
            role_claim: claim_types::ROLE.into(),
            map_inbound_claims: true,
            include_error_details: true,
            max_token_bytes: 16 * 1024,
            clock: Arc::new(SystemTime::now),
        }
    }

    /// Accepts one more key. A token's `kid` picks the key of that name; otherwise all are tried.
    pub fn key(mut self, key: SigningKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Accepts tokens of this issuer, compared exactly. Several calls add up.
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.issuers([issuer])
    }

    /// Accepts tokens of any of these issuers.
    pub fn issuers<I: Into<String>>(mut self, issuers: impl IntoIterator<Item = I>) -> Self {
        self.issuers.extend(issuers.into_iter().map(Into::into));
        self
    }

    /// Accepts tokens for this audience, compared exactly but for one `/` at the end. Several calls add up.
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.audiences([audience])
    }

    /// Accepts tokens for any of these audiences.
    pub fn audiences<A: Into<String>>(mut self, audiences: impl IntoIterator<Item = A>) -> Self {
        self.audiences.extend(audiences.into_iter().map(Into::into));
        self
    }

    /// Accepts tokens of whatever issuer, as far as a key verifies them. C#: `ValidateIssuer = false`.
    pub fn allow_any_issuer(mut self) -> Self {
        self.any_issuer = true;
        self
    }

    /// Accepts tokens for whatever audience, also those that were made for another service. C#: `ValidateAudience = false`.
    pub fn allow_any_audience(mut self) -> Self {
        self.any_audience = true;
        self
    }

    /// How far the issuer's clock may be from ours: 5 minutes by default.
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = skew;
        self
    }

    /// Whether a token must say when it ends: by default it must.
    pub fn require_expiration(mut self, required: bool) -> Self {
        self.require_expiration = required;
        self
    }

    /// On which requests a token is read from the query: by default on all that reach a hub.
    pub fn query_token(mut self, query_token: QueryToken) -> Self {
        self.query_token = query_token;
        self
    }

    /// Whether a token in the `Authorization` header counts before one in the query: by default the query's does,
    /// as in the C# code that everybody writes.
    pub fn header_before_query(mut self, header_first: bool) -> Self {
        self.header_first = header_first;
        self
    }

    /// Which claims are the user's name: [`NAME`](claim_types::NAME) by default. C#: `NameClaimType`.
    pub fn name_claim(mut self, claim_type: impl Into<Arc<str>>) -> Self {
        self.name_claim = claim_type.into();
        self
    }

    /// Which claims are the user's roles: [`ROLE`](claim_types::ROLE) by default. C#: `RoleClaimType`.
    pub fn role_claim(mut self, claim_type: impl Into<Arc<str>>) -> Self {
        self.role_claim = claim_type.into();
        self
    }

    /// Whether claims get .NET's long names: by default they do, so `sub` stands under
    /// [`NAME_IDENTIFIER`](claim_types::NAME_IDENTIFIER).
    ///
    /// Without it claims keep the token's own names, and, as in ASP.NET, [`User::id`], names and roles find nothing until
    /// [`name_claim`](Self::name_claim) and [`role_claim`](Self::role_claim) say where they are and the server is told
    /// what a user's id is.
    pub fn map_inbound_claims(mut self, mapped: bool) -> Self {
        self.map_inbound_claims = mapped;
        self
    }

    /// Whether a 401 says what is wrong with the token: by default it does.
    pub fn include_error_details(mut self, included: bool) -> Self {
        self.include_error_details = included;
        self
    }

    /// The longest token that is looked at, in bytes: 16 KiB by default.
    pub fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.max_token_bytes = bytes;
        self
    }

    /// What time it is; for tests.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Finds what is wrong with the options; building a server asks for it.
    ///
    /// # Errors
    ///
    /// When no token could ever be valid, or any could.
    pub fn validate(&self) -> Result<(), AuthConfigError> {
        let blank = |names: &[String]| names.iter().any(|name| name.trim().is_empty());
        if !self.keys.iter().all(SigningKey::is_usable) {
            Err(AuthConfigError::ShortSecret)
        } else if !self.any_issuer && (self.issuers.is_empty() || blank(&self.issuers)) {
            Err(AuthConfigError::NoIssuer)
        } else if !self.any_audience && (self.audiences.is_empty() || blank(&self.audiences)) {
            Err(AuthConfigError::NoAudience)
        } else {
            Ok(())
        }
    }

    /// Who makes this request.
    pub(crate) fn authenticate(&self, request: &AuthRequest<'_>) -> Authentication {
        match request.token(&self.query_token, self.header_first) {
            None => Authentication::Anonymous,
            Some(token) => match self.user(&token) {
                Ok(user) => Authentication::Authenticated(user),
                Err(reason) => Authentication::Failed(reason.into()),
            },
        }
    }

    /// The `WWW-Authenticate` header of a 401.
    pub(crate) fn challenge(&self, failure: Option<&AuthFailure>) -> HeaderValue {
        challenge_header(failure.filter(|_| self.include_error_details))
    }

    fn user(&self, token: &str) -> Result<User, Reason> {
        if token.len() > self.max_token_bytes {
            return Err(Reason::Malformed);
        }
        let token = Token::parse(token).ok_or(Reason::Malformed)?;
        let payload = Payload::parse(&token.payload).ok_or(Reason::Malformed)?;
        self.check_signature(&token, &payload)?;
        self.check_lifetime(payload.expires, payload.not_before)?;
        self.check_audience(&payload)?;
        self.check_issuer(&payload)?;

        let claims = payload.claims(self.map_inbound_claims).ok_or(Reason::Malformed)?;
        let user =
            User::builder().name_claim(self.name_claim.clone()).role_claim(self.role_claim.clone()).with_claims(claims);
        let expires_at = payload.expires.and_then(time);
        Ok(match expires_at {
            Some(at) => user.expires_at(at).build(),
            None => user.build(),
        })
    }

    /// IdentityModel: JsonWebTokenHandler.ValidateSignature.cs.
    fn check_signature(&self, token: &Token<'_>, payload: &Payload<'_>) -> Result<(), Reason> {
        if token.signature.as_ref().is_some_and(Vec::is_empty) {
            return Err(Reason::InvalidSignature);
        }
        let verifies = |key: &SigningKey| {
            let signature = token.signature.as_ref();
            signature.is_some_and(|signature| key.verifies(&token.algorithm, token.signed, signature))
        };
        let named = token.kid.as_deref().and_then(|kid| self.keys.iter().find(|key| key.kid() == Some(kid)));
        match named {
            Some(key) => {
                return if verifies(key) { Ok(()) } else { Err(Reason::InvalidSignature) };
            }
            None if self.keys.iter().any(verifies) => return Ok(()),
            None => {}
        }
        if token.kid.is_some() {
            // An unknown key may be a new one, but is not worth asking for if the token is bad anyway. .NET takes
            // missing times for the year 1 here.
            let expires = payload.expires.or(Some(date::EARLIEST));
            self.check_lifetime(expires, payload.not_before.or(Some(date::EARLIEST)))?;
            self.check_issuer(payload)?;
            self.check_audience(payload)?;
        }
        Err(Reason::KeyNotFound)
    }

    /// IdentityModel: Validators.cs, `ValidateLifetime`. Only the present has fractions of a second.
    fn check_lifetime(&self, expires: Option<i64>, not_before: Option<i64>) -> Result<(), Reason> {
        if expires.is_none() && self.require_expiration {
            return Err(Reason::NoExpiration);
        }
        if let (Some(not_before), Some(expires)) = (not_before, expires)
            && not_before > expires
        {
            return Err(Reason::InvalidLifetime { not_before, expires });
        }
        let now = nanoseconds((self.clock)());
        let skew = i128::try_from(self.clock_skew.as_nanos()).unwrap_or(i128::MAX / 2);
        if let Some(not_before) = not_before
            && i128::from(not_before) * NANOSECONDS > now + skew
        {
            return Err(Reason::NotYetValid { not_before });
        }
        match expires {
            Some(expires) if i128::from(expires) * NANOSECONDS < now - skew => Err(Reason::Expired { expires }),
            _ => Ok(()),
        }
    }

    /// IdentityModel: Validators.cs, `ValidateAudience`.
    fn check_audience(&self, payload: &Payload<'_>) -> Result<(), Reason> {
        let known = |audience: &String| self.audiences.iter().any(|valid| is_same_audience(audience, valid));
        if self.any_audience {
            Ok(())
        } else if payload.audiences.is_empty() {
            Err(Reason::NoAudience)
        } else if payload.audiences.iter().any(known) {
            Ok(())
        } else {
            Err(Reason::InvalidAudience)
        }
    }

    /// IdentityModel: Validators.cs, `ValidateIssuer`.
    fn check_issuer(&self, payload: &Payload<'_>) -> Result<(), Reason> {
        let issuer = match &payload.issuer {
            _ if self.any_issuer => return Ok(()),
            Issuer::Named(issuer) if self.issuers.contains(issuer) => return Ok(()),
            Issuer::Named(issuer) => Some(issuer.clone()),
            Issuer::Missing => Some(String::new()),
            Issuer::Null => None,
        };
        Err(Reason::InvalidIssuer(issuer))
    }
}

/// Prints the options, but no keys.
impl fmt::Debug for JwtBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtBearer")
            .field("keys", &self.keys)
            .field("issuers", &self.issuers)
            .field("audiences", &self.audiences)
            .field("any_issuer", &self.any_issuer)
            .field("any_audience", &self.any_audience)
            .field("clock_skew", &self.clock_skew)
            .field("query_token", &self.query_token)
            .finish_non_exhaustive()
    }
}

/// What is wrong with the options of [`JwtBearer`].
///
/// ```
/// use signalr::auth::{AuthConfigError, JwtBearer};
///
/// let key = "a secret of at least thirty-two bytes";
/// assert_eq!(JwtBearer::hmac(key).allow_any_audience().validate(), Err(AuthConfigError::NoIssuer));
/// assert_eq!(JwtBearer::hmac(key).issuer("clinic").audience("wards").validate(), Ok(()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthConfigError {
    /// A shared secret is shorter than 32 bytes, so it verifies nothing.
    #[error("the secret that signs tokens is shorter than 32 bytes")]
    ShortSecret,
    /// No issuer is accepted, or one of them is blank.
    #[error("no issuer of tokens is configured; name one, or allow any")]
    NoIssuer,
    /// No audience is accepted, or one of them is blank.
    #[error("no audience of tokens is configured; name one, or allow any")]
    NoAudience,
    /// A key of [`ApiKeys`](super::ApiKeys) is shorter than 16 bytes.
    #[error("an API key is shorter than 16 bytes")]
    ShortApiKey,
}

/// Exactly the same, but for one `/` at the end. IdentityModel: `IgnoreTrailingSlashWhenValidatingAudience`.
fn is_same_audience(a: &str, b: &str) -> bool {
    !a.trim().is_empty() && (a == b || a.strip_suffix('/') == Some(b) || b.strip_suffix('/') == Some(a))
}

fn time(seconds: i64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

fn nanoseconds(time: SystemTime) -> i128 {
    let whole = |length: Duration| i128::try_from(length.as_nanos()).unwrap_or(i128::MAX / 2);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => whole(since),
        Err(before) => -whole(before.duration()),
    }
}

const NANOSECONDS: i128 = 1_000_000_000;
