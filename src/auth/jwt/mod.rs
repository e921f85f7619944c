//! Bearer tokens: what is accepted, and whom they name.

mod validation;
#[cfg(feature = "oidc")]
pub(super) use validation::Published;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderValue;

use super::auth_error::{AuthError, challenge_header};
use super::claim_types;
use super::key::{KeyError, SigningKey};
#[cfg(feature = "oidc")]
use super::oidc::IdentityProvider;
use super::request::{AuthRequest, QueryToken};
use super::scheme::Authentication;
use super::user::User;
use crate::future::BoxFuture;

/// Authentication by JSON Web Tokens; C#'s `AddJwtBearer`.
///
/// A token must be signed with one of the keys, be for one of the audiences, come from one of the issuers, and be
/// valid now. What is not configured is refused, not waved through.
///
/// | option | default | C# |
/// |---|---|---|
/// | [`key`](Self::key), [`keys`](Self::keys) | the one that it begins with | `IssuerSigningKey(s)` |
/// | [`issuer`](Self::issuer), [`issuers`](Self::issuers) | none: [`allow_any_issuer`](Self::allow_any_issuer) or an error | `ValidIssuer(s)` |
/// | [`audience`](Self::audience), [`audiences`](Self::audiences) | none: [`allow_any_audience`](Self::allow_any_audience) or an error | `ValidAudience(s)` |
/// | [`clock_skew`](Self::clock_skew) | 5 minutes | `ClockSkew` |
/// | [`require_expiration`](Self::require_expiration) | on | `RequireExpirationTime` |
/// | [`algorithms`](Self::algorithms) | all that the kind of a key takes | `ValidAlgorithms` |
/// | [`token_types`](Self::token_types) | any | `ValidTypes` |
/// | [`require_claim`](Self::require_claim) | none | `OnTokenValidated` |
/// | [`on_token_validated`](Self::on_token_validated) | accepts everyone | `OnTokenValidated` |
/// | [`token_from`](Self::token_from) | nowhere else | `OnMessageReceived` |
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
#[must_use = "authentication does nothing until a server uses it"]
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
    /// All if there is none.
    algorithms: Vec<String>,
    /// All if there is none.
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

/// What the application says of the user of a valid token.
type TokenValidated = Arc<dyn Fn(User) -> BoxFuture<'static, Result<User, AuthError>> + Send + Sync>;

/// Where the application looks for a token.
type TokenFrom = Arc<dyn Fn(&AuthRequest<'_>) -> Option<String> + Send + Sync>;

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

    /// Tokens signed with a key on Ed25519; see [`SigningKey::ed_pem`].
    ///
    /// # Errors
    ///
    /// When the text is no such key.
    pub fn ed_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        SigningKey::ed_pem(pem).map(Self::with_key)
    }

    /// Tokens signed with a key of this set; see [`SigningKey::jwks`].
    ///
    /// # Errors
    ///
    /// When no key of the text can verify tokens.
    pub fn jwks(json: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        SigningKey::jwks(json).map(Self::with_keys)
    }

    /// Tokens signed with this key.
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

    /// Tokens signed with a key that this identity provider publishes.
    #[cfg(feature = "oidc")]
    pub fn identity_provider(provider: IdentityProvider) -> Self {
        Self { provider: Some(provider), ..Self::with_keys(Vec::new()) }
    }

    /// Accepts one more key. A token's `kid` picks the key of that name; otherwise all are tried.
    pub fn key(self, key: SigningKey) -> Self {
        self.keys([key])
    }

    /// Accepts more keys; see [`key`](Self::key).
    pub fn keys(mut self, keys: impl IntoIterator<Item = SigningKey>) -> Self {
        self.keys.extend(keys);
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

    /// Accepts only tokens that are signed with one of these algorithms, such as `RS256`, besides what the kind of a key
    /// allows: by default that alone decides. Several calls add up.
    pub fn algorithms<A: Into<String>>(mut self, algorithms: impl IntoIterator<Item = A>) -> Self {
        self.algorithms.extend(algorithms.into_iter().map(Into::into));
        self
    }

    /// Accepts only tokens whose header's `typ` is one of these, compared exactly, so that a token that an identity provider
    /// made for another end, such as an ID token, is no access token. `at+jwt` is what RFC 9068 names those. By default
    /// `typ` is not looked at. Several calls add up.
    pub fn token_types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.token_types.extend(types.into_iter().map(Into::into));
        self
    }

    /// Accepts only tokens that have this claim, by the name that it has in the token. Several calls add up; by default
    /// none is asked for besides those that have an option of their own.
    pub fn require_claim(mut self, name: impl Into<String>) -> Self {
        self.required_claims.push(name.into());
        self
    }

    /// Asks the application about the user of each valid token: it may refuse them, since their session was revoked, or
    /// give them more claims. The client of one who is refused gets 401 without a reason. (C#: `OnTokenValidated`)
    ///
    /// It is asked on every request with a token, polls and sends included, so it had better be quick.
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

    /// Looks for the token elsewhere first, such as in a cookie. Where nothing is found, or an empty text, the query and the
    /// header count as ever. (C#: `OnMessageReceived`)
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

    /// How the `WWW-Authenticate` header of a 401 begins: `Bearer` by default. What is wrong follows behind it. C#:
    /// `Challenge`.
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
        #[cfg(feature = "oidc")]
        self.provider.as_ref().map_or(Ok(()), IdentityProvider::validate)?;
        let blank = |names: &[String]| names.iter().any(|name| name.trim().is_empty());
        if !self.keys.iter().all(SigningKey::is_usable) {
            Err(AuthConfigError::ShortSecret)
        } else if !self.any_issuer && (self.knows_no_issuer() || blank(&self.issuers)) {
            Err(AuthConfigError::NoIssuer)
        } else if !self.any_audience && (self.audiences.is_empty() || blank(&self.audiences)) {
            Err(AuthConfigError::NoAudience)
        } else if !self.algorithms.iter().all(|name| SigningKey::knows(name)) {
            Err(AuthConfigError::UnknownAlgorithm)
        } else {
            Ok(())
        }
    }

    fn knows_no_issuer(&self) -> bool {
        #[cfg(feature = "oidc")]
        if self.provider.is_some() {
            return false;
        }
        self.issuers.is_empty()
    }

    /// Who makes this request.
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

    /// The `WWW-Authenticate` header of a 401.
    pub(crate) fn www_authenticate_for(&self, failure: Option<&AuthError>) -> HeaderValue {
        challenge_header(&self.challenge, failure.filter(|_| self.include_error_details))
    }
}

/// Prints the options, but no keys.
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
    /// One of the algorithms is not known, so that no token could be signed with it.
    #[error("an algorithm of tokens is not known")]
    UnknownAlgorithm,
    /// The address of an identity provider is no HTTP URL.
    #[error("the address of the identity provider is no HTTP URL")]
    MetadataAddress,
    /// Keys would be fetched without TLS, so that whoever is on the way could give others.
    #[error("the address of the identity provider must use HTTPS, unless `require_https_metadata` is off")]
    InsecureMetadata,
    /// Keys would be fetched more often than every 5 minutes, or, when one is missed, than every second.
    #[error("the keys of the identity provider would be fetched too often")]
    ShortInterval,
    /// There is no certificate in the text of root certificates.
    #[error("there is no root certificate to trust the identity provider by")]
    NoRootCertificate,
}
