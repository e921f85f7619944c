//! Authentication and authorization.
//!
//! [`JwtBearer`] authenticates requests by bearer tokens and produces a [`User`]. Other schemes implement
//! [`Authenticator`]; see [`schemes`]. A [`Policy`] decides whether a user is allowed, and an
//! [`Authorize`] rule names the policy of an endpoint or a hub method. Texts, order of checks and types of
//! claims are those of ASP.NET Core's `AddJwtBearer`, so that clients and proxies see no difference.
//!
//! The keys that verify tokens are options of [`JwtBearer`] or, with the feature `oidc`, those of an
//! identity provider.
//!
//! This module does not depend on hubs or connections. It never prints a token.

mod api_keys;
pub use api_keys::ApiKeys;

mod authorize;
pub(crate) use authorize::{AuthorizationRules, Decision, EndpointRules, Policies};
pub use authorize::{Authorize, PolicyError};

mod auth_error;
pub use auth_error::AuthError;

pub mod claim_types;

mod claims;

mod invariant_date;

mod host_user;
pub use host_user::ExtensionUser;

mod user_identity;
pub use user_identity::IdentityBinding;
pub(crate) use user_identity::UserIdProvider;

mod json;

mod jwt;
pub use jwt::{AuthConfigError, JwtBearer};

mod key;
pub use key::{KeyError, SigningKey};

#[cfg(feature = "oidc")]
mod oidc;
#[cfg(feature = "oidc")]
pub use oidc::IdentityProvider;

mod policy;
pub use policy::Policy;
pub(crate) use policy::Resource;

mod redact;
pub(crate) use redact::strip_access_token;
pub use redact::{RedactedUri, redact_query};
#[cfg(feature = "tower")]
pub(crate) use redact::{SECRET_PARAMETERS, split_secrets};

mod request;
pub use request::{AuthRequest, QueryToken, RequestKind};

mod scheme;
#[doc(hidden)]
pub use scheme::AuthenticateFn;
pub use scheme::{AuthRejection, Authentication, Authenticator};
pub(crate) use scheme::{AuthenticationResult, Schemes};

#[doc = include_str!("security.md")]
pub mod security {}

mod token;

mod user;
pub use user::{Claim, Claims, User, UserBuilder};

#[doc = include_str!("schemes.md")]
pub mod schemes {}

#[cfg(test)]
mod tests;
