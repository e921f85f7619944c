//! What can be wrong with a server before it runs.

use std::borrow::Cow;

use crate::auth;

/// A server was described in a way that cannot work.
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
/// let twice = SignalR::builder().hub("/chat", Chat).hub("/Chat", Chat).build();
/// assert!(matches!(twice, Err(BuildError::DuplicatePath(_))));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two endpoints are mapped to one path; case does not matter.
    #[error("two endpoints at `{0}`")]
    DuplicatePath(String),
    /// A path is not absolute, or has a query.
    #[error("`{0}` is no path to map: it begins with `/` and has neither query nor escapes")]
    InvalidPath(String),
    /// A hub has two methods whose names differ in case alone.
    #[error("hub at `{path}`: method `{method}` is defined twice (names are compared ignoring case)")]
    DuplicateMethod {
        /// Where the hub is mapped.
        path: String,
        /// The second of them.
        method: Cow<'static, str>,
    },
    /// A rule of an endpoint, of its hub or of one of its methods cannot be checked.
    #[error("endpoint at `{path}`")]
    Rule {
        /// Where it is mapped.
        path: String,
        /// What is wrong with the rule.
        #[source]
        source: auth::PolicyError,
    },
    /// An endpoint asks who the user is, and nothing can tell.
    #[error("endpoint at `{0}` wants authorization, but the server has no authentication")]
    NoAuthentication(String),
    /// The authentication cannot work.
    #[error("the authentication is not complete")]
    Authentication(#[from] auth::AuthConfigError),
    /// Two authentication schemes have one name.
    #[error("there are two authentication schemes `{0}`")]
    DuplicateScheme(String),
    /// The policies contradict each other, or one asks for nothing that anybody could have.
    #[error("the policies cannot be used")]
    Policies(#[from] auth::PolicyError),
    /// A CORS policy lets the pages of any origin use the credentials of their users, which browsers refuse.
    #[error("a CORS policy cannot allow any origin together with credentials")]
    AnyOriginWithCredentials,
    /// No browser could tell this origin.
    #[error("`{0}` is no origin: it is a scheme, a host and perhaps a port, such as `https://app.test:8443`")]
    InvalidOrigin(String),
    /// A CORS policy names what can be neither method nor header.
    #[error("`{0}` is no name of a method or header")]
    InvalidCors(String),
    /// An option has a value that makes no sense.
    #[error("endpoint at `{path}`: `{option}` must not be zero")]
    Zero {
        /// Where the endpoint is mapped.
        path: String,
        /// Which one.
        option: &'static str,
    },
    /// A limit of negotiates that lets nobody in.
    #[error("the limit of negotiates must not be zero")]
    NoNegotiates,
}
