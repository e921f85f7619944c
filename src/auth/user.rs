//! Users and their claims.

use std::sync::Arc;
use std::time::SystemTime;
use std::{fmt, iter};

use super::claim_types;

/// User of a request: the claims of its credentials, or anonymous (C#: `ClaimsPrincipal`).
///
/// It is immutable and cheap to clone. It has one identity, or several if a rule names
/// [schemes](super::Authorize::schemes): then it has the claims of all of them, those of the last
/// scheme first.
///
/// Types of claims are compared with case, as ASP.NET Core does for tokens; only
/// [`Policy`](super::Policy) ignores their case.
///
/// ```
/// # use signalr::auth::User;
/// # let user = User::builder().id("dr-1").role("Doctor").claim("department", "icu").build();
/// # let ward_id = String::from("icu");
/// assert!(user.claim("department") == Some(ward_id.as_str()) || user.is_in_role("Admin"));
/// ```
#[derive(Clone, Default)]
pub struct User {
    /// `None` for an anonymous user, which costs no allocation.
    principal: Option<Arc<Principal>>,
}

/// Claims of an authenticated user, ordered by identity.
#[derive(PartialEq, Eq)]
struct Principal {
    claims: Vec<Claim>,
    identity: Identity,
    more: Vec<Identity>,
    expires_at: Option<SystemTime>,
}

/// Identity by one scheme (C#: `ClaimsIdentity`).
#[derive(Clone, PartialEq, Eq)]
struct Identity {
    /// Number of its claims.
    claims: usize,
    name_claim: Arc<str>,
    role_claim: Arc<str>,
}

impl Principal {
    /// Identities with their claims.
    fn identities(&self) -> impl Iterator<Item = (&Identity, &[Claim])> {
        let mut rest = &self.claims[..];
        iter::once(&self.identity).chain(&self.more).map(move |identity| {
            let (own, others) = rest.split_at(identity.claims);
            rest = others;
            (identity, own)
        })
    }
}

impl User {
    /// Anonymous user: not authenticated, without claims.
    pub const fn anonymous() -> Self {
        Self { principal: None }
    }

    /// Authenticated user with these claims.
    ///
    /// The types are .NET's, see [`claim_types`]; [`User::builder`] has methods for the common ones.
    pub fn new<T, V>(claims: impl IntoIterator<Item = (T, V)>) -> Self
    where
        T: Into<Arc<str>>,
        V: Into<Box<str>>,
    {
        claims.into_iter().fold(Self::builder(), |user, (claim_type, value)| user.claim(claim_type, value)).build()
    }

    /// Returns a builder of an authenticated user.
    pub fn builder() -> UserBuilder {
        UserBuilder::default()
    }

    /// Returns a builder that is filled with this user's claims; only with those of the first identity
    /// if there are several. The builder makes an authenticated user of an anonymous one.
    pub fn to_builder(&self) -> UserBuilder {
        let Some(principal) = &self.principal else { return UserBuilder::default() };
        let Identity { claims, name_claim, role_claim } = principal.identity.clone();
        UserBuilder {
            claims: principal.claims[..claims].to_vec(),
            name_claim,
            role_claim,
            expires_at: principal.expires_at,
        }
    }

    /// Whether the request had valid credentials (C#: `Identity.IsAuthenticated`).
    pub fn is_authenticated(&self) -> bool {
        self.principal.is_some()
    }

    /// Id of the user: the first claim of type [`NAME_IDENTIFIER`](claim_types::NAME_IDENTIFIER), which
    /// is the `sub` or `nameid` of a token (aspnet: DefaultUserIdProvider.cs).
    ///
    /// An authenticated user may have an empty id or none.
    pub fn id(&self) -> Option<&str> {
        self.claim(claim_types::NAME_IDENTIFIER)
    }

    /// Name of the user: the first claim of the name type of the first identity (C#: `Identity.Name`).
    ///
    /// In a token that is `unique_name` by default. `name`, as OpenID Connect has it, is not read; see
    /// [`JwtBearer::name_claim`](super::JwtBearer::name_claim).
    pub fn name(&self) -> Option<&str> {
        self.identity_names().next()?
    }

    /// Name of each identity.
    pub(super) fn identity_names(&self) -> impl Iterator<Item = Option<&str>> {
        self.named_identities().map(|(name, _)| name)
    }

    /// Name and claims of each identity.
    pub(super) fn named_identities(&self) -> impl Iterator<Item = (Option<&str>, &[Claim])> {
        self.identities().map(|(identity, claims)| (values(claims, &identity.name_claim).next(), claims))
    }

    /// Value of the first claim of this type, in the order of the token (C#: `FindFirst`).
    pub fn claim(&self, claim_type: &str) -> Option<&str> {
        self.all_claims().find(|claim| &*claim.claim_type == claim_type).map(Claim::value)
    }

    /// Values of all claims of this type, in the order of the token (C#: `FindAll`).
    pub fn claims<'a>(&'a self, claim_type: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        values(self.all_claims().as_slice(), claim_type)
    }

    /// All claims, in the order of the token (C#: `Claims`).
    pub fn all_claims(&self) -> Claims<'_> {
        Claims(self.principal.as_ref().map_or(&[][..], |principal| &principal.claims).iter())
    }

    /// Whether there is a claim of this type and value, compared with case (C#: `HasClaim`).
    pub fn has_claim(&self, claim_type: &str, value: &str) -> bool {
        self.claims(claim_type).any(|found| found == value)
    }

    /// Whether the user has this role, compared with case (C#: `IsInRole`).
    pub fn is_in_role(&self, role: &str) -> bool {
        self.roles().any(|found| found == role)
    }

    /// Roles of the user: the claims of the role type of each identity, in a token `role` and `roles` by
    /// default.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.identities().flat_map(|(identity, claims)| values(claims, &identity.role_claim))
    }

    /// Appends the identities of `other` (`aspnet: SecurityHelper.cs`, `MergeUserPrincipal`). The
    /// result expires with the first of both.
    pub(super) fn and(self, other: &Self) -> Self {
        let (Some(principal), Some(more)) = (&self.principal, &other.principal) else {
            return if self.is_authenticated() { self } else { other.clone() };
        };
        let identities = iter::once(&more.identity).chain(&more.more);
        let merged = Principal {
            claims: principal.claims.iter().chain(&more.claims).cloned().collect(),
            identity: principal.identity.clone(),
            more: principal.more.iter().chain(identities).cloned().collect(),
            expires_at: principal.expires_at.into_iter().chain(more.expires_at).min(),
        };
        Self { principal: Some(Arc::new(merged)) }
    }

    fn identities(&self) -> impl Iterator<Item = (&Identity, &[Claim])> {
        self.principal.iter().flat_map(|principal| principal.identities())
    }

    /// Whether claims and expiration are equal.
    pub(crate) fn is_equal_to(&self, other: &Self) -> bool {
        self.principal == other.principal
    }

    /// Expiration of the credentials, without clock skew; `None` if they do not expire (C#:
    /// `ExpiresUtc`).
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.principal.as_ref()?.expires_at
    }
}

/// Prints the id and the number of claims, never the claims.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.principal {
            None => f.write_str("User(anonymous)"),
            Some(principal) => f
                .debug_struct("User")
                .field("id", &self.id())
                .field("claims", &principal.claims.len())
                .finish_non_exhaustive(),
        }
    }
}

/// Builds a [`User`]; see [`User::builder`].
///
/// ```
/// use signalr::auth::User;
///
/// let nurse = User::builder().id("n1").name("Ann").role("Nurse").claim("department", "icu").build();
/// assert!(nurse.is_in_role("Nurse") && nurse.claim("department") == Some("icu"));
/// ```
#[derive(Clone)]
#[must_use = "a builder has no effect until `build` is called"]
pub struct UserBuilder {
    claims: Vec<Claim>,
    name_claim: Arc<str>,
    role_claim: Arc<str>,
    expires_at: Option<SystemTime>,
}

impl UserBuilder {
    /// Adds the id of the user, a claim of type [`NAME_IDENTIFIER`](claim_types::NAME_IDENTIFIER).
    pub fn id(self, id: impl Into<Box<str>>) -> Self {
        self.claim(claim_types::NAME_IDENTIFIER, id)
    }

    /// Adds the name of the user, a claim of the name type.
    pub fn name(self, name: impl Into<Box<str>>) -> Self {
        let name_claim = self.name_claim.clone();
        self.claim(name_claim, name)
    }

    /// Adds a role, a claim of the role type.
    pub fn role(self, role: impl Into<Box<str>>) -> Self {
        let role_claim = self.role_claim.clone();
        self.claim(role_claim, role)
    }

    /// Adds a claim.
    pub fn claim(mut self, claim_type: impl Into<Arc<str>>, value: impl Into<Box<str>>) -> Self {
        self.claims.push(Claim::new(claim_type, value));
        self
    }

    /// Sets the type of name claims, [`NAME`](claim_types::NAME) by default (C#: `NameClaimType`). Call
    /// it before [`name`](Self::name).
    pub fn name_claim(mut self, claim_type: impl Into<Arc<str>>) -> Self {
        self.name_claim = claim_type.into();
        self
    }

    /// Sets the type of role claims, [`ROLE`](claim_types::ROLE) by default (C#: `RoleClaimType`). Call
    /// it before [`role`](Self::role).
    pub fn role_claim(mut self, claim_type: impl Into<Arc<str>>) -> Self {
        self.role_claim = claim_type.into();
        self
    }

    /// Sets the expiration of the credentials; they do not expire by default.
    pub fn expires_at(mut self, at: SystemTime) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// Builds the user, which is authenticated even without claims.
    pub fn build(self) -> User {
        let Self { claims, name_claim, role_claim, expires_at } = self;
        let identity = Identity { claims: claims.len(), name_claim, role_claim };
        User { principal: Some(Arc::new(Principal { claims, identity, more: Vec::new(), expires_at })) }
    }

    /// Appends claims.
    pub(super) fn with_claims(mut self, claims: Vec<Claim>) -> Self {
        self.claims.extend(claims);
        self
    }
}

impl Default for UserBuilder {
    fn default() -> Self {
        Self {
            claims: Vec::new(),
            name_claim: claim_types::NAME.into(),
            role_claim: claim_types::ROLE.into(),
            expires_at: None,
        }
    }
}

impl From<UserBuilder> for User {
    fn from(builder: UserBuilder) -> Self {
        builder.build()
    }
}

/// Prints the number of claims, never the claims.
impl fmt::Debug for UserBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserBuilder").field("claims", &self.claims.len()).finish_non_exhaustive()
    }
}

/// Claim of a [`User`].
///
/// ```
/// use signalr::auth::Claim;
///
/// let claim = Claim::new("department", "icu");
/// assert_eq!((claim.claim_type(), claim.value()), ("department", "icu"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Claim {
    claim_type: Arc<str>,
    value: Box<str>,
}

impl Claim {
    /// Creates a claim.
    pub fn new(claim_type: impl Into<Arc<str>>, value: impl Into<Box<str>>) -> Self {
        Self { claim_type: claim_type.into(), value: value.into() }
    }

    /// Type of the claim; see [`claim_types`] for common ones (C#: `Type`).
    pub fn claim_type(&self) -> &str {
        &self.claim_type
    }

    /// Value of the claim (C#: `Value`).
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// Prints the type only, so that values never reach a log.
impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("claim_type", &self.claim_type).finish_non_exhaustive()
    }
}

/// All claims of a [`User`], in order; see [`User::all_claims`].
///
/// ```
/// use signalr::auth::User;
///
/// let user = User::builder().role("Nurse").role("Trainer").build();
/// let values: Vec<_> = user.all_claims().map(|claim| claim.value()).collect();
/// assert_eq!(values, ["Nurse", "Trainer"]);
/// ```
#[derive(Clone, Debug)]
pub struct Claims<'a>(std::slice::Iter<'a, Claim>);

impl<'a> Claims<'a> {
    fn as_slice(&self) -> &'a [Claim] {
        self.0.as_slice()
    }
}

impl<'a> Iterator for Claims<'a> {
    type Item = &'a Claim;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Claims<'_> {}

fn values<'a>(claims: &'a [Claim], claim_type: &'a str) -> impl Iterator<Item = &'a str> {
    claims.iter().filter(move |claim| &*claim.claim_type == claim_type).map(Claim::value)
}
