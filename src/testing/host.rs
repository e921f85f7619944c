//! In-memory server and its connections.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::client::TestClient;
use super::connection::{ConnectionClosed, TestConnection};
use crate::auth::{Policy, User};
use crate::connection_info::ConnectionId;
use crate::hosting::{Builder, EndpointBuilder, IntoHub, SignalR, TestUser};
use crate::hub::{Hub, HubContext};
use crate::protocol::{HubProtocol, HubProtocolKind};

/// In-memory server for tests.
///
/// Clones are cheap and share the server. Its connections end when the last clone is dropped.
///
/// ```
/// # use signalr::hub::{AnyClient, Methods};
/// # use signalr::{Hub, SignalR};
/// # struct Chat;
/// # impl Hub for Chat {
/// #     type Client = AnyClient;
/// #     type Items = ();
/// #     fn methods(_: &mut Methods<Self>) {}
/// # }
/// use signalr::testing::TestHost;
///
/// // One hub with default options.
/// let host = TestHost::builder(Chat).build();
///
/// // Any other configuration.
/// let server = SignalR::builder().enable_detailed_errors(true).hub("/chat", Chat);
/// let host = TestHost::from_builder(server);
/// ```
pub struct TestHost<H> {
    signalr: SignalR,
    path: String,
    headers: HeaderMap,
    _hub: PhantomData<fn() -> H>,
}

impl<H: Hub> TestHost<H> {
    /// Returns a builder for a server with this hub only.
    pub fn builder(hub: impl IntoHub<Hub = H>) -> TestHostBuilder<H> {
        TestHostBuilder { builder: SignalR::builder(), hub: hub.into_hub() }
    }

    /// Builds the configured server. Clients connect to the hub that was mapped last.
    ///
    /// Authorization rules work without [`authentication`](Builder::authentication), because
    /// clients pass their users directly.
    ///
    /// # Panics
    ///
    /// Panics if [`Builder::build`] fails.
    #[track_caller]
    pub fn from_builder(builder: EndpointBuilder<H>) -> Self {
        let path = builder.path().to_owned();
        let signalr =
            builder.build_with_known_users().unwrap_or_else(|error| panic!("failed to build the server: {error}"));
        Self { signalr, path, headers: HeaderMap::new(), _hub: PhantomData }
    }

    /// Returns a host of the same server whose clients connect to another hub or with a query:
    /// `host.for_path::<Chat>("/chat?room=1")`.
    pub fn for_path<Other: Hub>(&self, path: impl Into<String>) -> TestHost<Other> {
        let (signalr, headers) = (self.signalr.clone(), self.headers.clone());
        TestHost { signalr, path: path.into(), headers, _hub: PhantomData }
    }

    /// Returns a host of the same server whose clients send this header in all requests.
    ///
    /// # Panics
    ///
    /// Panics if the name or the value is invalid.
    #[must_use]
    #[track_caller]
    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let mut host = self.clone();
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => host.headers.append(name, value),
            _ => panic!("invalid header `{name}: {value}`"),
        };
        host
    }

    /// Returns the server, for example for its statistics and its shutdown.
    pub fn signalr(&self) -> &SignalR {
        &self.signalr
    }

    /// Returns the context that sends to clients of the hub.
    pub fn context(&self) -> HubContext<H> {
        self.signalr.context()
    }

    /// Connects as this user; see [`user`](super::user) and [`User::anonymous`]. Completes after
    /// `on_connected`.
    ///
    /// An anonymous user is authenticated by the schemes of the server, if it has any.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future aborts the connection.
    ///
    /// # Panics
    ///
    /// Panics if the server rejects the client or does not respond in time.
    #[track_caller]
    pub fn connect(&self, protocol: HubProtocolKind, user: impl Into<User>) -> impl Future<Output = TestClient> {
        let caller = std::panic::Location::caller();
        async move {
            let connected = self.try_connect(protocol, user).await;
            connected.unwrap_or_else(|error| super::deadline::fail(&format!("failed to connect: {error}"), caller))
        }
    }

    /// Connects as this user, as [`connect`](Self::connect) does.
    ///
    /// # Errors
    ///
    /// Returns an error if the server rejects the client. A failure of `on_connected` is not an
    /// error here: it closes the connection, see [`TestClient::closed`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future aborts the connection.
    ///
    /// # Panics
    ///
    /// Panics if the server does not respond in time.
    pub async fn try_connect(
        &self,
        protocol: HubProtocolKind,
        user: impl Into<User>,
    ) -> Result<TestClient, ConnectError> {
        let client = self.open(protocol, user).await?;
        client.handshake().await?;
        client.wait_until_connected().await;
        Ok(client)
    }

    /// Connects without the handshake; see [`TestClient::handshake`].
    ///
    /// # Errors
    ///
    /// Returns an error if the server rejects the client.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future aborts the connection.
    pub async fn open(&self, protocol: HubProtocolKind, user: impl Into<User>) -> Result<TestClient, ConnectError> {
        let user = Some(user.into()).filter(User::is_authenticated).map(TestUser);
        let (id, token) = self.negotiate(user.clone()).await?;
        let socket = self.open_socket(&token, user).await?;
        let naming = self.context().shared().naming.get().copied().unwrap_or_default();
        Ok(TestClient::new(TestConnection::start(socket, HubProtocol::new(protocol, naming)), id))
    }

    /// Negotiates; returns the connection id and the connection token.
    async fn negotiate(&self, user: Option<TestUser>) -> Result<(ConnectionId, String), ConnectError> {
        let mut request = Request::new(String::new());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri("/negotiate", "negotiateVersion=1");
        request.headers_mut().extend(self.headers.clone());
        request.extensions_mut().extend(user_extensions(user));
        let Ok(response) = self.signalr.service().call(request).await;
        let status = response.status();
        let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        if status != StatusCode::OK {
            return Err(ConnectError::refused(status, &body));
        }
        let unreadable = || ConnectError::Negotiation(String::from_utf8_lossy(&body).into_owned());
        match serde_json::from_slice(&body).map_err(|_| unreadable())? {
            NegotiateBody { error: Some(error), .. } => Err(ConnectError::Negotiation(error)),
            NegotiateBody { url: Some(url), .. } => Err(ConnectError::Redirected(url)),
            NegotiateBody { connection_id: Some(id), connection_token: Some(token), .. } => {
                Ok((ConnectionId::parse(&id).ok_or_else(unreadable)?, token))
            }
            _ => Err(unreadable()),
        }
    }

    /// Opens a WebSocket over an in-memory pipe; hyper serves the other end with the service.
    async fn open_socket(
        &self,
        token: &str,
        user: Option<TestUser>,
    ) -> Result<WebSocketStream<DuplexStream>, ConnectError> {
        let uri = self.uri("", &format!("id={token}"));
        let mut request = uri.into_client_request().expect("the URI has a host");
        request.headers_mut().extend(self.headers.clone());
        let (client_io, server_io) = tokio::io::duplex(DUPLEX_CAPACITY_BYTES);
        let service = self.signalr.service();
        let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
            request.extensions_mut().extend(user_extensions(user.clone()));
            service.call(request)
        });
        let server = http1::Builder::new().serve_connection(TokioIo::new(server_io), service).with_upgrades();
        // hyper returns after the upgrade, or when the client drops the pipe.
        let (opened, _) = tokio::join!(client_async(request, client_io), server);
        match opened {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                Err(ConnectError::refused(response.status(), body))
            }
            Err(error) => Err(ConnectError::WebSocket(error.to_string())),
        }
    }

    fn uri(&self, part: &str, parameter: &str) -> http::Uri {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let path = path.trim_end_matches('/');
        let separator = if query.is_empty() { "" } else { "&" };
        let uri = format!("ws://test{path}{part}?{query}{separator}{parameter}");
        uri.parse().unwrap_or_else(|error| panic!("invalid path `{}`: {error}", self.path))
    }
}

impl<H> Clone for TestHost<H> {
    fn clone(&self) -> Self {
        let (signalr, path, headers) = (self.signalr.clone(), self.path.clone(), self.headers.clone());
        Self { signalr, path, headers, _hub: PhantomData }
    }
}

impl<H> fmt::Debug for TestHost<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestHost").field("path", &self.path).field("signalr", &self.signalr).finish_non_exhaustive()
    }
}

/// Builder of a server with one hub; see [`TestHost::builder`].
///
/// ```
/// # use signalr::hub::{AnyClient, Methods};
/// # use signalr::Hub;
/// # struct Chat;
/// # impl Hub for Chat {
/// #     type Client = AnyClient;
/// #     type Items = ();
/// #     fn methods(_: &mut Methods<Self>) {}
/// # }
/// use signalr::auth::Policy;
/// use signalr::testing::TestHost;
///
/// let host = TestHost::builder(Chat).policy("Staff", Policy::require_role("Nurse")).build();
/// ```
#[must_use = "call `build`"]
pub struct TestHostBuilder<H> {
    builder: Builder,
    hub: Arc<H>,
}

impl<H: Hub> TestHostBuilder<H> {
    /// Adds an authorization policy; see [`Builder::policy`].
    pub fn policy(self, name: impl Into<String>, policy: Policy) -> Self {
        self.with(|builder| builder.policy(name, policy))
    }

    /// Sets other options: `.with(|builder| builder.keep_alive_interval(..))`.
    pub fn with(mut self, configure: impl FnOnce(Builder) -> Builder) -> Self {
        self.builder = configure(self.builder);
        self
    }

    /// Builds the server.
    ///
    /// # Panics
    ///
    /// Panics if [`Builder::build`] fails.
    #[track_caller]
    pub fn build(self) -> TestHost<H> {
        TestHost::from_builder(self.builder.hub("/hub", self.hub))
    }
}

impl<H> fmt::Debug for TestHostBuilder<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestHostBuilder").field("builder", &self.builder).finish_non_exhaustive()
    }
}

/// Error of a connection attempt.
///
/// ```
/// # use signalr::Hub;
/// use signalr::HubProtocolKind;
/// use signalr::auth::User;
/// use signalr::testing::{ConnectError, TestHost};
///
/// async fn anonymous_users_are_rejected(host: TestHost<impl Hub>) {
///     let error = host.try_connect(HubProtocolKind::Json, User::anonymous()).await.unwrap_err();
///     assert!(matches!(error, ConnectError::Refused { status, .. } if status == 401));
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server responded with an unexpected status: authorization rules respond with 401 or 403.
    #[error("server responded with {status}: {text}")]
    Refused {
        /// Status of the response.
        status: StatusCode,
        /// Body of the response.
        text: String,
    },
    /// The negotiate response is an error or cannot be parsed.
    #[error("negotiate failed: {0}")]
    Negotiation(String),
    /// The server redirects clients to this URL.
    #[error("redirected to {0}")]
    Redirected(String),
    /// The WebSocket could not be opened.
    #[error("failed to open the WebSocket: {0}")]
    WebSocket(String),
    /// The server rejected the handshake with this error.
    #[error("handshake rejected: {0}")]
    Handshake(String),
    /// The connection ended before the handshake response.
    #[error("connection ended: {0}")]
    Closed(ConnectionClosed),
}

impl ConnectError {
    fn refused(status: StatusCode, text: &[u8]) -> Self {
        Self::Refused { status, text: String::from_utf8_lossy(text).into_owned() }
    }
}

/// Negotiate response of the server.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NegotiateBody {
    connection_id: Option<String>,
    connection_token: Option<String>,
    url: Option<String>,
    error: Option<String>,
}

/// Extensions that set the user of a request.
fn user_extensions(user: Option<TestUser>) -> http::Extensions {
    let mut extensions = http::Extensions::new();
    if let Some(user) = user {
        extensions.insert(user);
    }
    extensions
}

/// Capacity of the pipe, similar to that of a socket: a longer write waits for the reader.
const DUPLEX_CAPACITY_BYTES: usize = 64 * 1024;
