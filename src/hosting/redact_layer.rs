//! Layer that removes secrets from requests before other middleware sees them. The service of this
//! crate restores them.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, COOKIE, Entry, HeaderName, PROXY_AUTHORIZATION};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Request, Uri};

use super::{Server, SignalR};
use crate::auth::{SECRET_PARAMETERS, split_secrets};

impl SignalR {
    /// Returns a `tower` layer that hides access tokens and connection tokens of clients from the
    /// application around which it is placed, so that no `TraceLayer`, middleware or other route
    /// can log them. The service of this server, which is inside the application, restores them.
    ///
    /// - `access_token` is removed from the query of every request, regardless of its path, because
    ///   clients that request a wrong path send it too.
    /// - `id` is removed from the query of requests to mapped paths, also behind a prefix that a
    ///   router strips. At other paths, `id` belongs to other applications and is kept.
    /// - The headers `Authorization`, `Cookie`, `Proxy-Authorization` and
    ///   `X-SignalR-Connection-Token`, and those added with [`RedactLayer::header`], are marked
    ///   [sensitive](http::HeaderValue::set_sensitive): they stay readable, and their `Debug`
    ///   output is `Sensitive`.
    ///
    /// ```
    /// use axum::{Router, ServiceExt, extract::Request};
    /// use signalr::SignalR;
    /// use tower::Layer;
    /// use tower_http::trace::TraceLayer;
    ///
    /// # async fn run(listener: tokio::net::TcpListener) -> Result<(), Box<dyn std::error::Error>> {
    /// let signalr = SignalR::builder().build()?;
    /// let app = Router::new().fallback_service(signalr.service()).layer(TraceLayer::new_for_http());
    /// // Around the router, not among its own layers: those run after axum has copied the URI.
    /// let app = signalr.redact_layer().layer(app);
    /// axum::serve(listener, ServiceExt::<Request>::into_make_service(app)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Place middleware that authenticates by `access_token` itself outside of this layer. Proxies
    /// and servers in front of the application see the whole URL: for their configuration, see
    /// [`auth::security`](crate::auth::security).
    ///
    /// (C#: no counterpart; ASP.NET Core logs whole URLs)
    pub fn redact_layer(&self) -> RedactLayer {
        RedactLayer { server: Arc::clone(&self.server), headers: SENSITIVE_HEADERS.to_vec() }
    }
}

/// Layer that removes secrets from requests, returned by [`SignalR::redact_layer`].
///
/// ```
/// use signalr::hosting::{RedactLayer, Redacted, Service};
/// use signalr::SignalR;
/// use tower::Layer;
///
/// # fn main() -> Result<(), signalr::hosting::BuildError> {
/// let signalr = SignalR::builder().build()?;
/// let layer: RedactLayer = signalr.redact_layer();
/// let service: Redacted<Service> = layer.layer(signalr.service());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedactLayer {
    server: Arc<Server>,
    headers: Vec<HeaderName>,
}

impl RedactLayer {
    /// Marks another header as sensitive, such as a header that carries API keys.
    ///
    /// ```
    /// # fn main() -> Result<(), signalr::hosting::BuildError> {
    /// let signalr = signalr::SignalR::builder().build()?;
    /// let layer = signalr.redact_layer().header(http::HeaderName::from_static("x-api-key"));
    /// # let _ = layer;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn header(mut self, name: HeaderName) -> Self {
        self.headers.push(name);
        self
    }
}

/// Service of a [`RedactLayer`], whose requests contain no secrets.
#[derive(Clone)]
pub struct Redacted<S> {
    inner: S,
    layer: RedactLayer,
}

/// Query parameters that the layer removed, in the extensions of the request. Not `Debug`, so that
/// they are not printed.
#[derive(Clone)]
struct HiddenParameters(String);

/// Restores the parameters that a layer removed.
pub(super) fn restore(parts: &mut Parts) {
    let Some(HiddenParameters(hidden)) = parts.extensions.remove() else { return };
    let query = match parts.uri.query() {
        Some(query) => format!("{query}&{hidden}"),
        None => hidden,
    };
    set_query(&mut parts.uri, Some(&query));
}

/// Keeps the URI unchanged if the query is invalid, for example too long after middleware appended
/// to it.
fn set_query(uri: &mut Uri, query: Option<&str>) {
    let path = uri.path();
    let path_and_query = match query {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = path_and_query.ok();
    if let Ok(changed) = Uri::from_parts(parts) {
        *uri = changed;
    }
}

impl<S> Redacted<S> {
    fn hide<B>(&self, request: &mut Request<B>) {
        for name in &self.layer.headers {
            if let Entry::Occupied(mut lines) = request.headers_mut().entry(name) {
                lines.iter_mut().for_each(|value| value.set_sensitive(true));
            }
        }
        let uri = request.uri();
        let Some(query) = uri.query() else { return };
        let [token, _] = SECRET_PARAMETERS;
        let secret_parameters =
            if self.layer.server.router.ends_in_route(uri.path()) { &SECRET_PARAMETERS[..] } else { &[token] };
        let (mut hidden, rest) = split_secrets(query, secret_parameters);
        if hidden.is_empty() {
            return;
        }
        set_query(request.uri_mut(), (!rest.is_empty()).then_some(&rest));
        // Removed by the layer of another server around this one.
        if let Some(HiddenParameters(outer)) = request.extensions_mut().remove() {
            hidden = format!("{outer}&{hidden}");
        }
        request.extensions_mut().insert(HiddenParameters(hidden));
    }
}

const SENSITIVE_HEADERS: [HeaderName; 4] =
    [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, HeaderName::from_static("x-signalr-connection-token")];

impl<S> tower_layer::Layer<S> for RedactLayer {
    type Service = Redacted<S>;

    fn layer(&self, inner: S) -> Redacted<S> {
        Redacted { inner, layer: self.clone() }
    }
}

impl<S, B> tower_service::Service<Request<B>> for Redacted<S>
where
    S: tower_service::Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        self.hide(&mut request);
        self.inner.call(request)
    }
}

impl fmt::Debug for RedactLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactLayer").finish_non_exhaustive()
    }
}

impl<S: fmt::Debug> fmt::Debug for Redacted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redacted").field("inner", &self.inner).finish_non_exhaustive()
    }
}
