//! A server in memory, and how clients come to it.

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

/// A server in memory, for tests. A cheap clone of the same server; when the last one is gone, so are its connections.
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
/// // One hub, at its defaults ..
/// let host = TestHost::builder(Chat).build();
///
/// // .. or whatever the builder can describe.
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
    /// Begins to describe a server with this hub alone.
    pub fn builder(hub: impl IntoHub<Hub = H>) -> TestHostBuilder<H> {
        TestHostBuilder { builder: SignalR::builder(), hub: hub.into_hub() }
    }

    /// A server with all that was described; its clients connect to the hub that was mapped last. Rules need no
    /// [`authentication`](Builder::authentication) here, since users are given.
    ///
    /// # Panics
    ///
    /// When [`Builder::build`] fails.
    #[track_caller]
    pub fn from_builder(builder: EndpointBuilder<H>) -> Self {
        let path = builder.path().to_owned();
        let signalr =
            builder.build_with_known_users().unwrap_or_else(|error| panic!("the server cannot be built: {error}"));
        Self { signalr, path, headers: HeaderMap::new(), _hub: PhantomData }
    }

    /// The same server, whose clients connect to another hub of it, or with a query: `host.at::<Chat>("/chat?room=1")`.
    pub fn for_path<Other: Hub>(&self, path: impl Into<String>) -> TestHost<Other> {
        let (signalr, headers) = (self.signalr.clone(), self.headers.clone());
        TestHost { signalr, path: path.into(), headers, _hub: PhantomData }
    }

    /// The same server, to which clients send this header in all of their requests.
    ///
    /// # Panics
    ///
    /// When it is no header.
    #[must_use]
    #[track_caller]
    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let mut host = self.clone();
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => host.headers.append(name, value),
            _ => panic!("`{name}: {value}` is no header"),
        };
        host
    }

    /// The server itself: for what it holds, and for its shutdown.
    pub fn signalr(&self) -> &SignalR {
        &self.signalr
    }

    /// Sends to the clients of the hub.
    pub fn context(&self) -> HubContext<H> {
        self.signalr.context()
    }

    /// Connects as this user, by whatever name [`user`](super::user) or [`User::anonymous`] has for them. An anonymous
    /// one is left to the authentication of the server, if it has one. Ready after `on_connected`.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the client has vanished.
    ///
    /// # Panics
    ///
    /// When the server does not let the client in, or not in time.
    #[track_caller]
    pub fn connect(&self, format: HubProtocolKind, user: impl Into<User>) -> impl Future<Output = TestClient> {
        let caller = std::panic::Location::caller();
        async move {
            let connected = self.try_connect(format, user).await;
            connected.unwrap_or_else(|error| super::deadline::fail(&format!("cannot connect: {error}"), caller))
        }
    }

    /// The same, where the server may refuse the client.
    ///
    /// # Errors
    ///
    /// It does. A failure of `on_connected` is no refusal, but the end of the connection: see [`TestClient::closed`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the client has vanished.
    ///
    /// # Panics
    ///
    /// When the server does not answer in time.
    pub async fn try_connect(
        &self,
        format: HubProtocolKind,
        user: impl Into<User>,
    ) -> Result<TestClient, ConnectError> {
        let client = self.open(format, user).await?;
        client.handshake().await?;
        client.wait_until_connected().await;
        Ok(client)
    }

    /// Connects without the handshake; see [`TestClient::handshake`].
    ///
    /// # Errors
    ///
    /// The server refuses the client.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the client has vanished.
    pub async fn open(&self, format: HubProtocolKind, user: impl Into<User>) -> Result<TestClient, ConnectError> {
        let user = Some(user.into()).filter(User::is_authenticated).map(TestUser);
        let (id, token) = self.negotiate(user.clone()).await?;
        let socket = self.open_socket(&token, user).await?;
        let naming = self.context().shared().naming.get().copied().unwrap_or_default();
        Ok(TestClient::new(TestConnection::start(socket, HubProtocol::new(format, naming)), id))
    }

    /// Asks for a connection: its id and its secret token.
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

    /// Opens a WebSocket over a pipe, on the other end of which an HTTP server answers with the service.
    async fn open_socket(
        &self,
        token: &str,
        user: Option<TestUser>,
    ) -> Result<WebSocketStream<DuplexStream>, ConnectError> {
        let uri = self.uri("", &format!("id={token}"));
        let mut request = uri.into_client_request().expect("a request for a WebSocket needs a host, which is there");
        request.headers_mut().extend(self.headers.clone());
        let (client_io, server_io) = tokio::io::duplex(DUPLEX_CAPACITY_BYTES);
        let service = self.signalr.service();
        let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
            request.extensions_mut().extend(user_extensions(user.clone()));
            service.call(request)
        });
        let server = http1::Builder::new().serve_connection(TokioIo::new(server_io), service).with_upgrades();
        // The server is done when the connection is a WebSocket, or the client has gone.
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
        uri.parse().unwrap_or_else(|error| panic!("`{}` is no path: {error}", self.path))
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

/// Describes a server of one hub; from [`TestHost::builder`].
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
    /// Names a policy; see [`Builder::policy`].
    pub fn policy(self, name: impl Into<String>, policy: Policy) -> Self {
        self.with(|builder| builder.policy(name, policy))
    }

    /// Whatever else the builder can: `.with(|builder| builder.keep_alive_interval(..))`.
    pub fn with(mut self, configure: impl FnOnce(Builder) -> Builder) -> Self {
        self.builder = configure(self.builder);
        self
    }

    /// Makes the server.
    ///
    /// # Panics
    ///
    /// When [`Builder::build`] fails.
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

/// The server did not let a client in.
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
    /// It answered a request with another status than clients need: 401 and 403 are those of rules.
    #[error("refused with {status}: {text}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The text of the answer.
        text: String,
    },
    /// It offers no connection, or none that is understood.
    #[error("the negotiation failed: {0}")]
    Negotiation(String),
    /// It sends clients to this URL.
    #[error("sent to {0}")]
    Redirected(String),
    /// The WebSocket could not be opened.
    #[error("no WebSocket: {0}")]
    WebSocket(String),
    /// It refused the handshake, with this error.
    #[error("the handshake was refused: {0}")]
    Handshake(String),
    /// The connection ended before the handshake was answered.
    #[error("the connection ended: {0}")]
    Closed(ConnectionClosed),
}

impl ConnectError {
    fn refused(status: StatusCode, text: &[u8]) -> Self {
        Self::Refused { status, text: String::from_utf8_lossy(text).into_owned() }
    }
}

/// What matters in the answer to a negotiation.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NegotiateBody {
    connection_id: Option<String>,
    connection_token: Option<String>,
    url: Option<String>,
    error: Option<String>,
}

/// Tells the server who sends a request.
fn user_extensions(user: Option<TestUser>) -> http::Extensions {
    let mut extensions = http::Extensions::new();
    if let Some(user) = user {
        extensions.insert(user);
    }
    extensions
}

/// As much as sockets take, more or less, before who writes has to wait.
const DUPLEX_CAPACITY_BYTES: usize = 64 * 1024;
