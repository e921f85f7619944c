//! HTTP service: routing, authentication and authorization of requests.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::task::{Context, Poll};

use http::header::COOKIE;
use http::request::Parts;
use http::{Extensions, HeaderMap, Request, Response, StatusCode};

use super::Server;
use super::builder::{KeepExtension, PeerAddrOf};
use super::cors::CorsPolicy;
use super::endpoint::BuiltEndpoint;
use super::error::BuildError;
use super::path::{NEGOTIATE, REFRESH, Routes, canonical};
use crate::auth::{AuthRejection, AuthRequest, AuthenticationResult, Decision, EndpointRules, RequestKind, Schemes};
#[cfg(feature = "rate-limit")]
use crate::connections::is_unnegotiated;
use crate::connections::{
    AuthenticatedRequest, Endpoint, EndpointResponse, RequestBody, ResponseBody, classify_request,
};
use crate::socket::SocketHandle;

/// HTTP service of a server, returned by [`SignalR::service`](crate::SignalR::service).
///
/// Implements the `Service` traits of `hyper` and `tower` for requests with any body. Cloning is
/// cheap.
///
/// ```
/// use signalr::SignalR;
///
/// # fn main() -> Result<(), signalr::hosting::BuildError> {
/// let signalr = SignalR::builder().build()?;
/// let app: axum::Router = axum::Router::new().fallback_service(signalr.service());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Service {
    /// Keeps the server running after its `SignalR` was dropped.
    server: Arc<Server>,
}

/// Address of the peer, in the extensions of a request. [`SignalR::serve`](crate::SignalR::serve)
/// inserts it; other hosts can insert it too.
///
/// ```
/// use std::net::SocketAddr;
///
/// use signalr::hosting::PeerAddr;
///
/// fn accepted<B>(request: &mut http::Request<B>, peer: SocketAddr) {
///     request.extensions_mut().insert(PeerAddr(peer));
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "hosts construct it")]
pub struct PeerAddr(pub SocketAddr);

/// User of a request, in its extensions. Set by tests in place of credentials.
#[cfg(feature = "testing")]
#[derive(Clone, Debug)]
pub(crate) struct TestUser(pub(crate) crate::auth::User);

/// Future of the response of [`Service`].
///
/// ```
/// use hyper::service::Service as _;
/// use signalr::hosting::ResponseFuture;
/// use signalr::SignalR;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), signalr::hosting::BuildError> {
/// let service = SignalR::builder().build()?.service();
/// let response: ResponseFuture = service.call(http::Request::new(String::new()));
/// assert_eq!(response.await.unwrap().status(), 404);
/// # Ok(())
/// # }
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture {
    /// `None` once the future has completed.
    response: Option<EndpointResponse>,
    /// CORS headers to add to the response.
    cors: HeaderMap,
    socket: Option<SocketHandle>,
}

/// Endpoints of a server by path.
pub(super) struct Router {
    schemes: Schemes,
    peer_addr: PeerAddrOf,
    extensions: Vec<KeepExtension>,
    routes: Routes<(SubPath, usize)>,
    endpoints: Vec<Route>,
    /// CORS policy of requests to unmapped paths.
    cors: Option<CorsPolicy>,
    #[cfg(feature = "rate-limit")]
    pub(super) negotiate_limit: Option<super::negotiate_limit::Limiter>,
}

struct Route {
    rules: EndpointRules,
    cors: Option<CorsPolicy>,
    endpoint: Arc<Endpoint>,
    /// Limits the warning about missing credentials to one per endpoint.
    missing_credentials_warning: Once,
}

/// Sub-resource of an endpoint: negotiate, refresh, or the connection itself.
#[derive(Clone, Copy)]
enum SubPath {
    Negotiate,
    Refresh,
    Execute,
}

impl Service {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    fn respond<B>(&self, request: Request<B>) -> ResponseFuture
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
    {
        #[cfg_attr(not(feature = "tower"), expect(unused_mut, reason = "only the redact layer changes requests"))]
        let (mut parts, body) = request.into_parts();
        #[cfg(feature = "tower")]
        super::redact_layer::restore(&mut parts);
        let body = RequestBody::new(body, parts.version, &self.server.tasks);
        let socket = parts.extensions.get().cloned();
        // CORS policies call closures of the application, whose panics must not reach the host.
        let response = catch_unwind(AssertUnwindSafe(|| self.route_request(parts, body)))
            .unwrap_or_else(|_| ResponseFuture::ready(status(StatusCode::INTERNAL_SERVER_ERROR)));
        ResponseFuture { socket, ..response }
    }

    /// Answers CORS preflights immediately, and passes other requests to their endpoint.
    fn route_request<B>(&self, parts: Parts, body: B) -> ResponseFuture
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
    {
        let router = &self.server.router;
        let found = router.routes.find(parts.uri.path());
        let policy = found.map_or(&router.cors, |(_, index)| &router.endpoints[index].cors).as_ref();
        if let Some(preflight) = policy.and_then(|policy| policy.preflight(&parts)) {
            return ResponseFuture::ready(preflight);
        }
        let cors = policy.map(|policy| policy.headers(&parts.headers)).unwrap_or_default();
        let response = match found {
            Some((sub_path, index)) => {
                let server = Arc::clone(&self.server);
                EndpointResponse::Pending(Box::pin(async move {
                    let router = &server.router;
                    let response = router.dispatch(sub_path, &router.endpoints[index], parts, body).await;
                    // A pending response, such as that of a poll, must not keep the server running.
                    drop(server);
                    match response {
                        EndpointResponse::Ready(response) => response,
                        EndpointResponse::Pending(future) => future.await,
                    }
                }))
            }
            None => EndpointResponse::Ready(status(StatusCode::NOT_FOUND)),
        };
        ResponseFuture { response: Some(response), cors, socket: None }
    }
}

impl ResponseFuture {
    pub(super) fn ready(response: Response<ResponseBody>) -> Self {
        Self { response: Some(EndpointResponse::Ready(response)), cors: HeaderMap::new(), socket: None }
    }
}

impl Router {
    pub(super) fn new(
        schemes: Schemes,
        peer_addr: PeerAddrOf,
        extensions: Vec<KeepExtension>,
        cors: Option<CorsPolicy>,
    ) -> Self {
        Self {
            schemes,
            peer_addr,
            extensions,
            routes: Routes::new(),
            endpoints: Vec::new(),
            cors,
            #[cfg(feature = "rate-limit")]
            negotiate_limit: None,
        }
    }

    pub(super) fn add(&mut self, endpoint: BuiltEndpoint) -> Result<(), BuildError> {
        let BuiltEndpoint { path, rules, cors, connections: endpoint } = endpoint;
        if !path.starts_with('/') || path.contains(['?', '#', '%']) {
            return Err(BuildError::InvalidPath(path));
        }
        let index = self.endpoints.len();
        let base = canonical(&path).ok_or_else(|| BuildError::InvalidPath(path.clone()))?;
        let refresh = endpoint.is_refresh_enabled().then(|| (format!("{base}{REFRESH}"), SubPath::Refresh));
        let routes = [(format!("{base}{NEGOTIATE}"), SubPath::Negotiate), (base, SubPath::Execute)];
        for (route, sub_path) in routes.into_iter().chain(refresh) {
            if self.routes.insert(route, (sub_path, index)).is_some() {
                return Err(BuildError::DuplicatePath(path));
            }
        }
        self.endpoints.push(Route { rules, cors, endpoint, missing_credentials_warning: Once::new() });
        Ok(())
    }

    /// Whether a path ends in the path of an endpoint: routers of hosts can strip a prefix.
    #[cfg(feature = "tower")]
    pub(super) fn ends_in_route(&self, path: &str) -> bool {
        self.routes.ends_in_route(path)
    }

    /// Authenticates and authorizes a request, then passes it to the endpoint.
    async fn dispatch<B>(&self, sub_path: SubPath, route: &Route, parts: Parts, body: B) -> EndpointResponse
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
    {
        let Route { rules, endpoint, missing_credentials_warning, .. } = route;
        let kind = match sub_path {
            SubPath::Negotiate => RequestKind::Negotiate,
            SubPath::Refresh => RequestKind::Refresh,
            SubPath::Execute => classify_request(&parts),
        };
        let peer_addr = (self.peer_addr)(&parts.extensions);
        #[cfg(feature = "rate-limit")]
        if let Some(limit) = &self.negotiate_limit
            && (matches!(sub_path, SubPath::Negotiate) || is_unnegotiated(&parts))
            && let Some(rejection) = limit.check(peer_addr)
        {
            return EndpointResponse::Ready(rejection);
        }
        let request = AuthRequest::new(&parts, kind).with_peer_addr(peer_addr);
        let result = self.authenticate(&request, &rules.schemes).await;
        match rules.decide(&result.user).await {
            Decision::Allow => {}
            Decision::Challenge => {
                if lacks_credentials(&request, &result) {
                    missing_credentials_warning.call_once(|| warn_missing_credentials(request.path()));
                }
                return EndpointResponse::Ready(rejected(self.schemes.challenge(&request, &rules.schemes, &result)));
            }
            Decision::Forbid => {
                return EndpointResponse::Ready(rejected(self.schemes.forbid(&request, &rules.schemes)));
            }
        }
        if endpoint.refuses_origin(&parts) {
            return EndpointResponse::Ready(status(StatusCode::FORBIDDEN));
        }
        let mut extensions = Extensions::new();
        self.extensions.iter().for_each(|keep| keep(&parts.extensions, &mut extensions));
        let authenticated = AuthenticatedRequest {
            query: parts.uri.query().and_then(|query| endpoint.application_query(query)),
            peer_addr,
            extensions,
            user: result.user,
            parts,
        };
        match sub_path {
            SubPath::Negotiate => EndpointResponse::Ready(endpoint.negotiate(&authenticated)),
            SubPath::Refresh => endpoint.refresh(authenticated),
            SubPath::Execute => endpoint.execute(authenticated, body),
        }
    }

    async fn authenticate(&self, request: &AuthRequest<'_>, schemes: &[usize]) -> AuthenticationResult {
        #[cfg(feature = "testing")]
        if let Some(TestUser(user)) = request.extension() {
            return AuthenticationResult::of_test_user(user.clone());
        }
        self.schemes.authenticate(request, schemes).await
    }
}

/// Whether the request is a WebSocket or an event stream, for which browsers send their token in
/// the query, and carries no credentials.
fn lacks_credentials(request: &AuthRequest<'_>, result: &AuthenticationResult) -> bool {
    request.kind().is_stream() && result.is_anonymous() && !request.headers().contains_key(COOKIE)
}

/// Warns because clients whose WebSocket is rejected fall back to long polling without an error.
fn warn_missing_credentials(path: &str) {
    tracing::warn!(
        target: "signalr::connection",
        path,
        "WebSocket or event stream without credentials rejected; logged once per endpoint. Browsers send their token \
         as `access_token` in the query: check that the client sets `accessTokenFactory`, that the `QueryToken` rule \
         covers this path, and that proxies keep the query"
    );
}

fn rejected(rejection: AuthRejection) -> Response<ResponseBody> {
    let mut response = status(rejection.status);
    *response.headers_mut() = rejection.headers;
    response
}

/// Returns an empty response with a status.
pub(super) fn status(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::default());
    *response.status_mut() = status;
    response
}

impl<B> hyper::service::Service<Request<B>> for Service
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn call(&self, request: Request<B>) -> ResponseFuture {
        self.respond(request)
    }
}

impl<B> tower_service::Service<Request<B>> for Service
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        self.respond(request)
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = match self.response.take().expect("polled after completion") {
            EndpointResponse::Ready(response) => response,
            // Authenticators, policies and redirects are code of the application and can panic.
            EndpointResponse::Pending(mut future) => {
                match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                    Ok(Poll::Ready(response)) => response,
                    Ok(Poll::Pending) => {
                        self.response = Some(EndpointResponse::Pending(future));
                        return Poll::Pending;
                    }
                    Err(_) => status(StatusCode::INTERNAL_SERVER_ERROR),
                }
            }
        };
        response.headers_mut().extend(std::mem::take(&mut self.cors));
        response.body_mut().set_socket(self.socket.take());
        Poll::Ready(Ok(response))
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("endpoints", &self.server.router.endpoints.len()).finish_non_exhaustive()
    }
}
