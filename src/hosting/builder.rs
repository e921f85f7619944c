//! `SignalR::builder()`: what is set before the first path holds for all, what is set after a path is that path's.

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

use super::endpoint::{EndpointBuilder, IntoHub, MappedEndpoint};
use super::error::BuildError;
use super::mapped_endpoint::HubTarget;
use super::router::{PeerAddr, Router};
use super::settings::{DEFAULT_SEND_TIMEOUT, Settings};
use super::{Server, SignalR};
use crate::auth::{Authenticator, JwtBearer, Policies, Policy, Schemes, User, UserIdProvider};
use crate::connections::ConnectionTable;
use crate::hub::{Filter, Hub, HubContext, HubShared};
use crate::raw::{RawConnection, RawHandler};
use crate::tasks::Tasks;

/// Describes a server, from [`SignalR::builder`].
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
///     .enable_detailed_errors(true) // for this one
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
    peer_addr: PeerAddrOf,
    extensions: Vec<KeepExtension>,
    #[cfg(feature = "rate-limit")]
    pub(super) negotiate_limit: Option<super::NegotiateLimit>,
}

/// Time by which a socket outlives the send timeout of the connections on it. The sweep aborts those once a second; a
/// connection whose poll ends before would wait for the next poll.
const SWEEP_MARGIN: Duration = Duration::from_secs(2);

/// Finds the peer's address in what a host left in a request.
pub(super) type PeerAddrOf = fn(&Extensions) -> Option<SocketAddr>;

/// Copies one value out of what a host left in a request.
pub(super) type KeepExtension = fn(&Extensions, &mut Extensions);

/// What the endpoints of a server share while they are built.
pub(super) struct BuildContext<'a> {
    pub(super) settings: &'a Settings,
    pub(super) policies: &'a Policies,
    pub(super) schemes: &'a Schemes,
    pub(super) user_id: &'a UserIdProvider,
    pub(super) table: &'a Arc<ConnectionTable>,
    pub(super) tasks: &'a Tasks,
}

impl Builder {
    /// Who clients are: bearer tokens are checked on every request. Without this and any other [`scheme`](Self::scheme)
    /// everyone is anonymous. It is the scheme `Bearer`. (C#: `AddAuthentication().AddJwtBearer(..)`)
    pub fn authentication(self, bearer: JwtBearer) -> Self {
        self.scheme("Bearer", bearer)
    }

    /// Adds a way to tell who clients are (C#: `AddAuthentication().AddScheme(..)`). On every request the schemes are asked
    /// in the order in which they were added, until one knows the user; what one refuses, another may know. The first is
    /// the default: it says how requests without a user are refused. Rules may [name](crate::auth::Authorize::schemes) the
    /// schemes that count. Two schemes of one name are an error of [`build`](Self::build); case counts.
    pub fn scheme(mut self, name: impl Into<Cow<'static, str>>, authenticator: impl Authenticator) -> Self {
        self.schemes.add(name, authenticator);
        self
    }

    /// Names a policy, for rules of hubs and methods to refer to (C#: `AddPolicy`). Names ignore case.
    pub fn policy(mut self, name: impl Into<String>, policy: Policy) -> Self {
        self.policies.add(name, policy);
        self
    }

    /// What a rule asks for that names neither policy nor roles; an authenticated user by default (C#: `DefaultPolicy`).
    pub fn default_policy(mut self, policy: Policy) -> Self {
        self.policies.set_default(policy);
        self
    }

    /// What paths without any rule of their own ask for: nothing by default. It does not reach methods. (C#:
    /// `FallbackPolicy`)
    pub fn fallback_policy(mut self, policy: Policy) -> Self {
        self.policies.set_fallback(policy);
        self
    }

    /// Tells the id of a user, by which `clients().user(id)` finds their connections (C#: `IUserIdProvider`). By default
    /// the first claim of type `nameidentifier`, which is a token's `sub`.
    ///
    /// It is asked when a connection opens, and by [`IdentityBinding`](crate::auth::IdentityBinding) when a request brings
    /// another token than the one before: it has to be quick, and to say the same of the same user.
    pub fn user_id(mut self, id: impl Fn(&User) -> Option<String> + Send + Sync + 'static) -> Self {
        self.user_id = UserIdProvider::new(id);
        self
    }

    /// How long a connection lives that was negotiated and is not opened, and one that lost its WebSocket and may go on
    /// with another; looked at once a second. 15 seconds by default.
    /// (C#: `ConnectionOptions.DisconnectTimeout`)
    pub fn disconnect_timeout(mut self, timeout: Duration) -> Self {
        self.disconnect_timeout = timeout;
        self
    }

    /// Where the address of a peer stands in a request, for [`RequestInfo::peer_addr`](crate::hosting::RequestInfo::peer_addr).
    /// By default in a [`PeerAddr`], which [`SignalR::serve`] puts there. For axum:
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

    /// Keeps a value that the host puts into the extensions of a request, as layers of axum do, for
    /// [`RequestInfo::extension`](crate::hosting::RequestInfo::extension). Others are dropped: a connection may last for days. None by
    /// default. (C#: `Context.Features`, which keeps them all)
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

    /// Runs a filter around the calls of all hubs, and around their connections that come and go (C#:
    /// `HubOptions.AddFilter`). The first that is added is outermost.
    pub fn filter(mut self, filter: impl Filter) -> Self {
        self.settings.filters.add(filter);
        self
    }

    /// Maps a hub to a path (C#: `MapHub<H>(path)`). Paths ignore case. Options that follow are this hub's.
    pub fn hub<T: IntoHub>(mut self, path: impl Into<String>, hub: T) -> EndpointBuilder<T::Hub> {
        let target = HubTarget { hub: hub.into_hub(), shared: self.shared::<T::Hub>() };
        EndpointBuilder::new(self, path.into(), target)
    }

    /// Maps a handler of raw connections to a path (C#: `MapConnectionHandler<T>(path)`): clients negotiate and connect as
    /// they do with a hub, and the handler reads and writes bytes of its own meaning. Options that follow are this path's.
    ///
    /// The connection lasts as long as the handler runs. When it returns, what it wrote is sent and the transport is
    /// closed; a WebSocket with 1000 after `Ok`, with 1011 after an error or a panic. When the client leaves or the
    /// server shuts down, [`RawConnection::read`] ends, and it is for the handler to return.
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

    /// Sends to the clients of a hub, before there are any: for the fields of another hub, or for tasks that start
    /// later. Until the server is built, sends through it are errors.
    pub fn context<H: Hub>(&mut self) -> HubContext<H> {
        HubContext::new(self.shared::<H>())
    }

    /// Checks the description and makes the server of it. Starts nothing yet: its tasks come with the first client.
    ///
    /// # Errors
    ///
    /// Whatever could only fail later: an unknown policy or scheme, two endpoints at one path, two methods of one name, rules without
    /// authentication, a CORS policy that browsers refuse.
    pub fn build(self) -> Result<SignalR, BuildError> {
        self.schemes.validate()?;
        if let Some(name) = self.schemes.duplicate() {
            return Err(BuildError::DuplicateScheme(name.to_owned()));
        }
        self.policies.validate(&self.schemes)?;
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        let table = ConnectionTable::new(self.disconnect_timeout, tasks.clone());
        let context = BuildContext {
            settings: &self.settings,
            policies: &self.policies,
            schemes: &self.schemes,
            user_id: &self.user_id,
            table: &table,
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
        let server = Server { router, table, hubs: self.hubs, tasks, write_timeout, closing, _stop: stop.drop_guard() };
        Ok(SignalR { server: Arc::new(server) })
    }

    fn shared<H: Hub>(&mut self) -> Arc<HubShared> {
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
            peer_addr: |extensions| extensions.get::<PeerAddr>().map(|peer| peer.0),
            extensions: Vec::new(),
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
