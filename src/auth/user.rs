//! The caller, as hubs and policies see them.

use std::sync::Arc;
use std::time::SystemTime;
use std::{fmt, iter};

use super::claim_types;

/// Who is calling: the claims of a validated token, or nobody in particular.
///
/// A cheap clone, and never changed after it was made. It is C#'s `ClaimsPrincipal`, with one identity, or with several where
/// a rule names [schemes](super::Authorize::schemes): then the claims of all of them are here, those of the last scheme first.
///
/// Names of claims are compared exactly, as ASP.NET does for tokens; only [`Policy`](super::Policy) ignores their case.
///
/// ```
/// # use signalr::auth::User;
/// # let user = User::builder().id("dr-1").role("Doctor").claim("department", "icu").build();
/// # let ward_id = String::from("icu");
/// assert!(user.claim("department") == Some(ward_id.as_str()) || user.is_in_role("Admin"));
/// ```
#[derive(Clone, Default)]
pub struct User {
    /// Nothing for an anonymous user, so that those cost no allocation.
    known: Option<Arc<Known>>,
}

/// What is known of a user: the claims of one identity after those of another.
#[derive(PartialEq, Eq)]
struct Known {
    claims: Vec<Claim>,
    identity: Identity,
    more: Vec<Identity>,
    expires_at: Option<SystemTime>,
}

/// What one scheme says (C#: `ClaimsIdentity`).
#[derive(Clone, PartialEq, Eq)]
struct Identity {
    /// How many of the claims are its.
    claims: usize,
    name_claim: Arc<str>,
    role_claim: Arc<str>,
}

impl Known {
    /// Each identity with its claims.
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
    /// Nobody in particular: not authenticated, without claims.
    pub const fn anonymous() -> Self {
        Self { known: None }
    }

    /// An authenticated user with these claims, for tests and for authentication of one's own.
    ///
    /// The types are .NET's, see [`claim_types`]; [`User::builder`] knows the usual ones by name.
    pub fn new<T, V>(claims: impl IntoIterator<Item = (T, V)>) -> Self
    where
        T: Into<Arc<str>>,
        V: Into<Box<str>>,
    {
        claims.into_iter().fold(Self::builder(), |user, (claim_type, value)| user.claim(claim_type, value)).build()
    }

    /// Builds an authenticated user claim by claim.
    pub fn builder() -> UserBuilder {
        UserBuilder::default()
    }

    /// A builder that begins with all of this user, for one with more claims; with what the first says if several schemes
    /// know them. An anonymous user becomes authenticated.
    pub fn to_builder(&self) -> UserBuilder {
        let Some(known) = &self.known else { return UserBuilder::default() };
        let Identity { claims, name_claim, role_claim } = known.identity.clone();
        UserBuilder { claims: known.claims[..claims].to_vec(), name_claim, role_claim, expires_at: known.expires_at }
    }

    /// Whether a valid token, or another proof, stood in the request. C#: `Identity.IsAuthenticated`.
    pub fn is_authenticated(&self) -> bool {
        self.known.is_some()
    }

    /// The user's id: the first claim of type [`NAME_IDENTIFIER`](claim_types::NAME_IDENTIFIER), which is a token's `sub` or `nameid`.
    ///
    /// ASP.NET: `DefaultUserIdProvider.cs`. It may be empty, and may be missing although the user is authenticated.
    pub fn id(&self) -> Option<&str> {
        self.claim(claim_types::NAME_IDENTIFIER)
    }

    /// The user's name: the first claim of the name type, by default a token's `unique_name`; of several identities that of the
    /// first. C#: `Identity.Name`.
    pub fn name(&self) -> Option<&str> {
        self.identity_names().next()?
    }

    /// The name that each identity has, if it has one.
    pub(super) fn identity_names(&self) -> impl Iterator<Item = Option<&str>> {
        self.named_identities().map(|(name, _)| name)
    }

    /// Each identity by its name, and its claims.
    pub(super) fn named_identities(&self) -> impl Iterator<Item = (Option<&str>, &[Claim])> {
        self.identities().map(|(identity, claims)| (values(claims, &identity.name_claim).next(), claims))
    }

    /// The value of the first claim of this type, in the token's order. C#: `FindFirst`.
    pub fn claim(&self, claim_type: &str) -> Option<&str> {
        self.all_claims().find(|claim| &*claim.claim_type == claim_type).map(Claim::value)
    }

    /// The values of all claims of this type, in the token's order. C#: `FindAll`.
    pub fn claims<'a>(&'a self, claim_type: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        values(self.all_claims().as_slice(), claim_type)
    }

    /// All claims, in the token's order. C#: `Claims`.
    pub fn all_claims(&self) -> Claims<'_> {
        Claims(self.known.as_ref().map_or(&[][..], |known| &known.claims).iter())
    }

    /// Whether there is a claim of this type with this very value. C#: `HasClaim`.
    pub fn has_claim(&self, claim_type: &str, value: &str) -> bool {
        self.claims(claim_type).any(|found| found == value)
    }

    /// Whether the user has this role; case counts. C#: `IsInRole`.
    pub fn is_in_role(&self, role: &str) -> bool {
        self.roles().any(|found| found == role)
    }

    /// The user's roles: the claims of the role type, by default a token's `role` and `roles`; each identity has its own type.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.identities().flat_map(|(identity, claims)| values(claims, &identity.role_claim))
    }

    /// This user with the identities of `other` behind the own, as long as both proofs hold (`aspnet: SecurityHelper.cs`,
    /// `MergeUserPrincipal`).
    pub(super) fn and(self, other: &Self) -> Self {
        let (Some(known), Some(more)) = (&self.known, &other.known) else {
            return if self.is_authenticated() { self } else { other.clone() };
        };
        let identities = iter::once(&more.identity).chain(&more.more);
        let merged = Known {
            claims: known.claims.iter().chain(&more.claims).cloned().collect(),
            identity: known.identity.clone(),
            more: known.more.iter().chain(identities).cloned().collect(),
            expires_at: known.expires_at.into_iter().chain(more.expires_at).min(),
        };
        Self { known: Some(Arc::new(merged)) }
    }

    fn identities(&self) -> impl Iterator<Item = (&Identity, &[Claim])> {
        self.known.iter().flat_map(|known| known.identities())
    }

    /// Whether both have the same claims, and proofs that end at the same time.
    pub(crate) fn is_equal_to(&self, other: &Self) -> bool {
        self.known == other.known
    }

    /// When the proof of this identity ends, without any clock skew; nothing if it never does. C#: `ExpiresUtc`.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.known.as_ref()?.expires_at
    }
}

/// Prints the id and how many claims there are, never the claims.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.known {
            None => f.write_str("User(anonymous)"),
            Some(known) => f
                .debug_struct("User")
                .field("id", &self.id())
                .field("claims", &known.claims.len())
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
#[must_use = "a builder does nothing until it is built"]
pub struct UserBuilder {
    claims: Vec<Claim>,
    name_claim: Arc<str>,
    role_claim: Arc<str>,
    expires_at: Option<SystemTime>,
}

impl UserBuilder {
    /// Adds the user's id, a claim of type [`NAME_IDENTIFIER`](claim_types::NAME_IDENTIFIER).
    pub fn id(self, id: impl Into<Box<str>>) -> Self {
        self.claim(claim_types::NAME_IDENTIFIER, id)
    }

    /// Adds the user's name, a claim of the name type.
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

    /// Which claims are names: [`NAME`](claim_types::NAME) by default. Set it before [`name`](Self::name). C#: `NameClaimType`.
    pub fn name_claim(mut self, claim_type: impl Into<Arc<str>>) -> Self {
        self.name_claim = claim_type.into();
        self
    }

    /// Which claims are roles: [`ROLE`](claim_types::ROLE) by default. Set it before [`role`](Self::role). C#: `RoleClaimType`.
    pub fn role_claim(mut self, claim_type: impl Into<Arc<str>>) -> Self {
        self.role_claim = claim_type.into();
        self
    }

    /// When the proof of this identity ends; never by default.
    pub fn expires_at(mut self, at: SystemTime) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// The finished user, who is authenticated even without any claim.
    pub fn build(self) -> User {
        let Self { claims, name_claim, role_claim, expires_at } = self;
        let identity = Identity { claims: claims.len(), name_claim, role_claim };
        User { known: Some(Arc::new(Known { claims, identity, more: Vec::new(), expires_at })) }
    }

    /// Adds claims that were made before.
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

/// Prints how many claims there are, never the claims.
impl fmt::Debug for UserBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserBuilder").field("claims", &self.claims.len()).finish_non_exhaustive()
    }
}

/// One thing that is said of a [`User`].
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
    /// A claim of this type with this value.
    pub fn new(claim_type: impl Into<Arc<str>>, value: impl Into<Box<str>>) -> Self {
        Self { claim_type: claim_type.into(), value: value.into() }
    }

    /// What is said; see [`claim_types`] for the usual ones. C#: `Type`.
    pub fn claim_type(&self) -> &str {
        &self.claim_type
    }

    /// The value, as text. C#: `Value`.
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// Prints the type alone: values are private.
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
