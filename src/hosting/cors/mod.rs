//! CORS policies (`aspnet: CorsMiddleware`, `CorsService`).

mod policy;
#[cfg(test)]
mod tests;

pub(super) use policy::CorsPolicy;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderMap, HeaderName, HeaderValue, VARY,
};

use super::error::BuildError;
use crate::connection_info::is_origin;

/// CORS policy: allows cross-origin pages to call hubs over HTTP (C#: `CorsPolicyBuilder`). Set
/// with [`Builder::cors`](crate::hosting::Builder::cors).
///
/// By default, a policy allows the requests of SignalR clients: the methods `GET`, `POST` and
/// `DELETE`, any header, and, unless any origin is allowed, credentials, which `@microsoft/signalr`
/// sends by default.
///
/// Browsers do not apply CORS to WebSockets; see
/// [`allowed_origins`](crate::hosting::Builder::allowed_origins).
///
/// ```
/// use signalr::hosting::Cors;
/// use signalr::SignalR;
///
/// let builder = SignalR::builder().cors(Cors::origins(["https://app.test"])).allowed_origins(["https://app.test"]);
/// ```
#[derive(Clone, Debug)]
pub struct Cors {
    origins: CorsOrigins,
    headers: HeaderNames,
    methods: HeaderNames,
    exposed_headers: Vec<String>,
    credentials: bool,
    preflight_max_age: Option<Duration>,
}

#[derive(Clone)]
enum CorsOrigins {
    Any,
    Listed(Vec<String>),
    Predicate(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

/// Allowed names of headers or methods.
#[derive(Clone, Debug)]
enum HeaderNames {
    /// All names that the preflight requests.
    Any,
    Listed(Vec<String>),
}

impl Cors {
    /// Allows pages of these origins, such as `https://app.test` or `http://localhost:5173`:
    /// without a path, converted to lower case and compared exactly with the `Origin` header. `*`
    /// alone allows any origin. (C#: `WithOrigins`)
    pub fn origins(origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let origins: Vec<_> = origins.into_iter().map(|origin| origin.into().to_ascii_lowercase()).collect();
        Self::new(if origins == ["*"] { CorsOrigins::Any } else { CorsOrigins::Listed(origins) })
    }

    /// Allows pages of any origin, without credentials: `@microsoft/signalr` then needs
    /// `withCredentials: false`. (C#: `AllowAnyOrigin`)
    pub fn any_origin() -> Self {
        Self::new(CorsOrigins::Any).disallow_credentials()
    }

    /// Allows pages of origins for which `allowed` returns `true`. (C#: `SetIsOriginAllowed`)
    ///
    /// An allowed page can act on behalf of its users, so compare the start of the origin, or
    /// scheme and end:
    ///
    /// ```
    /// # use signalr::hosting::Cors;
    /// Cors::origin_allowed(|origin| origin.starts_with("http://localhost:"));
    /// Cors::origin_allowed(|origin| origin.starts_with("https://") && origin.ends_with(".app.test"));
    /// ```
    pub fn origin_allowed(allowed: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self::new(CorsOrigins::Predicate(Arc::new(allowed)))
    }

    fn new(origins: CorsOrigins) -> Self {
        Self {
            origins,
            headers: HeaderNames::Any,
            methods: HeaderNames::new(["GET", "POST", "DELETE"]),
            exposed_headers: Vec::new(),
            credentials: true,
            preflight_max_age: None,
        }
    }

    /// Allows only these request headers, instead of any. SignalR clients send `x-requested-with`
    /// and `x-signalr-user-agent`; `authorization` with tokens; `content-type` with binary bodies;
    /// and `x-signalr-connection-token` for an authentication refresh. (C#: `WithHeaders`)
    pub fn with_headers(mut self, headers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.headers = HeaderNames::new(headers);
        self
    }

    /// Allows any request header. This is the default. (C#: `AllowAnyHeader`)
    pub fn allow_any_header(mut self) -> Self {
        self.headers = HeaderNames::Any;
        self
    }

    /// Allows these methods, instead of `GET`, `POST` and `DELETE`. (C#: `WithMethods`)
    pub fn with_methods(mut self, methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.methods = HeaderNames::new(methods);
        self
    }

    /// Allows any method. (C#: `AllowAnyMethod`)
    pub fn allow_any_method(mut self) -> Self {
        self.methods = HeaderNames::Any;
        self
    }

    /// Allows requests with credentials, such as cookies. This is the default, except with
    /// [`any_origin`](Self::any_origin); together with any origin it is an error of
    /// [`build`](crate::hosting::Builder::build). (C#: `AllowCredentials`)
    pub fn allow_credentials(mut self) -> Self {
        self.credentials = true;
        self
    }

    /// Allows only requests without credentials. (C#: `DisallowCredentials`)
    pub fn disallow_credentials(mut self) -> Self {
        self.credentials = false;
        self
    }

    /// Exposes response headers to pages, in addition to the CORS-safelisted ones. Default: none;
    /// SignalR clients need none. (C#: `WithExposedHeaders`)
    pub fn with_exposed_headers(mut self, headers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.exposed_headers = headers.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how long browsers may cache a preflight response; fractions of a second are dropped.
    /// Default: not sent, so that browsers decide (Chromium: 5 seconds). (C#: `SetPreflightMaxAge`)
    pub fn set_preflight_max_age(mut self, age: Duration) -> Self {
        self.preflight_max_age = Some(age);
        self
    }

    pub(super) fn into_policy(self) -> Result<CorsPolicy, BuildError> {
        let varies_by_origin = match &self.origins {
            CorsOrigins::Any if self.credentials => return Err(BuildError::AnyOriginWithCredentials),
            CorsOrigins::Any => false,
            CorsOrigins::Listed(origins) => match origins.iter().find(|origin| !is_origin(origin)) {
                Some(origin) => return Err(BuildError::InvalidOrigin(origin.clone())),
                None => origins.len() > 1,
            },
            CorsOrigins::Predicate(_) => true,
        };
        let mut common = HeaderMap::new();
        if self.credentials {
            common.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if varies_by_origin {
            common.insert(VARY, HeaderValue::from_static("Origin"));
        }
        let (mut preflight, mut actual) = (common.clone(), common);
        let is_header = |name: &str| HeaderName::try_from(name).is_ok();
        if let HeaderNames::Listed(headers) = &self.headers {
            set_list(&mut preflight, ACCESS_CONTROL_ALLOW_HEADERS, headers, is_header)?;
        }
        if let HeaderNames::Listed(methods) = &self.methods {
            set_list(&mut preflight, ACCESS_CONTROL_ALLOW_METHODS, methods, |name| Method::try_from(name).is_ok())?;
        }
        if let Some(age) = self.preflight_max_age {
            preflight.insert(ACCESS_CONTROL_MAX_AGE, age.as_secs().into());
        }
        set_list(&mut actual, ACCESS_CONTROL_EXPOSE_HEADERS, &self.exposed_headers, is_header)?;
        Ok(CorsPolicy {
            origins: self.origins,
            any_header: matches!(self.headers, HeaderNames::Any),
            any_method: matches!(self.methods, HeaderNames::Any),
            preflight,
            actual,
        })
    }
}

impl HeaderNames {
    fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names: Vec<_> = names.into_iter().map(Into::into).collect();
        if names == ["*"] { Self::Any } else { Self::Listed(names) }
    }
}

impl fmt::Debug for CorsOrigins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("Any"),
            Self::Listed(origins) => f.debug_tuple("Listed").field(origins).finish(),
            Self::Predicate(_) => f.write_str("Predicate"),
        }
    }
}

/// Sets a header to a list of names, unless the list is empty.
fn set_list(
    headers: &mut HeaderMap,
    header: HeaderName,
    names: &[String],
    is_name: impl Fn(&str) -> bool,
) -> Result<(), BuildError> {
    if let Some(name) = names.iter().find(|name| !is_name(name)) {
        return Err(BuildError::InvalidCors(name.clone()));
    }
    if !names.is_empty() {
        let list = HeaderValue::try_from(names.join(",")).expect("header and method names are valid header values");
        headers.insert(header, list);
    }
    Ok(())
}
