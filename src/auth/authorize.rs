//! Rules: which policies a hub or a method asks for.

use std::borrow::Cow;
use std::sync::Arc;

use super::policy::{Policy, Resource, all};
use super::scheme::Schemes;
use super::user::User;
use crate::ordinal;

/// One demand for authorization on a hub, a route or a method; C#'s `[Authorize]` as data.
///
/// Several of them must all be met. Names are looked up when the server is built.
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
    /// Asks for an authenticated user: the default policy. C#: `[Authorize]`.
    pub const fn user() -> Self {
        Self::new(None, None)
    }

    /// Asks for a policy by its name. C#: `[Authorize(Policy = "..")]`.
    pub const fn policy(name: &'static str) -> Self {
        Self::new(Some(name), None)
    }

    /// Asks for one of these roles, parted by commas; blanks around them do not count. C#: `[Authorize(Roles = "A, B")]`.
    pub const fn roles(roles: &'static str) -> Self {
        Self::new(None, Some(roles))
    }

    /// Asks for a policy, for one of some roles, for both, or with neither for an authenticated user.
    pub const fn new(policy: Option<&'static str>, roles: Option<&'static str>) -> Self {
        const fn borrowed(name: Option<&'static str>) -> Option<Cow<'static, str>> {
            match name {
                Some(name) => Some(Cow::Borrowed(name)),
                None => None,
            }
        }
        Self { policy: borrowed(policy), roles: borrowed(roles), schemes: None }
    }

    /// Which schemes tell who the user is, parted by commas: these alone are asked, and all of them. What they say is taken
    /// together, and a request without a user is refused by each of them. C#:
    /// `[Authorize(AuthenticationSchemes = "A, B")]`.
    ///
    /// It is for hubs and paths. On a method, where the user is known already, it is an error of
    /// [`build`](crate::hosting::Builder::build); ASP.NET does not read it there.
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

/// Why the policies of a server cannot be used.
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
    /// A rule asks for a policy that nobody added.
    #[error("there is no authorization policy {name:?}")]
    Unknown {
        /// The name as the rule has it.
        name: String,
    },
    /// Two policies have one name; the case of names does not count.
    #[error("there are two authorization policies {name:?}")]
    Duplicate {
        /// The name of the second.
        name: String,
    },
    /// A policy asks for one of no roles, of no values or of no policies, so nobody could ever meet it.
    #[error("nobody can meet the authorization policy {name:?}: it asks for one of nothing")]
    Impossible {
        /// The name of the policy, `default` or `fallback`.
        name: String,
    },
    /// A path, or the fallback, asks for a policy that looks at calls: nobody calls anything who connects, so nobody
    /// could.
    #[error("nobody who connects can meet the authorization policy {name:?}: it looks at calls")]
    NeedsCall {
        /// The name of the policy, `default` or `fallback`.
        name: String,
    },
    /// A rule asks for roles and names none.
    #[error("an authorization rule names no role: {roles:?}")]
    NoRoles {
        /// The roles as the rule has them.
        roles: String,
    },
    /// A rule or a policy asks for a scheme that nobody added. The case of names counts.
    #[error("there is no authentication scheme {name:?}")]
    UnknownScheme {
        /// The name as the rule or the policy has it.
        name: String,
    },
    /// A rule asks for schemes and names none.
    #[error("an authorization rule names no scheme: {schemes:?}")]
    NoSchemes {
        /// The schemes as the rule has them.
        schemes: String,
    },
    /// A rule of a method names schemes: who calls was found out when the connection was made.
    #[error("the authorization rule of a method names schemes, which has no effect: {schemes:?}")]
    SchemesOnMethod {
        /// The schemes as the rule has them.
        schemes: String,
    },
}

/// The policies of a server by name. Names ignore case, as ASP.NET's do.
#[derive(Clone, Debug)]
pub(crate) struct Policies {
    named: Vec<(String, Policy)>,
    default: Policy,
    fallback: Option<Policy>,
}

impl Policies {
    /// Adds a policy; a second one of the same name is an error in [`validate`](Self::validate).
    pub(crate) fn add(&mut self, name: impl Into<String>, policy: Policy) {
        self.named.push((name.into(), policy));
    }

    /// What a rule asks for that names neither policy nor roles: by default an authenticated user.
    pub(crate) fn set_default(&mut self, policy: Policy) {
        self.default = policy;
    }

    /// What endpoints without any rule ask for: by default nothing. It never reaches methods.
    pub(crate) fn set_fallback(&mut self, policy: Policy) {
        self.fallback = Some(policy);
    }

    /// Finds what is wrong with the policies themselves.
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

    /// The rules of a method: all of these must be met, and without any the method is open.
    pub(crate) fn method_rules(&self, rules: &[Authorize]) -> Result<AuthorizationRules, PolicyError> {
        match rules.iter().find_map(|rule| rule.schemes.as_deref()) {
            Some(schemes) => Err(PolicyError::SchemesOnMethod { schemes: schemes.to_owned() }),
            None => self.rules(rules),
        }
    }

    /// The rules of an endpoint: all of these must be met, and without any the fallback policy.
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
        // Whoever is known is known all the same.
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

/// The names in a list with commas; blanks around them do not count.
fn listed_names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

fn possible(name: &str, policy: &Policy) -> Result<(), PolicyError> {
    if policy.is_impossible() { Err(PolicyError::Impossible { name: name.to_owned() }) } else { Ok(()) }
}

fn possible_to_connect(name: &str, policy: &Policy) -> Result<(), PolicyError> {
    if policy.needs_resource() { Err(PolicyError::NeedsCall { name: name.to_owned() }) } else { Ok(()) }
}

/// The policies that a hub or a method asks for, all of which must allow a user. Empty rules let everybody pass.
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

    /// Whether it matters what is called.
    pub(crate) fn look_at_calls(&self) -> bool {
        self.look_at_calls
    }

    /// Whether nothing is asked for.
    pub(crate) fn is_open(&self) -> bool {
        self.policies.is_empty()
    }

    /// Whether this user may make a call, which has to be there only where the rules look at calls. `None` if that takes
    /// time to find out.
    pub(crate) fn check_call(&self, user: &User, call: Option<&Resource>) -> Option<bool> {
        all(self.policies.iter().map(|policy| policy.allows_for(user, call)))
    }

    /// The same, with the time that it takes.
    pub(crate) async fn check_later(&self, user: &User, call: Option<&Resource>) -> bool {
        for policy in &*self.policies {
            if !policy.allows_later(user, call).await {
                return false;
            }
        }
        true
    }
}

/// What an endpoint asks of each request.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndpointRules {
    rules: AuthorizationRules,
    /// The schemes that tell who the user is; none are all.
    pub(crate) schemes: Vec<usize>,
}

impl EndpointRules {
    /// Whether nothing is asked for.
    pub(crate) fn is_open(&self) -> bool {
        self.rules.is_open()
    }

    /// What becomes of a request of this user. aspnet: PolicyEvaluator.cs, `AuthorizeAsync`.
    pub(crate) async fn decide(&self, user: &User) -> Decision {
        if self.rules.check_later(user, None).await {
            Decision::Allow
        } else if user.is_authenticated() {
            Decision::Forbid
        } else {
            Decision::Challenge
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It goes on.
    Allow,
    /// 401 with a challenge: who is it?
    Challenge,
    /// 403: known, and not allowed.
    Forbid,
}
