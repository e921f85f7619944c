//! Bearer tokens: options and errors of [`JwtBearer`].

mod validation;
#[cfg(feature = "oidc")]
pub(super) use validation::ProviderKeys;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_core::future::BoxFuture;
use http::HeaderValue;

use super::auth_error::{AuthError, challenge_header};
use super::claim_types;
use super::key::{KeyError, SigningKey};
#[cfg(feature = "oidc")]
use super::oidc::IdentityProvider;
use super::request::{AuthRequest, QueryToken};
use super::scheme::Authentication;
use super::user::User;

/// Authentication scheme for JSON Web Tokens (C#: `AddJwtBearer`).
///
/// A token is valid if one of the keys signed it, one of the audiences and one of the issuers match, and
/// the current time is within its lifetime. Without a configured issuer or audience
/// [`build`](crate::hosting::Builder::build) fails; the check is not skipped.
///
/// | option | default | C# |
/// |---|---|---|
/// | [`key`](Self::key), [`keys`](Self::keys) | the key of the constructor | `IssuerSigningKey(s)` |
/// | [`issuer`](Self::issuer), [`issuers`](Self::issuers) | none: [`allow_any_issuer`](Self::allow_any_issuer) or an error | `ValidIssuer(s)` |
/// | [`audience`](Self::audience), [`audiences`](Self::audiences) | none: [`allow_any_audience`](Self::allow_any_audience) or an error | `ValidAudience(s)` |
/// | [`clock_skew`](Self::clock_skew) | 5 minutes | `ClockSkew` |
/// | [`require_expiration`](Self::require_expiration) | on | `RequireExpirationTime` |
/// | [`algorithms`](Self::algorithms) | all that fit the kind of the key | `ValidAlgorithms` |
/// | [`token_types`](Self::token_types) | any | `ValidTypes` |
/// | [`require_claim`](Self::require_claim) | none | `OnTokenValidated` |
/// | [`on_token_validated`](Self::on_token_validated) | accepts every valid token | `OnTokenValidated` |
/// | [`token_from`](Self::token_from) | query and header only | `OnMessageReceived` |
/// | [`query_token`](Self::query_token) | on every request to a hub | `OnMessageReceived` |
/// | [`map_inbound_claims`](Self::map_inbound_claims) | on | `MapInboundClaims` |
/// | [`include_error_details`](Self::include_error_details) | on | `IncludeErrorDetails` |
/// | [`challenge`](Self::challenge) | `Bearer` | `Challenge` |
/// | [`max_token_bytes`](Self::max_token_bytes) | 16 KiB | `MaximumTokenSizeInBytes`, 250 KB |
///
/// ```
/// # use signalr::auth::JwtBearer;
/// let key = "a secret of at least 32 bytes, from the configuration";
/// let jwt = JwtBearer::hmac(key).issuer("clinic").audience("dashboards");
/// ```
#[derive(Clone)]
#[must_use = "a scheme has no effect until it is added to a builder"]
pub struct JwtBearer {
    keys: Vec<SigningKey>,
    #[cfg(feature = "oidc")]
    provider: Option<IdentityProvider>,
    issuers: Vec<String>,
    audiences: Vec<String>,
    any_issuer: bool,
    any_audience: bool,
    clock_skew: Duration,
    require_expiration: bool,
    /// Empty for all.
    algorithms: Vec<String>,
    /// Empty for all.
    token_types: Vec<String>,
    required_claims: Vec<String>,
    on_token_validated: Option<TokenValidated>,
    token_from: Option<TokenFrom>,
    query_token: QueryToken,
    header_first: bool,
    name_claim: Arc<str>,
    role_claim: Arc<str>,
    map_inbound_claims: bool,
    include_error_details: bool,
    challenge: HeaderValue,
    max_token_bytes: usize,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

/// Callback of [`JwtBearer::on_token_validated`].
type TokenValidated = Arc<dyn Fn(User) -> BoxFuture<'static, Result<User, AuthError>> + Send + Sync>;

/// Callback of [`JwtBearer::token_from`].
type TokenFrom = Arc<dyn Fn(&AuthRequest<'_>) -> Option<String> + Send + Sync>;

impl JwtBearer {
    /// Accepts tokens signed with a shared secret; see [`SigningKey::hmac`].
    pub fn hmac(secret: impl AsRef<[u8]>) -> Self {
        Self::with_key(SigningKey::hmac(secret))
    }

    /// Accepts tokens signed with an RSA key; see [`SigningKey::rsa_pem`].
    ///
    /// # Errors
    ///
    /// If the text is not such a key.
    pub fn rsa_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        SigningKey::rsa_pem(pem).map(Self::with_key)
    }

    /// Accepts tokens signed with a key on an elliptic curve; see [`SigningKey::ec_pem`].
    ///
    /// # Errors
    ///
    /// If the text is not such a key.
    pub fn ec_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        SigningKey::ec_pem(pem).map(Self::with_key)
    }

    /// Accepts tokens signed with an Ed25519 key; see [`SigningKey::ed_pem`].
    ///
    /// # Errors
    ///
    /// If the text is not such a key.
    pub fn ed_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        SigningKey::ed_pem(pem).map(Self::with_key)
    }

    /// Accepts tokens signed with a key of this set; see [`SigningKey::jwks`].
    ///
    /// # Errors
    ///
    /// If the set has no key that can verify tokens.
    pub fn jwks(json: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        SigningKey::jwks(json).map(Self::with_keys)
    }

    /// Accepts tokens signed with this key.
    pub fn with_key(key: SigningKey) -> Self {
        Self::with_keys(vec![key])
    }

    fn with_keys(keys: Vec<SigningKey>) -> Self {
        Self {
            keys,
            #[cfg(feature = "oidc")]
            provider: None,
            issuers: Vec::new(),
            audiences: Vec::new(),
            any_issuer: false,
            any_audience: false,
            clock_skew: Duration::from_secs(300),
            require_expiration: true,
            algorithms: Vec::new(),
            token_types: Vec::new(),
            required_claims: Vec::new(),
            on_token_validated: None,
            token_from: None,
            query_token: QueryToken::default(),
            header_first: false,
            name_claim: claim_types::NAME.into(),
            role_claim: claim_types::ROLE.into(),
            map_inbound_claims: true,
            include_error_details: true,
            challenge: HeaderValue::from_static("Bearer"),
            max_token_bytes: 16 * 1024,
            clock: Arc::new(SystemTime::now),
        }
    }

    /// Accepts tokens signed with a key that this identity provider publishes.
    #[cfg(feature = "oidc")]
    pub fn identity_provider(provider: IdentityProvider) -> Self {
        Self { provider: Some(provider), ..Self::with_keys(Vec::new()) }
    }

    /// Adds a key. The `kid` of a token selects the key with that name; otherwise all keys are tried.
    pub fn key(self, key: SigningKey) -> Self {
        self.keys([key])
    }

    /// Adds keys; see [`key`](Self::key).
    pub fn keys(mut self, keys: impl IntoIterator<Item = SigningKey>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// Adds an issuer whose tokens are accepted. It is compared exactly.
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.issuers([issuer])
    }

    /// Adds issuers; see [`issuer`](Self::issuer).
    pub fn issuers<I: Into<String>>(mut self, issuers: impl IntoIterator<Item = I>) -> Self {
        self.issuers.extend(issuers.into_iter().map(Into::into));
        self
    }

    /// Adds an audience for which tokens are accepted. It is compared exactly, except for one `/` at the
    /// end.
    pub fn audience(self, audience: impl Into<String>) -> Self {
        self.audiences([audience])
    }

    /// Adds audiences; see [`audience`](Self::audience).
    pub fn audiences<A: Into<String>>(mut self, audiences: impl IntoIterator<Item = A>) -> Self {
        self.audiences.extend(audiences.into_iter().map(Into::into));
        self
    }

    /// Accepts tokens of every issuer if a key verifies them (C#: `ValidateIssuer = false`).
    pub fn allow_any_issuer(mut self) -> Self {
        self.any_issuer = true;
        self
    }

    /// Accepts tokens for every audience, also those issued for another service (C#:
    /// `ValidateAudience = false`).
    pub fn allow_any_audience(mut self) -> Self {
        self.any_audience = true;
        self
    }

    /// Sets the tolerated difference between the clocks of issuer and server: 5 minutes by default (C#:
    /// `ClockSkew`). A token is accepted that long before `nbf` and after `exp`.
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = skew;
        self
    }

    /// Sets whether a token without `exp` is rejected: `true` by default.
    pub fn require_expiration(mut self, required: bool) -> Self {
        self.require_expiration = required;
        self
    }

    /// Adds algorithms, such as `RS256`, to the list of those that are accepted. Without a list the kind
    /// of the key alone decides, which it does in any case.
    pub fn algorithms<A: Into<String>>(mut self, algorithms: impl IntoIterator<Item = A>) -> Self {
        self.algorithms.extend(algorithms.into_iter().map(Into::into));
        self
    }

    /// Adds values of `typ` in the token's header to the list of those that are accepted, compared
    /// exactly. RFC 9068 names access tokens `at+jwt`, so that an ID token is not accepted as one.
    /// Without a list `typ` is ignored.
    pub fn token_types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.token_types.extend(types.into_iter().map(Into::into));
        self
    }

    /// Adds a claim, by its name in the token, that every token must have. Claims with an option of their
    /// own need no such call.
    pub fn require_claim(mut self, name: impl Into<String>) -> Self {
        self.required_claims.push(name.into());
        self
    }

    /// Sets a callback for each valid token (C#: `OnTokenValidated`). It can reject the user, for example
    /// because the session was revoked, or add claims. The client of a rejected user receives 401
    /// without a reason.
    ///
    /// The callback runs for every request with a token, polls and sends included, so it should be fast.
    ///
    /// ```
    /// use signalr::auth::{AuthError, JwtBearer, User};
    ///
    /// # fn revoked(_: &str) -> bool { false }
    /// let bearer = JwtBearer::hmac("a secret of at least thirty-two bytes")
    ///     .issuer("clinic")
    ///     .audience("wards")
    ///     .on_token_validated(|user: User| async move {
    ///         match user.claim("jti") {
    ///             Some(id) if !revoked(id) => Ok(user.to_builder().claim("shift", "night").build()),
    ///             _ => Err(AuthError::new("the session was revoked")),
    ///         }
    ///     });
    /// # let _ = bearer;
    /// ```
    pub fn on_token_validated<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(User) -> R + Send + Sync + 'static,
        R: Future<Output = Result<User, AuthError>> + Send + 'static,
    {
        self.on_token_validated = Some(Arc::new(move |user| Box::pin(hook(user))));
        self
    }

    /// Sets a callback that reads the token from another place, such as a cookie (C#:
    /// `OnMessageReceived`). If it returns `None` or an empty string, the token is read from query and
    /// header.
    ///
    /// ```
    /// use signalr::auth::{AuthRequest, JwtBearer};
    ///
    /// let bearer = JwtBearer::hmac("a secret of at least thirty-two bytes")
    ///     .issuer("clinic")
    ///     .audience("wards")
    ///     .token_from(|request: &AuthRequest<'_>| request.cookie("token").map(Into::into));
    /// # let _ = bearer;
    /// ```
    pub fn token_from(mut self, find: impl Fn(&AuthRequest<'_>) -> Option<String> + Send + Sync + 'static) -> Self {
        self.token_from = Some(Arc::new(find));
        self
    }

    /// Sets the requests whose query is read for a token: by default all requests to endpoints.
    pub fn query_token(mut self, query_token: QueryToken) -> Self {
        self.query_token = query_token;
        self
    }

    /// Sets whether a token in the `Authorization` header takes precedence over one in the query: `false`
    /// by default, as with the `OnMessageReceived` of Microsoft's documentation.
    pub fn header_before_query(mut self, header_first: bool) -> Self {
        self.header_first = header_first;
        self
    }

    /// Sets the type of the claims with the user's name: [`NAME`](claim_types::NAME) by default (C#:
    /// `NameClaimType`).
    pub fn name_claim(mut self, claim_type: impl Into<Arc<str>>) -> Self {
        self.name_claim = claim_type.into();
        self
    }

    /// Sets the type of the claims with the user's roles: [`ROLE`](claim_types::ROLE) by default (C#:
    /// `RoleClaimType`).
    pub fn role_claim(mut self, claim_type: impl Into<Arc<str>>) -> Self {
        self.role_claim = claim_type.into();
        self
    }

    /// Sets whether claims are mapped to .NET's long types: `true` by default, so that `sub` becomes
    /// [`NAME_IDENTIFIER`](claim_types::NAME_IDENTIFIER).
    ///
    /// If `false`, claims keep their types of the token. As in ASP.NET Core, [`User::id`], names and
    /// roles are then not found until [`name_claim`](Self::name_claim),
    /// [`role_claim`](Self::role_claim) and [`Builder::user_id`](crate::hosting::Builder::user_id)
    /// are set.
    pub fn map_inbound_claims(mut self, mapped: bool) -> Self {
        self.map_inbound_claims = mapped;
        self
    }

    /// Sets whether a 401 contains the error of the token: `true` by default.
    pub fn include_error_details(mut self, included: bool) -> Self {
        self.include_error_details = included;
        self
    }

    /// Sets the start of the `WWW-Authenticate` header of a 401: `Bearer` by default (C#: `Challenge`).
    /// The error of the token is appended.
    ///
    /// ```
    /// # use http::HeaderValue;
    /// # let bearer = signalr::auth::JwtBearer::hmac("a secret of at least thirty-two bytes");
    /// let bearer = bearer.challenge(HeaderValue::from_static("Bearer realm=\"wards\""));
    /// ```
    pub fn challenge(mut self, challenge: HeaderValue) -> Self {
        self.challenge = challenge;
        self
    }

    /// Sets the maximum size of a token in bytes: 16 KiB by default. Longer tokens are invalid.
    pub fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.max_token_bytes = bytes;
        self
    }

    /// Sets the clock; for tests. The system time by default.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Checks the options. [`build`](crate::hosting::Builder::build) calls it.
    ///
    /// # Errors
    ///
    /// If no token could be valid, or every issuer or audience would be accepted without being allowed.
    pub fn validate(&self) -> Result<(), AuthConfigError> {
        #[cfg(feature = "oidc")]
        self.provider.as_ref().map_or(Ok(()), IdentityProvider::validate)?;
        let blank = |names: &[String]| names.iter().any(|name| name.trim().is_empty());
        if !self.keys.iter().all(SigningKey::is_usable) {
            Err(AuthConfigError::ShortSecret)
        } else if !self.any_issuer && (self.has_no_issuer() || blank(&self.issuers)) {
            Err(AuthConfigError::NoIssuer)
        } else if !self.any_audience && (self.audiences.is_empty() || blank(&self.audiences)) {
            Err(AuthConfigError::NoAudience)
        } else if !self.algorithms.iter().all(|name| SigningKey::knows(name)) {
            Err(AuthConfigError::UnknownAlgorithm)
        } else {
            Ok(())
        }
    }

    fn has_no_issuer(&self) -> bool {
        #[cfg(feature = "oidc")]
        if self.provider.is_some() {
            return false;
        }
        self.issuers.is_empty()
    }

    /// Authenticates a request.
    pub(crate) async fn authenticate(&self, request: &AuthRequest<'_>) -> Authentication {
        let own = self.token_from.as_ref().and_then(|find| find(request)).filter(|token| !token.is_empty());
        match own.map(Cow::Owned).or_else(|| request.token(&self.query_token, self.header_first)) {
            None => Authentication::Anonymous,
            Some(token) => match self.user(&token).await {
                Ok(user) => Authentication::Authenticated(user),
                Err(reason) => Authentication::Failed(reason.into()),
            },
        }
    }

    /// `WWW-Authenticate` header of a 401.
    pub(crate) fn www_authenticate_for(&self, failure: Option<&AuthError>) -> HeaderValue {
        challenge_header(&self.challenge, failure.filter(|_| self.include_error_details))
    }
}

/// Prints the options without keys.
impl fmt::Debug for JwtBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut printed = f.debug_struct("JwtBearer");
        #[cfg(feature = "oidc")]
        printed.field("provider", &self.provider);
        printed
            .field("keys", &self.keys)
            .field("issuers", &self.issuers)
            .field("audiences", &self.audiences)
            .field("any_issuer", &self.any_issuer)
            .field("any_audience", &self.any_audience)
            .field("clock_skew", &self.clock_skew)
            .field("algorithms", &self.algorithms)
            .field("token_types", &self.token_types)
            .field("required_claims", &self.required_claims)
            .field("query_token", &self.query_token)
            .finish_non_exhaustive()
    }
}

/// Error in the options of an authentication scheme.
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
    /// A shared secret is shorter than 32 bytes and verifies no token.
    #[error("token signing secret is shorter than 32 bytes")]
    ShortSecret,
    /// No issuer is configured, or one of them is blank.
    #[error("no token issuer is configured: set one or allow any")]
    NoIssuer,
    /// No audience is configured, or one of them is blank.
    #[error("no token audience is configured: set one or allow any")]
    NoAudience,
    /// A key of [`ApiKeys`](super::ApiKeys) is shorter than 16 bytes.
    #[error("API key is shorter than 16 bytes")]
    ShortApiKey,
    /// One of the algorithms is unknown.
    #[error("unknown token signing algorithm")]
    UnknownAlgorithm,
    /// The address of an identity provider is not an HTTP URL.
    #[error("address of the identity provider is not an HTTP URL")]
    MetadataAddress,
    /// Keys would be fetched without TLS, so that an attacker on the network could replace them.
    #[error("address of the identity provider does not use HTTPS, which `require_https_metadata` demands")]
    InsecureMetadata,
    /// Keys would be fetched more often than every 5 minutes, or more often than every second for a
    /// missing key.
    #[error("refresh interval of the identity provider's keys is too short")]
    ShortInterval,
    /// The PEM text of root certificates has no certificate.
    #[error("no root certificate for the identity provider")]
    NoRootCertificate,
}
