//! Ways to tell who sends a request, and how each says no.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::header::{LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::auth_error::AuthError;
use super::authorize::PolicyError;
use super::jwt::{AuthConfigError, JwtBearer};
use super::request::AuthRequest;
use super::user::User;
use crate::future::BoxFuture;

/// A way to tell who sends a request: an authentication scheme (C#: `AuthenticationHandler<TOptions>`).
///
/// It is asked on every request to an endpoint: negotiate, and each request of a transport. A panic in it answers 500.
///
/// ```
/// use std::collections::HashMap;
///
/// use signalr::SignalR;
/// use signalr::auth::{AuthError, AuthRequest, Authentication, Authenticator, User};
///
/// /// Sessions that the application keeps, by the cookie that it gave to the browser.
/// struct Sessions(HashMap<String, User>);
///
/// impl Authenticator for Sessions {
///     async fn authenticate(&self, request: &AuthRequest<'_>) -> Authentication {
///         let Some(session) = request.cookie("session") else { return Authentication::Anonymous };
///         match self.0.get(&*session) {
///             Some(user) => Authentication::Authenticated(user.clone()),
///             None => Authentication::Failed(AuthError::new("there is no such session")),
///         }
///     }
/// }
///
/// let builder = SignalR::builder().scheme("Sessions", Sessions(HashMap::new()));
/// # let _ = builder;
/// ```
///
/// A function is one, too, and an `async` closure that keeps nothing:
///
/// ```
/// use signalr::SignalR;
/// use signalr::auth::{AuthRequest, Authentication, User};
///
/// async fn from_the_gateway(request: &AuthRequest<'_>) -> Authentication {
///     match request.extension::<User>() {
///         Some(user) => Authentication::Authenticated(user.clone()),
///         None => Authentication::Anonymous,
///     }
/// }
///
/// let builder = SignalR::builder().scheme("Gateway", from_the_gateway);
/// # let _ = builder;
/// ```
pub trait Authenticator: Send + Sync + 'static {
    /// Who sends this request (C#: `HandleAuthenticateAsync`).
    ///
    /// # Cancel safety
    ///
    /// It is dropped where it waits when the client leaves.
    fn authenticate(&self, request: &AuthRequest<'_>) -> impl Future<Output = Authentication> + Send;

    /// The answer to a request that needs a user and has none: 401 by default (C#: `HandleChallengeAsync`). `failure` is
    /// this scheme's own.
    fn challenge(&self, request: &AuthRequest<'_>, failure: Option<&AuthError>) -> AuthRejection {
        let _ = (request, failure);
        AuthRejection::unauthorized()
    }

    /// The answer to a request whose user may not do this: 403 by default (C#: `HandleForbiddenAsync`).
    fn forbid(&self, request: &AuthRequest<'_>) -> AuthRejection {
        let _ = request;
        AuthRejection::forbidden()
    }

    /// Finds what is wrong with its options: nothing by default. Building a server asks for it.
    ///
    /// # Errors
    ///
    /// When it could never work.
    fn validate(&self) -> Result<(), AuthConfigError> {
        Ok(())
    }
}

/// What a scheme says of a request (C#: `AuthenticateResult`).
///
/// ```
/// use signalr::auth::Authentication;
///
/// fn told(authentication: &Authentication) -> &'static str {
///     match authentication {
///         Authentication::Authenticated(_) => "somebody",
///         Authentication::Failed(_) => "refused",
///         _ => "nobody",
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Authentication {
    /// There is nothing in it that this scheme knows (C#: `NoResult`).
    Anonymous,
    /// There is, and it does not hold (C#: `Fail`). Where nothing asks for a user the request is anonymous.
    Failed(AuthError),
    /// It names a user (C#: `Success`).
    Authenticated(User),
}

impl Authentication {
    /// The user: anonymous unless one is named.
    pub fn user(&self) -> User {
        match self {
            Self::Authenticated(user) => user.clone(),
            Self::Anonymous | Self::Failed(_) => User::anonymous(),
        }
    }

    /// Why what stood in the request was refused, if it was.
    pub fn failure(&self) -> Option<&AuthError> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Anonymous | Self::Authenticated(_) => None,
        }
    }
}

/// How a request is refused: a status and headers, without a body.
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
    /// 401: who is it?
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED)
    }

    /// 403: known, and not allowed.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN)
    }

    /// 302 to where a user may sign in, as the cookies of C# do. Clients of SignalR cannot: for them 401 says more.
    pub fn redirect(location: HeaderValue) -> Self {
        Self::new(StatusCode::FOUND).header(LOCATION, location)
    }

    /// Any other status.
    pub fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new() }
    }

    /// Adds a `WWW-Authenticate` header, which says how to do better.
    pub fn www_authenticate(self, challenge: HeaderValue) -> Self {
        self.header(WWW_AUTHENTICATE, challenge)
    }

    /// Adds a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// One after the other: the headers of both, and the status of the second.
    pub(super) fn and(mut self, second: &Self) -> Self {
        for (name, value) in &second.headers {
            self.headers.append(name, value.clone());
        }
        Self { status: second.status, ..self }
    }
}

/// Without the values of headers, among which may be cookies.
impl fmt::Debug for AuthRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.keys().collect();
        f.debug_struct("Refusal").field("status", &self.status).field("headers", &headers).finish()
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

/// One that somebody else has, too.
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

/// A function of a request: names what it returns for each lifetime.
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

/// An authenticator whose type is forgotten.
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

/// The schemes of a server, in order. The first is the default.
#[derive(Default)]
pub(crate) struct Schemes {
    all: Vec<Scheme>,
    /// Tests tell who sends a request, whatever schemes there are.
    knows_users: bool,
}

struct Scheme {
    name: Cow<'static, str>,
    authenticator: Box<dyn AnyAuthenticator>,
}

/// Who sends a request, as far as the schemes tell.
#[derive(Debug, Default)]
pub(crate) struct Identified {
    pub(crate) user: User,
    /// Why schemes refused what stood in the request.
    failures: Vec<(usize, AuthError)>,
}

impl Schemes {
    pub(crate) fn add(&mut self, name: impl Into<Cow<'static, str>>, authenticator: impl Authenticator) {
        self.all.push(Scheme { name: name.into(), authenticator: Box::new(authenticator) });
    }

    /// Users are told from now on.
    #[cfg(feature = "testing")]
    pub(crate) fn know_users(&mut self) {
        self.knows_users = true;
    }

    /// Whether anybody can be known.
    pub(crate) fn can_tell(&self) -> bool {
        !self.all.is_empty() || self.knows_users
    }

    /// Finds what is wrong with any of them.
    pub(crate) fn validate(&self) -> Result<(), AuthConfigError> {
        self.all.iter().try_for_each(|scheme| scheme.authenticator.validate())
    }

    /// The first name that two of them have. Case counts, as in ASP.NET.
    pub(crate) fn duplicate(&self) -> Option<&str> {
        let names = || self.all.iter().map(|scheme| &*scheme.name);
        names().enumerate().find(|(at, name)| names().take(*at).any(|earlier| earlier == *name)).map(|(_, name)| name)
    }

    /// The schemes of these names, each once.
    pub(super) fn resolve<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<Vec<usize>, PolicyError> {
        let mut found = Vec::new();
        for name in names {
            match self.all.iter().position(|scheme| scheme.name == name) {
                Some(at) if found.contains(&at) => {}
                Some(at) => found.push(at),
                None if self.knows_users => {}
                None => return Err(PolicyError::UnknownScheme { name: name.to_owned() }),
            }
        }
        Ok(found)
    }

    /// Asks the chosen schemes, all of them, and takes what they say together. If none are chosen, the first that knows the
    /// user is the last to be asked. (`aspnet: PolicyEvaluator.cs`, `AuthenticateAsync`)
    pub(crate) async fn authenticate(&self, request: &AuthRequest<'_>, chosen: &[usize]) -> Identified {
        let mut identified = Identified::default();
        for (at, scheme) in self.asked(chosen) {
            match scheme.authenticator.authenticate(request).await {
                Authentication::Authenticated(user) => identified.user = user.and(&identified.user),
                Authentication::Failed(failure) => {
                    tracing::debug!(target: "signalr::connection", scheme = &*scheme.name, %failure, "not authenticated");
                    identified.failures.push((at, failure));
                }
                Authentication::Anonymous => {}
            }
            if chosen.is_empty() && identified.user.is_authenticated() {
                break;
            }
        }
        identified
    }

    /// The refusal of a request without a user: that of the default scheme, or those of the chosen ones together.
    pub(crate) fn challenge(
        &self,
        request: &AuthRequest<'_>,
        chosen: &[usize],
        identified: &Identified,
    ) -> AuthRejection {
        let refusals = self.refusing(chosen).map(|(at, scheme)| {
            let failure = identified.failures.iter().find(|(failed, _)| *failed == at).map(|(_, failure)| failure);
            scheme.authenticator.challenge(request, failure)
        });
        refusals.reduce(|first, second| first.and(&second)).unwrap_or_else(AuthRejection::unauthorized)
    }

    /// The refusal of a request whose user is not allowed to make it.
    pub(crate) fn forbid(&self, request: &AuthRequest<'_>, chosen: &[usize]) -> AuthRejection {
        let refusals = self.refusing(chosen).map(|(_, scheme)| scheme.authenticator.forbid(request));
        refusals.reduce(|first, second| first.and(&second)).unwrap_or_else(AuthRejection::forbidden)
    }

    /// The chosen ones, or all.
    fn asked(&self, chosen: &[usize]) -> impl Iterator<Item = (usize, &Scheme)> {
        let all = if chosen.is_empty() { 0..self.all.len() } else { 0..0 };
        all.chain(chosen.iter().copied()).map(|at| (at, &self.all[at]))
    }

    /// The chosen ones, or the default.
    fn refusing(&self, chosen: &[usize]) -> impl Iterator<Item = (usize, &Scheme)> {
        self.asked(chosen).take(if chosen.is_empty() { 1 } else { chosen.len() })
    }
}

impl Identified {
    /// Whether no scheme knew anything that stood in the request.
    pub(crate) fn has_found_nothing(&self) -> bool {
        !self.user.is_authenticated() && self.failures.is_empty()
    }

    /// Told, and not found out.
    #[cfg(feature = "testing")]
    pub(crate) fn known(user: User) -> Self {
        Self { user, failures: Vec::new() }
    }
}

/// The names, and nothing of what they keep.
impl fmt::Debug for Schemes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.iter().map(|scheme| &scheme.name)).finish()
    }
}
