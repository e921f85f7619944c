//! Authentication schemes: they authenticate requests, and they challenge or forbid them.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use http::header::{LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::auth_error::AuthError;
use super::authorize::PolicyError;
use super::jwt::{AuthConfigError, JwtBearer};
use super::request::AuthRequest;
use super::user::User;

/// Authentication scheme (C#: `AuthenticationHandler<TOptions>`).
///
/// It runs for each request to an endpoint: negotiate, and every request of a transport. A panic
/// produces the status 500.
///
/// ```
/// use std::collections::HashMap;
///
/// use signalr::SignalR;
/// use signalr::auth::{AuthError, AuthRequest, Authentication, Authenticator, User};
///
/// /// Sessions of the application by the value of their cookie.
/// struct Sessions(HashMap<String, User>);
///
/// impl Authenticator for Sessions {
///     async fn authenticate(&self, request: &AuthRequest<'_>) -> Authentication {
///         let Some(session) = request.cookie("session") else { return Authentication::Anonymous };
///         match self.0.get(&*session) {
///             Some(user) => Authentication::Authenticated(user.clone()),
///             None => Authentication::Failed(AuthError::new("unknown session")),
///         }
///     }
/// }
///
/// let builder = SignalR::builder().scheme("Sessions", Sessions(HashMap::new()));
/// # let _ = builder;
/// ```
///
/// Functions implement it too, and so do `async` closures without captures:
///
/// ```
/// use signalr::SignalR;
/// use signalr::auth::{AuthRequest, Authentication, User};
///
/// async fn user_of_gateway(request: &AuthRequest<'_>) -> Authentication {
///     match request.extension::<User>() {
///         Some(user) => Authentication::Authenticated(user.clone()),
///         None => Authentication::Anonymous,
///     }
/// }
///
/// let builder = SignalR::builder().scheme("Gateway", user_of_gateway);
/// # let _ = builder;
/// ```
pub trait Authenticator: Send + Sync + 'static {
    /// Authenticates a request (C#: `HandleAuthenticateAsync`).
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the client disconnects.
    fn authenticate(&self, request: &AuthRequest<'_>) -> impl Future<Output = Authentication> + Send;

    /// Response to a request that needs an authenticated user and has none: 401 by default (C#:
    /// `HandleChallengeAsync`). `failure` is the failure of this scheme.
    fn challenge(&self, request: &AuthRequest<'_>, failure: Option<&AuthError>) -> AuthRejection {
        let _ = (request, failure);
        AuthRejection::unauthorized()
    }

    /// Response to a request that its user is not allowed to make: 403 by default (C#:
    /// `HandleForbiddenAsync`).
    fn forbid(&self, request: &AuthRequest<'_>) -> AuthRejection {
        let _ = request;
        AuthRejection::forbidden()
    }

    /// Checks the options of the scheme when the server is built. `Ok` by default.
    ///
    /// # Errors
    ///
    /// If the scheme could never authenticate a request.
    fn validate(&self) -> Result<(), AuthConfigError> {
        Ok(())
    }
}

/// Result of authenticating a request (C#: `AuthenticateResult`).
///
/// ```
/// use signalr::auth::Authentication;
///
/// fn outcome(authentication: &Authentication) -> &'static str {
///     match authentication {
///         Authentication::Authenticated(_) => "authenticated",
///         Authentication::Failed(_) => "failed",
///         _ => "anonymous",
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Authentication {
    /// The request has no credentials of this scheme (C#: `NoResult`).
    Anonymous,
    /// The credentials are invalid (C#: `Fail`). The request is anonymous unless it needs
    /// authorization.
    Failed(AuthError),
    /// The credentials are valid (C#: `Success`).
    Authenticated(User),
}

impl Authentication {
    /// User of the request; anonymous unless it is authenticated.
    pub fn user(&self) -> User {
        match self {
            Self::Authenticated(user) => user.clone(),
            Self::Anonymous | Self::Failed(_) => User::anonymous(),
        }
    }

    /// Failure, if the credentials are invalid.
    pub fn failure(&self) -> Option<&AuthError> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Anonymous | Self::Authenticated(_) => None,
        }
    }
}

/// Response that rejects a request: a status and headers, without a body.
///
/// ```
/// use http::HeaderValue;
/// use signalr::auth::AuthRejection;
///
/// let basic = AuthRejection::unauthorized().www_authenticate(HeaderValue::from_static("Basic realm=\"wards\""));
/// let login = AuthRejection::redirect(HeaderValue::from_static("/login"));
/// # let _ = (basic, login);
/// ```
#[derive(Clone)]
pub struct AuthRejection {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

impl AuthRejection {
    /// 401 Unauthorized: the request is not authenticated.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED)
    }

    /// 403 Forbidden: the user is authenticated and not allowed.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN)
    }

    /// 302 Found, to a login page, as cookie authentication in C# responds. SignalR clients do not
    /// follow it to a login; 401 is the better status for them.
    pub fn redirect(location: HeaderValue) -> Self {
        Self::new(StatusCode::FOUND).header(LOCATION, location)
    }

    /// Any other status.
    pub fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new() }
    }

    /// Adds a `WWW-Authenticate` header with the challenge.
    pub fn www_authenticate(self, challenge: HeaderValue) -> Self {
        self.header(WWW_AUTHENTICATE, challenge)
    }

    /// Adds a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Merges two rejections: headers of both, status of the second.
    pub(super) fn and(mut self, second: &Self) -> Self {
        for (name, value) in &second.headers {
            self.headers.append(name, value.clone());
        }
        Self { status: second.status, ..self }
    }
}

/// Prints no values of headers, since they may hold cookies.
impl fmt::Debug for AuthRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().collect();
        f.debug_struct("AuthRejection").field("status", &self.status).field("headers", &headers).finish()
    }
}

impl Authenticator for JwtBearer {
    async fn authenticate(&self, request: &AuthRequest<'_>) -> Authentication {
        self.authenticate(request).await
    }

    fn challenge(&self, _: &AuthRequest<'_>, failure: Option<&AuthError>) -> AuthRejection {
        AuthRejection::unauthorized().www_authenticate(self.www_authenticate_for(failure))
    }

    fn validate(&self) -> Result<(), AuthConfigError> {
        self.validate()
    }
}

/// Forwards to a shared authenticator.
impl<A: Authenticator> Authenticator for Arc<A> {
    fn authenticate(&self, request: &AuthRequest<'_>) -> impl Future<Output = Authentication> + Send {
        A::authenticate(self, request)
    }

    fn challenge(&self, request: &AuthRequest<'_>, failure: Option<&AuthError>) -> AuthRejection {
        A::challenge(self, request, failure)
    }

    fn forbid(&self, request: &AuthRequest<'_>) -> AuthRejection {
        A::forbid(self, request)
    }

    fn validate(&self) -> Result<(), AuthConfigError> {
        A::validate(self)
    }
}

impl<F> Authenticator for F
where
    F: for<'a> AuthenticateFn<'a> + Send + Sync + 'static,
{
    fn authenticate(&self, request: &AuthRequest<'_>) -> impl Future<Output = Authentication> + Send {
        self.call(request)
    }
}

/// Function of a request; names its future for each lifetime.
#[doc(hidden)]
pub trait AuthenticateFn<'a> {
    #[doc(hidden)]
    type Future: Future<Output = Authentication> + Send + 'a;

    #[doc(hidden)]
    fn call(&self, request: &'a AuthRequest<'a>) -> Self::Future;
}

impl<'a, F, R> AuthenticateFn<'a> for F
where
    F: Fn(&'a AuthRequest<'a>) -> R,
    R: Future<Output = Authentication> + Send + 'a,
{
    type Future = R;

    fn call(&self, request: &'a AuthRequest<'a>) -> R {
        self(request)
    }
}

/// Type-erased [`Authenticator`].
trait AnyAuthenticator: Send + Sync {
    fn authenticate<'a>(&'a self, request: &'a AuthRequest<'_>) -> BoxFuture<'a, Authentication>;
    fn challenge(&self, request: &AuthRequest<'_>, failure: Option<&AuthError>) -> AuthRejection;
    fn forbid(&self, request: &AuthRequest<'_>) -> AuthRejection;
    fn validate(&self) -> Result<(), AuthConfigError>;
}

impl<A: Authenticator> AnyAuthenticator for A {
    fn authenticate<'a>(&'a self, request: &'a AuthRequest<'_>) -> BoxFuture<'a, Authentication> {
        Box::pin(self.authenticate(request))
    }

    fn challenge(&self, request: &AuthRequest<'_>, failure: Option<&AuthError>) -> AuthRejection {
        self.challenge(request, failure)
    }

    fn forbid(&self, request: &AuthRequest<'_>) -> AuthRejection {
        self.forbid(request)
    }

    fn validate(&self) -> Result<(), AuthConfigError> {
        self.validate()
    }
}

/// Schemes of a server, in order. The first is the default.
#[derive(Default)]
pub(crate) struct Schemes {
    all: Vec<Scheme>,
    /// `TestHost` sets the user of a request, whatever schemes there are.
    trusts_test_users: bool,
}

struct Scheme {
    name: Cow<'static, str>,
    authenticator: Box<dyn AnyAuthenticator>,
}

/// Result of all schemes that authenticated a request.
#[derive(Debug, Default)]
pub(crate) struct AuthenticationResult {
    pub(crate) user: User,
    /// Failures by the index of their scheme.
    failures: Vec<(usize, AuthError)>,
}

impl Schemes {
    pub(crate) fn add(&mut self, name: impl Into<Cow<'static, str>>, authenticator: impl Authenticator) {
        self.all.push(Scheme { name: name.into(), authenticator: Box::new(authenticator) });
    }

    /// Accepts users that `TestHost` sets.
    #[cfg(feature = "testing")]
    pub(crate) fn trust_test_users(&mut self) {
        self.trusts_test_users = true;
    }

    /// Whether a request can be authenticated.
    pub(crate) fn is_configured(&self) -> bool {
        !self.all.is_empty() || self.trusts_test_users
    }

    /// Checks the options of all schemes.
    pub(crate) fn validate(&self) -> Result<(), AuthConfigError> {
        self.all.iter().try_for_each(|scheme| scheme.authenticator.validate())
    }

    /// First name that two schemes have, compared with case as in ASP.NET Core.
    pub(crate) fn duplicate(&self) -> Option<&str> {
        let names = || self.all.iter().map(|scheme| &*scheme.name);
        names().enumerate().find(|(at, name)| names().take(*at).any(|earlier| earlier == *name)).map(|(_, name)| name)
    }

    /// Indices of the schemes with these names, each once.
    pub(super) fn resolve<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<Vec<usize>, PolicyError> {
        let mut found = Vec::new();
        for name in names {
            match self.all.iter().position(|scheme| scheme.name == name) {
                Some(at) if found.contains(&at) => {}
                Some(at) => found.push(at),
                None if self.trusts_test_users => {}
                None => return Err(PolicyError::UnknownScheme { name: name.to_owned() }),
            }
        }
        Ok(found)
    }

    /// Authenticates a request by all chosen schemes and merges their users (`aspnet:
    /// PolicyEvaluator.cs`, `AuthenticateAsync`). If no scheme is chosen, schemes run in order until
    /// one authenticates the request.
    pub(crate) async fn authenticate(&self, request: &AuthRequest<'_>, chosen: &[usize]) -> AuthenticationResult {
        let mut result = AuthenticationResult::default();
        for (at, scheme) in self.authenticating(chosen) {
            match scheme.authenticator.authenticate(request).await {
                Authentication::Authenticated(user) => result.user = user.and(&result.user),
                Authentication::Failed(failure) => {
                    tracing::debug!(target: "signalr::connection", scheme = &*scheme.name, %failure, "authentication failed");
                    result.failures.push((at, failure));
                }
                Authentication::Anonymous => {}
            }
            if chosen.is_empty() && result.user.is_authenticated() {
                break;
            }
        }
        result
    }

    /// Rejects a request that is not authenticated: by the chosen schemes together, or by the default
    /// scheme.
    pub(crate) fn challenge(
        &self,
        request: &AuthRequest<'_>,
        chosen: &[usize],
        result: &AuthenticationResult,
    ) -> AuthRejection {
        let rejections = self.rejecting(chosen).map(|(at, scheme)| {
            let failure = result.failures.iter().find(|(failed, _)| *failed == at).map(|(_, failure)| failure);
            scheme.authenticator.challenge(request, failure)
        });
        rejections.reduce(|first, second| first.and(&second)).unwrap_or_else(AuthRejection::unauthorized)
    }

    /// Rejects a request that its user is not allowed to make.
    pub(crate) fn forbid(&self, request: &AuthRequest<'_>, chosen: &[usize]) -> AuthRejection {
        let rejections = self.rejecting(chosen).map(|(_, scheme)| scheme.authenticator.forbid(request));
        rejections.reduce(|first, second| first.and(&second)).unwrap_or_else(AuthRejection::forbidden)
    }

    /// Chosen schemes, or all.
    fn authenticating(&self, chosen: &[usize]) -> impl Iterator<Item = (usize, &Scheme)> {
        let all = if chosen.is_empty() { 0..self.all.len() } else { 0..0 };
        all.chain(chosen.iter().copied()).map(|at| (at, &self.all[at]))
    }

    /// Chosen schemes, or the default.
    fn rejecting(&self, chosen: &[usize]) -> impl Iterator<Item = (usize, &Scheme)> {
        self.authenticating(chosen).take(if chosen.is_empty() { 1 } else { chosen.len() })
    }
}

impl AuthenticationResult {
    /// Whether the request has no credentials of any scheme.
    pub(crate) fn is_anonymous(&self) -> bool {
        !self.user.is_authenticated() && self.failures.is_empty()
    }

    /// User that `TestHost` set.
    #[cfg(feature = "testing")]
    pub(crate) fn of_test_user(user: User) -> Self {
        Self { user, failures: Vec::new() }
    }
}

/// Prints the names only.
impl fmt::Debug for Schemes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.iter().map(|scheme| &scheme.name)).finish()
    }
}
