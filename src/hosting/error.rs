//! Errors of [`Builder::build`](crate::hosting::Builder::build).

use std::borrow::Cow;

use crate::auth;

/// Invalid options, returned by [`Builder::build`](crate::hosting::Builder::build).
///
/// ```
/// use signalr::hosting::BuildError;
/// use signalr::{SignalR, hub};
///
/// struct Chat;
///
/// #[hub]
/// impl Chat {}
///
/// let result = SignalR::builder().hub("/chat", Chat).hub("/Chat", Chat).build();
/// assert!(matches!(result, Err(BuildError::DuplicatePath(_))));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two endpoints are mapped to one path. Paths ignore case.
    #[error("duplicate path `{0}`")]
    DuplicatePath(String),
    /// A path is not absolute, or contains `?`, `#` or `%`.
    #[error("invalid path `{0}`: expected a leading `/` and neither query, fragment nor percent-encoding")]
    InvalidPath(String),
    /// A hub has two methods whose names are equal or differ only in case.
    #[error("duplicate method `{method}` of the hub at `{path}` (method names ignore case)")]
    DuplicateMethod {
        /// Path of the hub.
        path: String,
        /// Name of the second method.
        method: Cow<'static, str>,
    },
    /// A rule of an endpoint, of its hub or of one of its methods is invalid.
    #[error("invalid authorization rule of the endpoint at `{path}`")]
    Rule {
        /// Path of the endpoint.
        path: String,
        /// Cause of the error.
        #[source]
        source: auth::PolicyError,
    },
    /// An endpoint has authorization rules, but the server has no authentication scheme.
    #[error("endpoint at `{0}` requires authorization, but no authentication scheme is configured")]
    NoAuthentication(String),
    /// The options of an authentication scheme are invalid.
    #[error("invalid authentication options")]
    Authentication(#[from] auth::AuthConfigError),
    /// Two authentication schemes have the same name.
    #[error("duplicate authentication scheme `{0}`")]
    DuplicateScheme(String),
    /// A policy is invalid: for example, two policies have the same name, or no user can meet one.
    #[error("invalid authorization policy")]
    Policies(#[from] auth::PolicyError),
    /// A CORS policy allows any origin together with credentials, which browsers reject.
    #[error("CORS policy allows any origin together with credentials")]
    AnyOriginWithCredentials,
    /// An origin is not one that a browser could send.
    #[error("invalid origin `{0}`: expected a scheme, a host and an optional port, such as `https://app.test:8443`")]
    InvalidOrigin(String),
    /// A CORS policy contains an invalid name of a method or header.
    #[error("invalid name `{0}` of a method or header in a CORS policy")]
    InvalidCors(String),
    /// The URL of [`Builder::server_url`](crate::hosting::Builder::server_url) is not one to which
    /// clients can be redirected.
    #[error("invalid server URL: {0}")]
    InvalidServerUrl(&'static str),
    /// An option is zero that must not be.
    #[error("option `{option}` of the endpoint at `{path}` must not be zero")]
    Zero {
        /// Path of the endpoint.
        path: String,
        /// Name of the option.
        option: &'static str,
    },
    /// The [name of a hub](crate::hosting::EndpointBuilder::dotnet_name) is empty or contains `:`,
    /// which separates the parts of the channels of a backplane.
    #[error("invalid name `{0}` of a hub: expected a name without `:`")]
    InvalidHubName(String),
    /// Two hub types have the same [name](crate::hosting::EndpointBuilder::dotnet_name), and would
    /// receive each other's messages from the backplane.
    #[error("duplicate name `{0}` of a hub")]
    DuplicateHubName(String),
    /// A rate or burst of [`NegotiateLimit`](crate::hosting::NegotiateLimit) is zero.
    #[error("negotiate limit must not be zero")]
    NoNegotiates,
}
