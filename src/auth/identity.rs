//! Who is the same user as whom.

use std::fmt;
use std::sync::Arc;

use super::claim_types::NAME_IDENTIFIER;
use super::user::{Claim, User};

/// What happens to a request that names the connection of another user.
///
/// Users are the same who have the same issuer, id, name where there is no id, and the same id by
/// [`Builder::user_id`](crate::Builder::user_id). Those of whom none of these is known are the same if all of their claims
/// are, but for the times of a token. Anonymous users are all one: their connections have no owner but who holds the
/// connection token.
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

    /// Whether both are the same person, with whatever other claims. A token's `sub` counts also where claims keep their
    /// names, so that it is no id.
    pub(crate) fn is_same(&self, one: &User, other: &User) -> bool {
        let same = |claim_type| one.claim(claim_type) == other.claim(claim_type);
        if one.is_authenticated() != other.is_authenticated() || !["iss", NAME_IDENTIFIER, "sub"].into_iter().all(same)
        {
            return false;
        }
        let (id, other_id) = (self.of(one), self.of(other));
        let has_id = id.is_some() || one.id().is_some() || one.claim("sub").is_some();
        id == other_id
            && match one.name() {
                _ if one.id().is_some() => true,
                Some(name) => other.name() == Some(name),
                None => other.name().is_none() && (has_id || has_same_claims(one, other)),
            }
    }
}

/// Whether the claims are the same, but for those that differ from token to token.
fn has_same_claims(one: &User, other: &User) -> bool {
    let lasting = |claim: &&Claim| !["exp", "iat", "nbf", "jti"].contains(&claim.claim_type());
    one.all_claims().filter(lasting).eq(other.all_claims().filter(lasting))
}

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
    fn who_has_no_name_is_told_by_the_rest() {
        let device = |role: &str, exp: &str| User::builder().role(role).claim("exp", exp).build();
        let default = UserId::default();
        assert!(default.is_same(&device("Pump", "1"), &device("Pump", "2")));
        assert!(!default.is_same(&device("Pump", "1"), &device("Lamp", "1")));
        assert!(!default.is_same(&device("Pump", "1"), &User::builder().build()));
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
