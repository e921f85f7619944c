//! What users must be or have.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::future::ready;
use std::sync::Arc;

use super::user::User;
use crate::future::BoxFuture;
use crate::ordinal;

/// A condition on users; ASP.NET's `AuthorizationPolicy`.
///
/// A policy holds when all its requirements do. It never holds for an anonymous user, unless it says
/// [`allow_anonymous`](Self::allow_anonymous): an assertion written for known users must not let strangers in by accident.
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
#[must_use = "a policy does nothing until something asks for it"]
pub struct Policy {
    requirements: Vec<Requirement>,
    anonymous_ok: bool,
    schemes: Vec<Cow<'static, str>>,
}

#[derive(Clone)]
enum Requirement {
    AnyRole(Vec<String>),
    Claim { claim_type: String, values: Option<Vec<String>> },
    UserName(String),
    Assertion(Arc<dyn Fn(&User) -> bool + Send + Sync>),
    Resource(Arc<MayHave>),
    Later { check: Arc<MayHaveLater>, needs_resource: bool },
    AnyOf(Vec<Policy>),
}

type MayHave = dyn Fn(&User, &dyn Any) -> bool + Send + Sync;

type MayHaveLater = dyn Fn(&User, Option<&Resource>) -> BoxFuture<'static, bool> + Send + Sync;

/// What a user asks for, kept until it is known whether they may have it.
pub(crate) type Resource = Arc<dyn Any + Send + Sync>;

impl Policy {
    /// Any authenticated user. C#: `RequireAuthenticatedUser`.
    pub fn require_authenticated_user() -> Self {
        Self { requirements: Vec::new(), anonymous_ok: false, schemes: Vec::new() }
    }

    /// Users in this role; case counts. C#: `RequireRole`.
    pub fn require_role(role: impl Into<String>) -> Self {
        Self::require_any_role([role])
    }

    /// Users in at least one of these roles. C#: `RequireRole` with several.
    ///
    /// Without any role it holds for nobody, and building the server reports it.
    pub fn require_any_role<R: Into<String>>(roles: impl IntoIterator<Item = R>) -> Self {
        Self::of(Requirement::AnyRole(roles.into_iter().map(Into::into).collect()))
    }

    /// Users with a claim of this type, of whatever value. C#: `RequireClaim` without values.
    ///
    /// The case of the type does not count.
    pub fn require_claim_type(claim_type: impl Into<String>) -> Self {
        Self::of(Requirement::Claim { claim_type: claim_type.into(), values: None })
    }

    /// Users with a claim of this type and one of these values. C#: `RequireClaim`.
    ///
    /// The case of the type does not count, that of the values does. Without any value it holds for nobody, and
    /// building the server reports it; C# takes that for [`require_claim_type`](Self::require_claim_type), which opens the door when a
    /// list from the configuration is empty.
    pub fn require_claim<V: Into<String>>(claim_type: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        let values = Some(values.into_iter().map(Into::into).collect());
        Self::of(Requirement::Claim { claim_type: claim_type.into(), values })
    }

    /// The user of this name; case counts. C#: `RequireUserName`.
    pub fn require_user_name(name: impl Into<String>) -> Self {
        Self::of(Requirement::UserName(name.into()))
    }

    /// Users of whom this is true. C#: `RequireAssertion`.
    pub fn require_assertion(assertion: impl Fn(&User) -> bool + Send + Sync + 'static) -> Self {
        Self::of(Requirement::Assertion(Arc::new(assertion)))
    }

    /// Users of whom this is true, with what they ask for. Never true where that is nothing in particular.
    pub(crate) fn require_resource(check: impl Fn(&User, &dyn Any) -> bool + Send + Sync + 'static) -> Self {
        Self::of(Requirement::Resource(Arc::new(check)))
    }

    /// Users of whom this turns out to be true: it may ask a database first. C#: an asynchronous `AuthorizationHandler`.
    ///
    /// Requests wait for it, and so do the calls of a connection that are behind one which waits; what else the connection
    /// does goes on. When the client leaves, it is dropped where it is for a request and for a stream. For an ordinary call
    /// it goes on, as the method would, and the connection is there until it is done: let it take a bounded time. A panic in
    /// it refuses: with 500 to connect, with an error to call.
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
        let check: Arc<MayHaveLater> = Arc::new(move |user, _| Box::pin(assertion(user.clone())));
        Self::of(Requirement::Later { check, needs_resource: false })
    }

    /// Users of whom this turns out to be true, with what they ask for. `None`, and never true, where that is nothing that
    /// the check knows.
    pub(crate) fn require_resource_async<R>(check: impl Fn(User, Resource) -> Option<R> + Send + Sync + 'static) -> Self
    where
        R: Future<Output = bool> + Send + 'static,
    {
        let check: Arc<MayHaveLater> = Arc::new(move |user, resource| {
            match resource.and_then(|resource| check(user.clone(), Arc::clone(resource))) {
                Some(check) => Box::pin(check),
                None => Box::pin(ready(false)),
            }
        });
        Self::of(Requirement::Later { check, needs_resource: true })
    }

    /// Users whom at least one of these policies allows.
    ///
    /// Without any policy it holds for nobody, and building the server reports it.
    pub fn any_of(policies: impl IntoIterator<Item = Self>) -> Self {
        // Whether strangers may pass is for each of the policies to say.
        let policies: Vec<Self> = policies.into_iter().collect();
        let schemes: Vec<_> = policies.iter().flat_map(|policy| policy.schemes.clone()).collect();
        Self::of(Requirement::AnyOf(policies)).allow_anonymous().schemes(schemes)
    }

    /// Users whom both policies allow.
    pub fn and(mut self, other: Self) -> Self {
        self.requirements.extend(other.requirements);
        self.anonymous_ok &= other.anonymous_ok;
        self.schemes(other.schemes)
    }

    /// Which schemes tell who the user is where a path asks for this policy, as if its rule named
    /// [them](super::Authorize::schemes). On methods they do not count, as in ASP.NET: the user is known by then. (C#:
    /// `AuthorizationPolicyBuilder(schemes)`)
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

    /// Lets anonymous users pass too, if they meet the requirements, as every policy of ASP.NET does.
    pub fn allow_anonymous(mut self) -> Self {
        self.anonymous_ok = true;
        self
    }

    /// Whether this user meets the policy, whatever for. What takes [time](Self::require_assertion_async) to find out counts as not
    /// met; see [`allows_async`](Self::allows_async).
    pub fn allows(&self, user: &User) -> bool {
        self.allows_for(user, None) == Some(true)
    }

    /// Whether this user meets the policy, whatever for, also if that takes time to find out.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is complete, its checks are dropped where they are.
    pub async fn allows_async(&self, user: &User) -> bool {
        self.allows_later(user, None).await
    }

    /// Whether this user meets the policy to get at `resource`; `None` if that takes time to find out.
    pub(super) fn allows_for(&self, user: &User, resource: Option<&Resource>) -> Option<bool> {
        if !self.anonymous_ok && !user.is_authenticated() {
            return Some(false);
        }
        all(self.requirements.iter().map(|requirement| requirement.is_met_by(user, resource)))
    }

    /// The same, with the time that it takes.
    pub(super) fn allows_later<'a>(&'a self, user: &'a User, resource: Option<&'a Resource>) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            if let Some(known) = self.allows_for(user, resource) {
                return known;
            }
            for requirement in &self.requirements {
                if !requirement.is_met_later(user, resource).await {
                    return false;
                }
            }
            true
        })
    }

    /// Whether it matters what the user asks for.
    pub(super) fn looks_at_resource(&self) -> bool {
        self.requirements.iter().any(Requirement::looks_at_resource)
    }

    /// Whether nobody can meet the policy without asking for something.
    pub(super) fn needs_resource(&self) -> bool {
        self.requirements.iter().any(Requirement::needs_resource)
    }

    /// Whether the policy has a requirement that nobody can meet.
    pub(super) fn is_impossible(&self) -> bool {
        self.requirements.iter().any(Requirement::is_impossible)
    }

    fn of(requirement: Requirement) -> Self {
        Self { requirements: vec![requirement], ..Self::require_authenticated_user() }
    }
}

impl Requirement {
    /// `None` if that takes time to find out.
    fn is_met_by(&self, user: &User, resource: Option<&Resource>) -> Option<bool> {
        Some(match self {
            Self::AnyRole(roles) => roles.iter().any(|role| user.is_in_role(role)),
            // aspnet: ClaimsAuthorizationRequirement.cs ignores the case of the type, as the principal does not.
            Self::Claim { claim_type, values } => user
                .all_claims()
                .filter(|claim| ordinal::eq(claim.claim_type(), claim_type))
                .any(|claim| values.as_ref().is_none_or(|values| values.iter().any(|value| value == claim.value()))),
            Self::UserName(name) => user.identity_names().any(|known| known == Some(name)),
            Self::Assertion(assertion) => assertion(user),
            Self::Resource(check) => resource.is_some_and(|resource| check(user, &**resource)),
            Self::Later { .. } => return None,
            Self::AnyOf(policies) => {
                let refuses = |policy: &Policy| policy.allows_for(user, resource).map(|allows| !allows);
                !all(policies.iter().map(refuses))?
            }
        })
    }

    async fn is_met_later(&self, user: &User, resource: Option<&Resource>) -> bool {
        match self {
            Self::Later { check, .. } => check(user, resource).await,
            Self::AnyOf(policies) => {
                for policy in policies {
                    if policy.allows_later(user, resource).await {
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
            Self::Later { needs_resource, .. } => *needs_resource,
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
            Self::UserName(_) | Self::Assertion(_) | Self::Resource(_) | Self::Later { .. } => false,
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
            Self::Later { .. } => f.write_str("Later"),
            Self::AnyOf(policies) => f.debug_tuple("AnyOf").field(policies).finish(),
        }
    }
}

/// Whether all hold; one that does not is enough to know, one that is not known yet (`None`) leaves it open.
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
