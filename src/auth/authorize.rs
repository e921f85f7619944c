//! Authorization rules of endpoints and hub methods.

use std::borrow::Cow;
use std::sync::Arc;

use super::policy::{Policy, Resource, all};
use super::scheme::Schemes;
use super::user::User;
use crate::ordinal;

/// Authorization rule of an endpoint or a hub method (C#: `[Authorize]`).
///
/// Where there are several rules, all must allow the user. Names are looked up when the server is
/// built.
///
/// ```
/// # use signalr::auth::Authorize;
/// const MEMBERS: Authorize = Authorize::user();
/// const DOCTORS: Authorize = Authorize::policy("DoctorsOnly");
/// const STAFF: Authorize = Authorize::roles("Doctor, Nurse");   // one of them
/// let devices = Authorize::user().schemes("ApiKey, Certificate");
/// let from_configuration = Authorize::from(String::from("DoctorsOnly"));
/// assert_eq!(from_configuration, DOCTORS);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorize {
    policy: Option<Cow<'static, str>>,
    roles: Option<Cow<'static, str>>,
    schemes: Option<Cow<'static, str>>,
}

impl Authorize {
    /// Requires the default policy, an authenticated user unless it is changed (C#: `[Authorize]`).
    pub const fn user() -> Self {
        Self::new(None, None)
    }

    /// Requires a policy by its name (C#: `[Authorize(Policy = "..")]`).
    pub const fn policy(name: &'static str) -> Self {
        Self::new(Some(name), None)
    }

    /// Requires one of these roles, separated by commas; white space around a role is ignored (C#:
    /// `[Authorize(Roles = "A, B")]`).
    pub const fn roles(roles: &'static str) -> Self {
        Self::new(None, Some(roles))
    }

    /// Requires a policy, one of some roles, or both; the default policy if both are `None`.
    pub const fn new(policy: Option<&'static str>, roles: Option<&'static str>) -> Self {
        const fn borrowed(name: Option<&'static str>) -> Option<Cow<'static, str>> {
            match name {
                Some(name) => Some(Cow::Borrowed(name)),
                None => None,
            }
        }
        Self { policy: borrowed(policy), roles: borrowed(roles), schemes: None }
    }

    /// Sets the authentication schemes, separated by commas (C#:
    /// `[Authorize(AuthenticationSchemes = "A, B")]`).
    ///
    /// Only these schemes authenticate the request, all of them. Their users are merged into one, and
    /// each of them challenges a request without a user.
    ///
    /// Schemes belong to endpoints. On a hub method, which is called after the connection was
    /// authenticated, they are an error of [`build`](crate::hosting::Builder::build); ASP.NET Core
    /// ignores them there.
    pub fn schemes(mut self, schemes: impl Into<Cow<'static, str>>) -> Self {
        self.schemes = Some(schemes.into());
        self
    }
}

/// The policy of this name.
impl From<&'static str> for Authorize {
    fn from(policy: &'static str) -> Self {
        Self::policy(policy)
    }
}

/// The policy of this name.
impl From<String> for Authorize {
    fn from(policy: String) -> Self {
        Self { policy: Some(Cow::Owned(policy)), ..Self::user() }
    }
}

/// Error in the authorization policies or rules of a server.
///
/// ```
/// use signalr::auth::{Policy, PolicyError};
/// use signalr::hosting::BuildError;
/// use signalr::SignalR;
///
/// let twice = SignalR::builder()
///     .policy("Staff", Policy::require_role("Doctor"))
///     .policy("staff", Policy::require_role("Nurse"))
///     .build();
/// assert!(matches!(twice, Err(BuildError::Policies(PolicyError::Duplicate { .. }))));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A rule names a policy that was not added.
    #[error("unknown authorization policy {name:?}")]
    Unknown {
        /// Name in the rule.
        name: String,
    },
    /// Two policies have one name, compared without case.
    #[error("duplicate authorization policy {name:?}")]
    Duplicate {
        /// Name of the second policy.
        name: String,
    },
    /// A policy requires one element of an empty list of roles, values or policies.
    #[error("authorization policy {name:?} can never succeed: empty list of alternatives")]
    Impossible {
        /// The name of the policy, `default` or `fallback`.
        name: String,
    },
    /// An endpoint or the fallback names a policy that examines calls; a request that connects is no
    /// call.
    #[error("authorization policy {name:?} can never succeed for a connection: it examines calls")]
    NeedsCall {
        /// The name of the policy, `default` or `fallback`.
        name: String,
    },
    /// The list of roles of a rule is empty.
    #[error("empty list of roles in an authorization rule: {roles:?}")]
    NoRoles {
        /// Roles in the rule.
        roles: String,
    },
    /// A rule or a policy names a scheme that was not added. Names are compared with case.
    #[error("unknown authentication scheme {name:?}")]
    UnknownScheme {
        /// Name in the rule or the policy.
        name: String,
    },
    /// The list of schemes of a rule is empty.
    #[error("empty list of schemes in an authorization rule: {schemes:?}")]
    NoSchemes {
        /// The schemes as the rule has them.
        schemes: String,
    },
    /// The rule of a hub method names schemes; the connection is authenticated before the call.
    #[error("schemes have no effect on the authorization rule of a hub method: {schemes:?}")]
    SchemesOnMethod {
        /// The schemes as the rule has them.
        schemes: String,
    },
}

/// Policies of a server by name. Names ignore case, as in ASP.NET Core.
#[derive(Clone, Debug)]
pub(crate) struct Policies {
    named: Vec<(String, Policy)>,
    default: Policy,
    fallback: Option<Policy>,
}

impl Policies {
    /// Adds a policy. [`validate`](Self::validate) reports a duplicate name.
    pub(crate) fn add(&mut self, name: impl Into<String>, policy: Policy) {
        self.named.push((name.into(), policy));
    }

    /// Sets the policy of rules without policy and roles; by default an authenticated user.
    pub(crate) fn set_default(&mut self, policy: Policy) {
        self.default = policy;
    }

    /// Sets the policy of endpoints without rules; none by default. It does not apply to hub methods.
    pub(crate) fn set_fallback(&mut self, policy: Policy) {
        self.fallback = Some(policy);
    }

    /// Checks the policies themselves.
    pub(crate) fn validate(&self, schemes: &Schemes) -> Result<(), PolicyError> {
        for (index, (name, policy)) in self.named.iter().enumerate() {
            if self.named[..index].iter().any(|(earlier, _)| ordinal::eq(earlier, name)) {
                return Err(PolicyError::Duplicate { name: name.clone() });
            }
            possible(name, policy)?;
        }
        possible("default", &self.default)?;
        if let Some(fallback) = &self.fallback {
            possible("fallback", fallback)?;
            possible_to_connect("fallback", fallback)?;
        }
        let all = self.named.iter().map(|(_, policy)| policy).chain([&self.default]).chain(&self.fallback);
        schemes.resolve(all.flat_map(Policy::scheme_names)).map(drop)
    }

    /// Rules of a hub method. Without rules every caller is allowed.
    pub(crate) fn method_rules(&self, rules: &[Authorize]) -> Result<AuthorizationRules, PolicyError> {
        match rules.iter().find_map(|rule| rule.schemes.as_deref()) {
            Some(schemes) => Err(PolicyError::SchemesOnMethod { schemes: schemes.to_owned() }),
            None => self.rules(rules),
        }
    }

    /// Rules of an endpoint. Without rules the fallback policy applies.
    pub(crate) fn endpoint_rules(
        &self,
        rules: &[Authorize],
        allow_anonymous: bool,
        schemes: &Schemes,
    ) -> Result<EndpointRules, PolicyError> {
        for rule in rules {
            match (rule.policy.as_deref(), &rule.roles) {
                (Some(name), _) => self.find(name).map_or(Ok(()), |policy| possible_to_connect(name, policy)),
                (None, None) => possible_to_connect("default", &self.default),
                (None, Some(_)) => Ok(()),
            }?;
        }
        let combined = match &self.fallback {
            Some(fallback) if rules.is_empty() => AuthorizationRules::new(vec![fallback.clone()]),
            _ => self.rules(rules)?,
        };
        let mut names: Vec<&str> = Vec::new();
        for listed in rules.iter().filter_map(|rule| rule.schemes.as_deref()) {
            let before = names.len();
            names.extend(listed_names(listed));
            if names.len() == before {
                return Err(PolicyError::NoSchemes { schemes: listed.to_owned() });
            }
        }
        names.extend(combined.policies.iter().flat_map(Policy::scheme_names));
        let schemes = schemes.resolve(names)?;
        // Anonymous access is allowed, but credentials are still authenticated.
        let rules = if allow_anonymous { AuthorizationRules::default() } else { combined };
        Ok(EndpointRules { rules, schemes })
    }

    fn rules(&self, rules: &[Authorize]) -> Result<AuthorizationRules, PolicyError> {
        let mut policies = Vec::with_capacity(rules.len());
        for rule in rules {
            self.add_rule(rule, &mut policies)?;
        }
        Ok(AuthorizationRules::new(policies))
    }

    fn find(&self, name: &str) -> Option<&Policy> {
        self.named.iter().find(|(known, _)| ordinal::eq(known, name)).map(|(_, policy)| policy)
    }

    /// aspnet: AuthorizationPolicy.cs, `CombineAsync`.
    fn add_rule(&self, rule: &Authorize, policies: &mut Vec<Policy>) -> Result<(), PolicyError> {
        if let Some(name) = &rule.policy {
            let found = self.find(name);
            let policy = found.ok_or_else(|| PolicyError::Unknown { name: name.clone().into_owned() })?;
            policies.push(policy.clone());
        }
        if let Some(roles) = &rule.roles {
            let mut names = listed_names(roles).peekable();
            if names.peek().is_none() {
                return Err(PolicyError::NoRoles { roles: roles.clone().into_owned() });
            }
            policies.push(Policy::require_any_role(names));
        }
        if rule.policy.is_none() && rule.roles.is_none() {
            policies.push(self.default.clone());
        }
        Ok(())
    }
}

impl Default for Policies {
    fn default() -> Self {
        Self { named: Vec::new(), default: Policy::require_authenticated_user(), fallback: None }
    }
}

/// Names in a list separated by commas, without white space around them.
fn listed_names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

fn possible(name: &str, policy: &Policy) -> Result<(), PolicyError> {
    if policy.is_impossible() { Err(PolicyError::Impossible { name: name.to_owned() }) } else { Ok(()) }
}

fn possible_to_connect(name: &str, policy: &Policy) -> Result<(), PolicyError> {
    if policy.needs_resource() { Err(PolicyError::NeedsCall { name: name.to_owned() }) } else { Ok(()) }
}

/// Policies of an endpoint or a hub method, all of which must allow the user. Without policies every
/// user is allowed.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuthorizationRules {
    policies: Arc<[Policy]>,
    look_at_calls: bool,
}

impl AuthorizationRules {
    fn new(policies: Vec<Policy>) -> Self {
        let look_at_calls = policies.iter().any(Policy::looks_at_resource);
        Self { policies: policies.into(), look_at_calls }
    }

    /// Whether a policy examines the call.
    pub(crate) fn look_at_calls(&self) -> bool {
        self.look_at_calls
    }

    /// Whether every user is allowed.
    pub(crate) fn is_open(&self) -> bool {
        self.policies.is_empty()
    }

    /// Whether this user may make a call; `None` if an asynchronous requirement decides. `call` is
    /// needed only if the rules [examine calls](Self::look_at_calls).
    pub(crate) fn check_call(&self, user: &User, call: Option<&Resource>) -> Option<bool> {
        all(self.policies.iter().map(|policy| policy.allows_for(user, call)))
    }

    /// As [`check_call`](Self::check_call), with asynchronous requirements.
    pub(crate) async fn check_call_async(&self, user: &User, call: Option<&Resource>) -> bool {
        for policy in &*self.policies {
            if !policy.allows_for_async(user, call).await {
                return false;
            }
        }
        true
    }
}

/// Authorization of an endpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndpointRules {
    rules: AuthorizationRules,
    /// Indices of the schemes that authenticate requests; empty for all.
    pub(crate) schemes: Vec<usize>,
}

impl EndpointRules {
    /// Whether every user is allowed.
    pub(crate) fn is_open(&self) -> bool {
        self.rules.is_open()
    }

    /// Decides on a request of this user (aspnet: PolicyEvaluator.cs, `AuthorizeAsync`).
    pub(crate) async fn decide(&self, user: &User) -> Decision {
        if self.rules.check_call_async(user, None).await {
            Decision::Allow
        } else if user.is_authenticated() {
            Decision::Forbid
        } else {
            Decision::Challenge
        }
    }
}

/// Outcome of authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The request continues.
    Allow,
    /// 401 with a challenge: the request is not authenticated.
    Challenge,
    /// 403: the user is authenticated and not allowed.
    Forbid,
}
