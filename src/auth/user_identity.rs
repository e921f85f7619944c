//! Comparison of two users, and the user id.

use std::fmt;
use std::sync::Arc;

use super::claim_types::NAME_IDENTIFIER;
use super::user::{Claim, User};

/// Treatment of requests by another user than that of their connection.
///
/// Two users are the same if these are equal:
///
/// - the issuer;
/// - the id, which is the `sub` of a token; without an id the name; without both all claims except
///   those that differ between tokens of one user, such as `exp`;
/// - the id by [`Builder::user_id`](crate::hosting::Builder::user_id).
///
/// For users of several schemes this holds for the claims of each scheme. All anonymous users are the
/// same: the connection token alone protects their connections.
///
/// ```
/// use signalr::SignalR;
/// use signalr::auth::IdentityBinding;
///
/// let builder = SignalR::builder().identity_binding(IdentityBinding::WarnOnly);
/// # let _ = builder;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityBinding {
    /// The request is rejected with 403, and the connection is not affected. A connection token is
    /// useless to another user.
    #[default]
    Strict,
    /// The request is served and a warning is logged, as in ASP.NET Core 10.
    WarnOnly,
}

/// Returns the id of a user (C#: `IUserIdProvider`).
#[derive(Clone)]
pub(crate) struct UserIdProvider(Arc<UserIdFn>);

type UserIdFn = dyn Fn(&User) -> Option<String> + Send + Sync;

impl UserIdProvider {
    pub(crate) fn new(user_id: impl Fn(&User) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(user_id))
    }

    pub(crate) fn of(&self, user: &User) -> Option<Box<str>> {
        (self.0)(user).map(Into::into)
    }

    /// Whether both are the same user; see [`IdentityBinding`].
    pub(crate) fn is_same(&self, one: &User, other: &User) -> bool {
        // Most requests carry the same token as the previous one.
        one.is_equal_to(other)
            || one.is_authenticated() == other.is_authenticated()
                && one.named_identities().map(IdentityKey::of).eq(other.named_identities().map(IdentityKey::of))
                && self.of(one) == self.of(other)
    }
}

/// Claims that identify a user.
#[derive(PartialEq, Eq)]
struct IdentityKey<'a> {
    issuer: Option<&'a str>,
    /// Ids; without ids the name; without both all claims.
    ids: Vec<(&'a str, &'a str)>,
}

impl<'a> IdentityKey<'a> {
    fn of((name, claims): (Option<&'a str>, &'a [Claim])) -> Self {
        let all = || claims.iter().map(|claim| (claim.claim_type(), claim.value()));
        // Without inbound claim mapping the id is in `sub`.
        let is_id =
            |(claim_type, value): &(&str, &str)| ["sub", NAME_IDENTIFIER].contains(claim_type) && !value.is_empty();
        let mut ids: Vec<_> = all().filter(is_id).collect();
        if ids.is_empty() {
            ids = match name.filter(|name| !name.is_empty()) {
                Some(name) => vec![("", name)],
                None => all().filter(|(claim_type, _)| !VOLATILE_CLAIMS.contains(claim_type)).collect(),
            };
            ids.sort_unstable();
        }
        Self { issuer: all().find_map(|(claim_type, value)| (claim_type == "iss").then_some(value)), ids }
    }
}

/// Claims that differ between tokens of one user: times, and ids of tokens and sessions.
const VOLATILE_CLAIMS: [&str; 9] = [
    "exp",
    "iat",
    "nbf",
    "jti",
    "auth_time",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/authenticationinstant",
    "sid",
    "nonce",
    "at_hash",
];

impl Default for UserIdProvider {
    /// The first claim of type `nameidentifier` (`aspnet: DefaultUserIdProvider`).
    fn default() -> Self {
        Self::new(|user| user.id().map(str::to_owned))
    }
}

impl fmt::Debug for UserIdProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserIdProvider")
    }
}

#[cfg(test)]
mod tests {
    use super::super::user::UserBuilder;
    use super::*;

    #[test]
    fn users_with_another_id_issuer_or_name_differ() {
        let user = User::builder;
        let same = |one: &User, other: &User| {
            assert_eq!(UserIdProvider::default().is_same(one, other), UserIdProvider::default().is_same(other, one));
            UserIdProvider::default().is_same(one, other)
        };
        let ann = user().id("ann").claim("iss", "a").build();
        assert!(same(&ann, &user().id("ann").claim("iss", "a").role("Doctor").name("Ann").build()));
        assert!(!same(&ann, &user().id("bob").claim("iss", "a").build()));
        assert!(!same(&ann, &user().id("ann").claim("iss", "b").build()));
        assert!(!same(&ann, &User::anonymous()));
        assert!(same(&User::anonymous(), &User::anonymous()));
        assert!(!same(&user().claim("sub", "ann").build(), &user().claim("sub", "bob").build()));
        assert!(same(&user().name("Ann").build(), &user().name("Ann").role("Doctor").build()));
        assert!(!same(&user().name("Ann").build(), &user().name("Bob").build()));
        assert!(!same(&user().name("Ann").build(), &user().build()));
    }

    #[test]
    fn users_of_several_schemes_are_compared_by_each_scheme() {
        let tablet = || User::builder().id("tablet").build();
        let both = |user: UserBuilder| tablet().and(&user.build());
        let (ann, bob) = (User::builder().id("ann"), User::builder().id("bob"));
        assert!(UserIdProvider::default().is_same(&both(ann.clone()), &both(ann.clone().role("Doctor"))));
        assert!(!UserIdProvider::default().is_same(&both(ann.clone()), &both(bob)));
        assert!(!UserIdProvider::default().is_same(&both(ann), &tablet()));
        let named = |name: &str| both(User::builder().name(name));
        assert!(UserIdProvider::default().is_same(&named("Ann"), &named("Ann")));
        assert!(!UserIdProvider::default().is_same(&named("Ann"), &named("Bob")));
    }

    #[test]
    fn users_with_one_id_and_other_names_are_the_same() {
        let ann = |name: &str| User::builder().name_claim("name").claim("sub", "ann").name(name).build();
        assert!(UserIdProvider::default().is_same(&ann("Ann"), &ann("Ann B.")));
    }

    #[test]
    fn users_without_id_and_name_are_compared_by_their_claims() {
        let device = |role: &str, exp: &str| User::builder().role(role).claim("exp", exp).build();
        let default = UserIdProvider::default();
        assert!(default.is_same(&device("Pump", "1"), &device("Pump", "2")));
        assert!(!default.is_same(&device("Pump", "1"), &device("Lamp", "1")));
        assert!(!default.is_same(&device("Pump", "1"), &User::builder().build()));
        let reordered = User::builder().claim("exp", "3").claim("b", "2").claim("a", "1").build();
        assert!(default.is_same(&reordered, &User::builder().claim("a", "1").claim("b", "2").build()));
        let empty = |role: &str| User::builder().id("").role(role).build();
        assert!(!default.is_same(&empty("Pump"), &empty("Lamp")));
    }

    #[test]
    fn ids_of_the_application_are_compared_too() {
        let by_tenant = UserIdProvider::new(|user| Some(format!("{}|{}", user.claim("tenant")?, user.id()?)));
        let ann = |tenant: &str| User::builder().id("ann").claim("tenant", tenant).build();
        assert!(by_tenant.is_same(&ann("north"), &ann("north")));
        assert!(!by_tenant.is_same(&ann("north"), &ann("south")));
        assert!(UserIdProvider::default().is_same(&ann("north"), &ann("south")));
    }
}
