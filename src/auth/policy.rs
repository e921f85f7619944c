//! Authorization policies and their requirements.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::future::ready;
use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::user::User;
use crate::ordinal;

/// Requirements that a user must meet (C#: `AuthorizationPolicy`).
///
/// A policy allows a user that meets all its requirements. It denies every anonymous user unless
/// [`allow_anonymous`](Self::allow_anonymous) is set, so that an assertion written for authenticated
/// users does not allow unauthenticated clients by accident.
///
/// ```
/// # use signalr::auth::{Policy, User};
/// let policy = Policy::require_any_role(["Doctor", "Nurse"])
///     .and(Policy::require_claim("department", ["icu", "er"]))
///     .and(Policy::require_assertion(|user| !user.is_in_role("Suspended")));
/// assert!(policy.allows(&User::builder().role("Nurse").claim("department", "er").build()));
/// assert!(!policy.allows(&User::anonymous()));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a policy has no effect until a rule names it"]
pub struct Policy {
    requirements: Vec<Requirement>,
    allow_anonymous: bool,
    schemes: Vec<Cow<'static, str>>,
}

#[derive(Clone)]
enum Requirement {
    AnyRole(Vec<String>),
    Claim { claim_type: String, values: Option<Vec<String>> },
    UserName(String),
    Assertion(Arc<dyn Fn(&User) -> bool + Send + Sync>),
    Resource(Arc<ResourceCheck>),
    Async { check: Arc<AsyncCheck>, needs_resource: bool },
    AnyOf(Vec<Policy>),
}

type ResourceCheck = dyn Fn(&User, &dyn Any) -> bool + Send + Sync;

type AsyncCheck = dyn Fn(&User, Option<&Resource>) -> BoxFuture<'static, bool> + Send + Sync;

/// Resource of an authorization check, such as a call; shared with asynchronous requirements.
pub(crate) type Resource = Arc<dyn Any + Send + Sync>;

impl Policy {
    /// Requires an authenticated user (C#: `RequireAuthenticatedUser`).
    pub fn require_authenticated_user() -> Self {
        Self { requirements: Vec::new(), allow_anonymous: false, schemes: Vec::new() }
    }

    /// Requires a role, compared with case (C#: `RequireRole`).
    pub fn require_role(role: impl Into<String>) -> Self {
        Self::require_any_role([role])
    }

    /// Requires at least one of these roles (C#: `RequireRole` with several roles).
    ///
    /// An empty list denies every user, and [`build`](crate::hosting::Builder::build) fails.
    pub fn require_any_role<R: Into<String>>(roles: impl IntoIterator<Item = R>) -> Self {
        Self::of(Requirement::AnyRole(roles.into_iter().map(Into::into).collect()))
    }

    /// Requires a claim of this type with any value (C#: `RequireClaim` without values).
    ///
    /// The type is compared without case.
    pub fn require_claim_type(claim_type: impl Into<String>) -> Self {
        Self::of(Requirement::Claim { claim_type: claim_type.into(), values: None })
    }

    /// Requires a claim of this type with one of these values (C#: `RequireClaim`).
    ///
    /// The type is compared without case, the values with case. An empty list of values denies every
    /// user, and [`build`](crate::hosting::Builder::build) fails. C# allows any value then, as
    /// [`require_claim_type`](Self::require_claim_type) does, so that an empty list in a
    /// configuration allows too many users.
    pub fn require_claim<V: Into<String>>(claim_type: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        let values = Some(values.into_iter().map(Into::into).collect());
        Self::of(Requirement::Claim { claim_type: claim_type.into(), values })
    }

    /// Requires the user with this name, compared with case (C#: `RequireUserName`).
    pub fn require_user_name(name: impl Into<String>) -> Self {
        Self::of(Requirement::UserName(name.into()))
    }

    /// Requires that a predicate returns `true` for the user (C#: `RequireAssertion`).
    pub fn require_assertion(assertion: impl Fn(&User) -> bool + Send + Sync + 'static) -> Self {
        Self::of(Requirement::Assertion(Arc::new(assertion)))
    }

    /// Requires that a predicate returns `true` for the user and the resource; denies if there is no
    /// resource.
    pub(crate) fn require_resource(check: impl Fn(&User, &dyn Any) -> bool + Send + Sync + 'static) -> Self {
        Self::of(Requirement::Resource(Arc::new(check)))
    }

    /// Requires that an asynchronous predicate, such as a database lookup, returns `true` for the user
    /// (C#: an asynchronous `AuthorizationHandler`).
    ///
    /// A request waits for the predicate. A call waits too, and so do later calls of its connection;
    /// everything else on the connection continues. If the client disconnects, the predicate of a
    /// request or of a stream is dropped. The predicate of an ordinary call runs to its end, as a hub
    /// method does, and keeps the connection until then: it should take a bounded time. A panic
    /// rejects a request with 500 and a call with an error.
    ///
    /// ```
    /// # #[derive(Clone)]
    /// # struct Accounts;
    /// # impl Accounts { async fn is_active(&self, _: &str) -> bool { true } }
    /// use signalr::auth::Policy;
    ///
    /// # fn active(accounts: Accounts) -> Policy {
    /// Policy::require_assertion_async(move |user| {
    ///     let accounts = accounts.clone();
    ///     async move { accounts.is_active(user.id().unwrap_or_default()).await }
    /// })
    /// # }
    /// ```
    pub fn require_assertion_async<R>(assertion: impl Fn(User) -> R + Send + Sync + 'static) -> Self
    where
        R: Future<Output = bool> + Send + 'static,
    {
        let check: Arc<AsyncCheck> = Arc::new(move |user, _| Box::pin(assertion(user.clone())));
        Self::of(Requirement::Async { check, needs_resource: false })
    }

    /// Requires that an asynchronous predicate returns `true` for the user and the resource. `None` of
    /// `check` denies: the resource has another type.
    pub(crate) fn require_resource_async<R>(check: impl Fn(User, Resource) -> Option<R> + Send + Sync + 'static) -> Self
    where
        R: Future<Output = bool> + Send + 'static,
    {
        let check: Arc<AsyncCheck> = Arc::new(move |user, resource| {
            match resource.and_then(|resource| check(user.clone(), Arc::clone(resource))) {
                Some(check) => Box::pin(check),
                None => Box::pin(ready(false)),
            }
        });
        Self::of(Requirement::Async { check, needs_resource: true })
    }

    /// Requires that at least one of these policies allows the user.
    ///
    /// An empty list denies every user, and [`build`](crate::hosting::Builder::build) fails.
    pub fn any_of(policies: impl IntoIterator<Item = Self>) -> Self {
        // Each of the policies decides on anonymous users itself.
        let policies: Vec<Self> = policies.into_iter().collect();
        let schemes: Vec<_> = policies.iter().flat_map(|policy| policy.schemes.clone()).collect();
        Self::of(Requirement::AnyOf(policies)).allow_anonymous().schemes(schemes)
    }

    /// Requires that both policies allow the user.
    pub fn and(mut self, other: Self) -> Self {
        self.requirements.extend(other.requirements);
        self.allow_anonymous &= other.allow_anonymous;
        self.schemes(other.schemes)
    }

    /// Adds authentication schemes for paths that name this policy, as
    /// [`Authorize::schemes`](super::Authorize::schemes) does (C#:
    /// `AuthorizationPolicyBuilder(schemes)`).
    ///
    /// They have no effect on hub methods, as in ASP.NET Core: the connection is authenticated
    /// before a method is called.
    ///
    /// ```
    /// # use signalr::auth::Policy;
    /// let members = Policy::require_authenticated_user().schemes(["Bearer", "ApiKey"]);
    /// let builder = signalr::SignalR::builder().default_policy(members);
    /// # let _ = builder;
    /// ```
    pub fn schemes<S: Into<Cow<'static, str>>>(mut self, schemes: impl IntoIterator<Item = S>) -> Self {
        self.schemes.extend(schemes.into_iter().map(Into::into));
        self
    }

    pub(super) fn scheme_names(&self) -> impl Iterator<Item = &str> {
        self.schemes.iter().map(AsRef::as_ref)
    }

    /// Allows anonymous users that meet the requirements, as every policy of ASP.NET Core does.
    pub fn allow_anonymous(mut self) -> Self {
        self.allow_anonymous = true;
        self
    }

    /// Whether the policy allows this user, without a resource.
    ///
    /// [Asynchronous requirements](Self::require_assertion_async) count as not met; see
    /// [`allows_async`](Self::allows_async).
    pub fn allows(&self, user: &User) -> bool {
        self.allows_for(user, None) == Some(true)
    }

    /// Whether the policy allows this user, without a resource. Runs asynchronous requirements too.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the requirement that runs.
    pub async fn allows_async(&self, user: &User) -> bool {
        self.allows_for_async(user, None).await
    }

    /// Whether the policy allows this user access to `resource`; `None` if an asynchronous requirement
    /// decides.
    pub(super) fn allows_for(&self, user: &User, resource: Option<&Resource>) -> Option<bool> {
        if !self.allow_anonymous && !user.is_authenticated() {
            return Some(false);
        }
        all(self.requirements.iter().map(|requirement| requirement.is_met_by(user, resource)))
    }

    /// As [`allows_for`](Self::allows_for), with asynchronous requirements.
    pub(super) fn allows_for_async<'a>(
        &'a self,
        user: &'a User,
        resource: Option<&'a Resource>,
    ) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            if let Some(known) = self.allows_for(user, resource) {
                return known;
            }
            for requirement in &self.requirements {
                if !requirement.is_met_async(user, resource).await {
                    return false;
                }
            }
            true
        })
    }

    /// Whether a requirement examines the resource.
    pub(super) fn looks_at_resource(&self) -> bool {
        self.requirements.iter().any(Requirement::looks_at_resource)
    }

    /// Whether the policy denies every user if there is no resource.
    pub(super) fn needs_resource(&self) -> bool {
        self.requirements.iter().any(Requirement::needs_resource)
    }

    /// Whether the policy has a requirement that no user can meet.
    pub(super) fn is_impossible(&self) -> bool {
        self.requirements.iter().any(Requirement::is_impossible)
    }

    fn of(requirement: Requirement) -> Self {
        Self { requirements: vec![requirement], ..Self::require_authenticated_user() }
    }
}

impl Requirement {
    /// `None` if an asynchronous requirement decides.
    fn is_met_by(&self, user: &User, resource: Option<&Resource>) -> Option<bool> {
        Some(match self {
            Self::AnyRole(roles) => roles.iter().any(|role| user.is_in_role(role)),
            // aspnet: ClaimsAuthorizationRequirement.cs ignores the case of the type, unlike ClaimsPrincipal.
            Self::Claim { claim_type, values } => user
                .all_claims()
                .filter(|claim| ordinal::eq(claim.claim_type(), claim_type))
                .any(|claim| values.as_ref().is_none_or(|values| values.iter().any(|value| value == claim.value()))),
            Self::UserName(name) => user.identity_names().any(|known| known == Some(name)),
            Self::Assertion(assertion) => assertion(user),
            Self::Resource(check) => resource.is_some_and(|resource| check(user, &**resource)),
            Self::Async { .. } => return None,
            Self::AnyOf(policies) => {
                let refuses = |policy: &Policy| policy.allows_for(user, resource).map(|allows| !allows);
                !all(policies.iter().map(refuses))?
            }
        })
    }

    async fn is_met_async(&self, user: &User, resource: Option<&Resource>) -> bool {
        match self {
            Self::Async { check, .. } => check(user, resource).await,
            Self::AnyOf(policies) => {
                for policy in policies {
                    if policy.allows_for_async(user, resource).await {
                        return true;
                    }
                }
                false
            }
            _ => self.is_met_by(user, resource) == Some(true),
        }
    }

    fn looks_at_resource(&self) -> bool {
        match self {
            Self::Resource(_) => true,
            Self::Async { needs_resource, .. } => *needs_resource,
            Self::AnyOf(policies) => policies.iter().any(Policy::looks_at_resource),
            _ => false,
        }
    }

    fn needs_resource(&self) -> bool {
        match self {
            Self::AnyOf(policies) => policies.iter().all(Policy::needs_resource),
            _ => self.looks_at_resource(),
        }
    }

    fn is_impossible(&self) -> bool {
        match self {
            Self::AnyRole(roles) => roles.is_empty(),
            Self::Claim { values, .. } => values.as_ref().is_some_and(Vec::is_empty),
            Self::AnyOf(policies) => policies.is_empty() || policies.iter().any(Policy::is_impossible),
            Self::UserName(_) | Self::Assertion(_) | Self::Resource(_) | Self::Async { .. } => false,
        }
    }
}

impl fmt::Debug for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyRole(roles) => f.debug_tuple("AnyRole").field(roles).finish(),
            Self::Claim { claim_type, values: None } => f.debug_tuple("HasClaim").field(claim_type).finish(),
            Self::Claim { claim_type, values: Some(values) } => {
                f.debug_tuple("Claim").field(claim_type).field(values).finish()
            }
            Self::UserName(name) => f.debug_tuple("UserName").field(name).finish(),
            Self::Assertion(_) => f.write_str("Assertion"),
            Self::Resource(_) => f.write_str("Resource"),
            Self::Async { .. } => f.write_str("Async"),
            Self::AnyOf(policies) => f.debug_tuple("AnyOf").field(policies).finish(),
        }
    }
}

/// Conjunction of outcomes: `Some(false)` decides it, and `None` (not decided yet) leaves it undecided.
pub(super) fn all(known: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for one in known {
        match one {
            Some(true) => {}
            Some(false) => return one,
            None => all = None,
        }
    }
    all
}
