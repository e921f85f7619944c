//! Who is the same user as whom.

use std::fmt;
use std::sync::Arc;

use super::claim_types::NAME_IDENTIFIER;
use super::user::{Claim, User};

/// What happens to a request that names the connection of another user.
///
/// Users are the same who have the same issuer, the same id, which is also a token's `sub`, or the same name where there is
/// no id; and the same id by [`Builder::user_id`](crate::hosting::Builder::user_id). Those who have neither id nor name are the same if
/// all of their claims are, but for those that differ from token to token. Where schemes are taken together, all of that
/// holds for what each of them says. Anonymous users are all one: their connections have no owner but who holds the connection
/// token.
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
    /// It is refused with 403, and the connection lives on. Another user who learns a connection token can do nothing with
    /// it.
    #[default]
    Strict,
    /// It is served and logged, as by ASP.NET Core 10.
    WarnOnly,
}

/// Tells the id of a user (C#: `IUserIdProvider`).
#[derive(Clone)]
pub(crate) struct UserId(Arc<TellUserId>);

type TellUserId = dyn Fn(&User) -> Option<String> + Send + Sync;

impl UserId {
    pub(crate) fn new(tell: impl Fn(&User) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(crate) fn of(&self, user: &User) -> Option<Box<str>> {
        (self.0)(user).map(Into::into)
    }

    /// Whether both are the same person, with whatever other claims.
    pub(crate) fn is_same(&self, one: &User, other: &User) -> bool {
        // Mostly a request has the token of the one before.
        one.is_equal_to(other)
            || one.is_authenticated() == other.is_authenticated()
                && one.named_identities().map(Mark::of).eq(other.named_identities().map(Mark::of))
                && self.of(one) == self.of(other)
    }
}

/// What tells an identity apart.
#[derive(PartialEq, Eq)]
struct Mark<'a> {
    issuer: Option<&'a str>,
    /// Or else its name, or else whatever is said of it.
    ids: Vec<(&'a str, &'a str)>,
}

impl<'a> Mark<'a> {
    fn of((name, claims): (Option<&'a str>, &'a [Claim])) -> Self {
        let all = || claims.iter().map(|claim| (claim.claim_type(), claim.value()));
        // Where claims keep their names `sub` is no id.
        let is_id =
            |(claim_type, value): &(&str, &str)| ["sub", NAME_IDENTIFIER].contains(claim_type) && !value.is_empty();
        let mut ids: Vec<_> = all().filter(is_id).collect();
        if ids.is_empty() {
            ids = match name.filter(|name| !name.is_empty()) {
                Some(name) => vec![("", name)],
                None => all().filter(|(claim_type, _)| !FLEETING.contains(claim_type)).collect(),
            };
            ids.sort_unstable();
        }
        Self { issuer: all().find_map(|(claim_type, value)| (claim_type == "iss").then_some(value)), ids }
    }
}

/// Claims that differ from token to token of one user: times, and numbers of tokens and sessions.
const FLEETING: [&str; 9] = [
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

impl Default for UserId {
    /// The first claim of type `nameidentifier` (`aspnet: DefaultUserIdProvider`).
    fn default() -> Self {
        Self::new(|user| user.id().map(str::to_owned))
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId")
    }
}

#[cfg(test)]
mod tests {
    use super::super::user::UserBuilder;
    use super::*;

    #[test]
    fn users_are_told_apart_by_all_that_names_them() {
        let user = User::builder;
        let same = |one: &User, other: &User| {
            assert_eq!(UserId::default().is_same(one, other), UserId::default().is_same(other, one));
            UserId::default().is_same(one, other)
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
    fn who_signs_in_by_several_schemes_is_told_by_each() {
        let tablet = || User::builder().id("tablet").build();
        let both = |user: UserBuilder| tablet().and(&user.build());
        let (ann, bob) = (User::builder().id("ann"), User::builder().id("bob"));
        assert!(UserId::default().is_same(&both(ann.clone()), &both(ann.clone().role("Doctor"))));
        assert!(!UserId::default().is_same(&both(ann.clone()), &both(bob)));
        assert!(!UserId::default().is_same(&both(ann), &tablet()));
        let named = |name: &str| both(User::builder().name(name));
        assert!(UserId::default().is_same(&named("Ann"), &named("Ann")));
        assert!(!UserId::default().is_same(&named("Ann"), &named("Bob")));
    }

    #[test]
    fn who_has_an_id_may_be_called_otherwise() {
        let ann = |name: &str| User::builder().name_claim("name").claim("sub", "ann").name(name).build();
        assert!(UserId::default().is_same(&ann("Ann"), &ann("Ann B.")));
    }

    #[test]
    fn who_has_no_name_is_told_by_the_rest() {
        let device = |role: &str, exp: &str| User::builder().role(role).claim("exp", exp).build();
        let default = UserId::default();
        assert!(default.is_same(&device("Pump", "1"), &device("Pump", "2")));
        assert!(!default.is_same(&device("Pump", "1"), &device("Lamp", "1")));
        assert!(!default.is_same(&device("Pump", "1"), &User::builder().build()));
        let turned = User::builder().claim("exp", "3").claim("b", "2").claim("a", "1").build();
        assert!(default.is_same(&turned, &User::builder().claim("a", "1").claim("b", "2").build()));
        let empty = |role: &str| User::builder().id("").role(role).build();
        assert!(!default.is_same(&empty("Pump"), &empty("Lamp")));
    }

    #[test]
    fn the_function_of_the_application_counts_as_well() {
        let by_tenant = UserId::new(|user| Some(format!("{}|{}", user.claim("tenant")?, user.id()?)));
        let ann = |tenant: &str| User::builder().id("ann").claim("tenant", tenant).build();
        assert!(by_tenant.is_same(&ann("north"), &ann("north")));
        assert!(!by_tenant.is_same(&ann("north"), &ann("south")));
        assert!(UserId::default().is_same(&ann("north"), &ann("south")));
    }
}
