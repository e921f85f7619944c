//! `SignalR::builder()`. Options set before the first path apply to all paths; options set after a
//! path apply to that path.

use std::any::TypeId;
use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Extensions;
use tokio_util::sync::CancellationToken;

use super::backplane::BackplaneOptions;
use super::endpoint::{EndpointBuilder, IntoHub, MappedEndpoint};
use super::error::BuildError;
use super::mapped_endpoint::HubTarget;
use super::router::{PeerAddr, Router};
use super::settings::{DEFAULT_SEND_TIMEOUT, Settings};
use super::{Server, SignalR};
use crate::auth::{Authenticator, JwtBearer, Policies, Policy, Schemes, User, UserIdProvider};
use crate::connections::{ConnectionTable, ServerUrl};
use crate::hub::{Filter, Hub, HubContext, HubShared};
use crate::raw::{RawConnection, RawHandler};
use crate::tasks::Tasks;

/// Builder of a server, returned by [`SignalR::builder`].
///
/// [`hub`](Self::hub) and [`connection_handler`](Self::connection_handler) return an
/// [`EndpointBuilder`], whose options apply to that path only. Options of the whole server, such as
/// [`authentication`](Self::authentication), have to be set before the first path.
///
/// ```
/// use std::time::Duration;
///
/// use signalr::SignalR;
/// # struct Chat;
/// # impl signalr::Hub for Chat {
/// #     type Client = signalr::hub::AnyClient;
/// #     type Items = ();
/// #     fn methods(_: &mut signalr::hub::Methods<Self>) {}
/// # }
///
/// let server = SignalR::builder()
///     .keep_alive_interval(Duration::from_secs(10)) // for all hubs
///     .hub("/chat", Chat)
///     .enable_detailed_errors(true) // for this hub
///     .build()?;
/// # Ok::<_, signalr::hosting::BuildError>(())
/// ```
#[must_use = "call `build`"]
pub struct Builder {
    pub(super) settings: Settings,
    pub(super) endpoints: Vec<MappedEndpoint>,
    hubs: HashMap<TypeId, Arc<HubShared>>,
    pub(super) schemes: Schemes,
    policies: Policies,
    user_id: UserIdProvider,
    disconnect_timeout: Duration,
    pub(super) server_url: Option<String>,
    peer_addr: PeerAddrOf,
    extensions: Vec<KeepExtension>,
    pub(super) backplane: BackplaneOptions,
    #[cfg(feature = "rate-limit")]
    pub(super) negotiate_limit: Option<super::NegotiateLimit>,
}

/// Time by which a socket outlives the send timeout of the connections on it. The tick aborts
/// connections once a second; a long-polling connection whose poll ended earlier would wait for the
/// next poll.
const SWEEP_MARGIN: Duration = Duration::from_secs(2);

/// Finds the address of the peer in the extensions of a request.
pub(super) type PeerAddrOf = fn(&Extensions) -> Option<SocketAddr>;

/// Copies one value out of the extensions of a request.
pub(super) type KeepExtension = fn(&Extensions, &mut Extensions);

/// Values shared by all endpoints while a server is built.
pub(super) struct BuildContext<'a> {
    pub(super) settings: &'a Settings,
    pub(super) policies: &'a Policies,
    pub(super) schemes: &'a Schemes,
    pub(super) user_id: &'a UserIdProvider,
    pub(super) table: &'a Arc<ConnectionTable>,
    pub(super) server_url: Option<&'a ServerUrl>,
    pub(super) tasks: &'a Tasks,
}

impl Builder {
    /// Authenticates clients by bearer tokens, which are validated on every request.
    ///
    /// Registers the [`scheme`](Self::scheme) `Bearer`. Without any scheme, all clients are
    /// anonymous. (C#: `AddAuthentication().AddJwtBearer(..)`)
    pub fn authentication(self, bearer: JwtBearer) -> Self {
        self.scheme("Bearer", bearer)
    }

    /// Adds an authentication scheme (C#: `AddAuthentication().AddScheme(..)`).
    ///
    /// Every request is passed to the schemes in the order in which they were added, until one
    /// authenticates the user; a failure of one scheme does not prevent the next from succeeding.
    /// The first scheme is the default: it determines the response to requests without a user. A
    /// rule can [select schemes](crate::auth::Authorize::schemes). Scheme names are case-sensitive;
    /// duplicate names are an error of [`build`](Self::build).
    pub fn scheme(mut self, name: impl Into<Cow<'static, str>>, authenticator: impl Authenticator) -> Self {
        self.schemes.add(name, authenticator);
        self
    }

    /// Registers a policy under a name, to which rules of hubs and methods refer (C#: `AddPolicy`).
    /// Policy names ignore case.
    pub fn policy(mut self, name: impl Into<String>, policy: Policy) -> Self {
        self.policies.add(name, policy);
        self
    }

    /// Sets the policy of rules that name neither a policy nor roles. Default: an authenticated
    /// user. (C#: `DefaultPolicy`)
    pub fn default_policy(mut self, policy: Policy) -> Self {
        self.policies.set_default(policy);
        self
    }

    /// Sets the policy of paths that have no rules. It does not apply to methods.
    /// Default: none. (C#: `FallbackPolicy`)
    pub fn fallback_policy(mut self, policy: Policy) -> Self {
        self.policies.set_fallback(policy);
        self
    }

    /// Sets the function that computes the id of a user, by which `clients().user(id)` selects
    /// connections. Default: the first claim of type `nameidentifier`, which is the `sub` of a
    /// token. (C#: `IUserIdProvider`)
    ///
    /// The function runs when a connection opens, and for
    /// [`IdentityBinding`](crate::auth::IdentityBinding) when a request carries a different token
    /// than the previous one. It must return quickly, and always the same id for the same user.
    pub fn user_id(mut self, id: impl Fn(&User) -> Option<String> + Send + Sync + 'static) -> Self {
        self.user_id = UserIdProvider::new(id);
        self
    }

    /// Sets how long the server keeps a connection that was negotiated and not opened, and the
    /// reconnect window of a connection with stateful reconnect that lost its WebSocket. Checked
    /// once a second. Default: 15 seconds. (C#: `ConnectionOptions.DisconnectTimeout`)
    pub fn disconnect_timeout(mut self, timeout: Duration) -> Self {
        self.disconnect_timeout = timeout;
        self
    }

    /// Sets the URL at which clients reach this server and no other, past the load balancer.
    /// Negotiate redirects each client to this URL, where the client sends all further requests of
    /// the connection, so that no transport needs sticky sessions. Default: no redirects. (ASP.NET
    /// Core has no such option.)
    ///
    /// The mapped paths follow the path of the URL, which may be that of a proxy or a router:
    /// `https://app.test/node-3` redirects clients of `/chat` to `https://app.test/node-3/chat`. The
    /// redirect keeps the query, except for `access_token`, and clients keep their
    /// `accessTokenFactory`. It adds the parameter `signalr_server`, by which the server recognizes
    /// redirected clients; hubs do not see it. A client that reconnects begins at the load balancer
    /// again.
    ///
    /// A redirect by [`redirect_negotiate`](Self::redirect_negotiate) takes precedence. WebSockets
    /// with `skipNegotiation` are not redirected. A redirected client negotiates twice, and
    /// `negotiate_limit` counts both requests.
    ///
    /// If the URL has another origin than the page, [`cors`](Self::cors) and
    /// [`allowed_origins`](Self::allowed_origins) must allow the page on every server; see
    /// [`deployment`](crate::guide::deployment#several-servers-behind-one-address). The option
    /// applies to all paths, since they have the address of the server in common.
    ///
    /// ```
    /// # fn main() -> Result<(), signalr::hosting::BuildError> {
    /// // The URL of this server, from its configuration.
    /// let url = std::env::var("SERVER_URL").unwrap_or("https://node-3.app.test".to_owned());
    /// let signalr = signalr::SignalR::builder().server_url(url).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn server_url(mut self, url: impl Into<String>) -> Self {
        self.server_url = Some(url.into());
        self
    }

    /// Sets the function that finds the address of the peer in the extensions of a request, for
    /// [`RequestInfo::peer_addr`](crate::hosting::RequestInfo::peer_addr). Default: reads a
    /// [`PeerAddr`], which [`SignalR::serve`] inserts. For axum:
    ///
    /// ```
    /// # use std::net::SocketAddr;
    /// use axum::extract::ConnectInfo;
    ///
    /// let builder = signalr::SignalR::builder()
    ///     .peer_addr(|extensions| extensions.get().map(|ConnectInfo(addr): &ConnectInfo<SocketAddr>| *addr));
    /// ```
    pub fn peer_addr(mut self, find: fn(&Extensions) -> Option<SocketAddr>) -> Self {
        self.peer_addr = find;
        self
    }

    /// Keeps a value that the host inserted into the extensions of a request, as layers of axum do,
    /// for [`RequestInfo::extension`](crate::hosting::RequestInfo::extension). Other extensions are
    /// dropped, because a connection can stay open for days. Default: none are kept.
    /// (C#: `Context.Features`, which keeps all)
    ///
    /// ```
    /// use axum::Extension;
    ///
    /// #[derive(Clone)]
    /// struct Tenant(String);
    ///
    /// # fn main() -> Result<(), signalr::hosting::BuildError> {
    /// let signalr = signalr::SignalR::builder().keep_extension::<Tenant>().build()?;
    /// let app: axum::Router =
    ///     axum::Router::new().fallback_service(signalr.service()).layer(Extension(Tenant("north".to_owned())));
    /// // In a hub: `caller.request().extension::<Tenant>()`.
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep_extension<T: Clone + Send + Sync + 'static>(mut self) -> Self {
        self.extensions.push(|from, to| {
            if let Some(value) = from.get::<T>() {
                to.insert(value.clone());
            }
        });
        self
    }

    /// Adds a filter around the method calls, `on_connected` and `on_disconnected` of all hubs. The
    /// first filter is the outermost. (C#: `HubOptions.AddFilter`)
    pub fn filter(mut self, filter: impl Filter) -> Self {
        self.settings.filters.add(filter);
        self
    }

    /// Maps a hub to a path (C#: `MapHub<H>(path)`). Paths ignore case. Options that follow apply
    /// to this path.
    pub fn hub<T: IntoHub>(mut self, path: impl Into<String>, hub: T) -> EndpointBuilder<T::Hub> {
        let target = HubTarget { hub: hub.into_hub(), shared: self.shared::<T::Hub>() };
        EndpointBuilder::new(self, path.into(), target)
    }

    /// Maps a connection handler to a path (C#: `MapConnectionHandler<T>(path)`). Clients negotiate
    /// and connect as they do with a hub, and the handler reads and writes bytes without the hub
    /// protocol. Options that follow apply to this path.
    ///
    /// The connection stays open while the handler runs. When the handler returns, the bytes it
    /// wrote are sent and the transport is closed: a WebSocket with code 1000 after `Ok`, with 1011
    /// after an error or a panic. When the client disconnects or the server shuts down,
    /// [`RawConnection::read`] returns `None`, and the handler is expected to return.
    ///
    /// ```
    /// # use std::error::Error;
    /// use signalr::raw::RawConnection;
    /// use signalr::SignalR;
    ///
    /// async fn count(mut connection: RawConnection) -> Result<(), Box<dyn Error + Send + Sync>> {
    ///     let mut total = 0;
    ///     while let Some(bytes) = connection.read().await {
    ///         total += bytes.len();
    ///         connection.write(total.to_string()).await?;
    ///     }
    ///     Ok(())
    /// }
    ///
    /// let signalr = SignalR::builder().connection_handler("/count", count).build()?;
    /// # Ok::<_, signalr::hosting::BuildError>(())
    /// ```
    pub fn connection_handler<F, R>(self, path: impl Into<String>, handler: F) -> EndpointBuilder<RawConnection>
    where
        F: Fn(RawConnection) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        EndpointBuilder::new(self, path.into(), RawHandler::new(handler))
    }

    /// Returns a handle that sends to the clients of a hub, before the server is built: for the
    /// fields of another hub, or for tasks that start later. Sends through the handle return an
    /// error until the server is built.
    pub fn context<H: Hub>(&mut self) -> HubContext<H> {
        HubContext::new(self.shared::<H>())
    }

    /// Validates the options and builds the server. Spawns no tasks: they start with the first
    /// client.
    ///
    /// # Errors
    ///
    /// Returns an error for options that cannot work: an unknown policy or scheme, two endpoints at
    /// one path, two methods with one name, rules without authentication, a CORS policy that
    /// browsers reject, and the other variants of [`BuildError`].
    pub fn build(self) -> Result<SignalR, BuildError> {
        self.schemes.validate()?;
        if let Some(name) = self.schemes.duplicate() {
            return Err(BuildError::DuplicateScheme(name.to_owned()));
        }
        self.policies.validate(&self.schemes)?;
        let server_url = self.server_url.as_deref().map(ServerUrl::parse).transpose();
        let server_url = server_url.map_err(BuildError::InvalidServerUrl)?;
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        let table = ConnectionTable::new(self.disconnect_timeout, tasks.clone());
        let context = BuildContext {
            settings: &self.settings,
            policies: &self.policies,
            schemes: &self.schemes,
            user_id: &self.user_id,
            table: &table,
            server_url: server_url.as_ref(),
            tasks: &tasks,
        };
        let endpoints = self.endpoints.into_iter().enumerate().map(|(index, endpoint)| endpoint.build(index, &context));
        let endpoints = endpoints.collect::<Result<Vec<_>, _>>()?;
        let send_timeout = endpoints.iter().map(|endpoint| endpoint.connections.send_timeout()).max();
        let mut router = Router::new(self.schemes, self.peer_addr, self.extensions, self.settings.cors()?);
        #[cfg(feature = "rate-limit")]
        {
            router.negotiate_limit = self.negotiate_limit.map(super::negotiate_limit::Limiter::new).transpose()?;
        }
        endpoints.into_iter().try_for_each(|endpoint| router.add(endpoint))?;
        let closing = CancellationToken::new();
        let write_timeout = send_timeout.unwrap_or(DEFAULT_SEND_TIMEOUT).saturating_add(SWEEP_MARGIN);
        let backplane = self.backplane.build(&self.hubs, &tasks)?;
        let (hubs, stop) = (self.hubs, stop.drop_guard());
        let server = Server { router, table, hubs, backplane, tasks, write_timeout, closing, _stop: stop };
        Ok(SignalR { server: Arc::new(server) })
    }

    fn shared<H: Hub>(&mut self) -> Arc<HubShared> {
        self.backplane.add_hub::<H>();
        Arc::clone(self.hubs.entry(TypeId::of::<H>()).or_default())
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            endpoints: Vec::new(),
            hubs: HashMap::new(),
            schemes: Schemes::default(),
            policies: Policies::default(),
            user_id: UserIdProvider::default(),
            disconnect_timeout: Duration::from_secs(15),
            server_url: None,
            peer_addr: |extensions| extensions.get::<PeerAddr>().map(|peer| peer.0),
            extensions: Vec::new(),
            backplane: BackplaneOptions::default(),
            #[cfg(feature = "rate-limit")]
            negotiate_limit: None,
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("endpoints", &self.endpoints.len()).finish_non_exhaustive()
    }
}
