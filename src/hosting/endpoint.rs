//! A mapped path and its options.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::SignalR;
use super::builder::{BuildContext, Builder};
use super::cors::CorsPolicy;
use super::error::BuildError;
use super::mapped_endpoint::Target;
use super::settings::Settings;
use crate::auth::{Authorize, EndpointRules};
use crate::connections::Endpoint;
use crate::hub::{Filter, Hub, HubContext};
use crate::raw::RawConnection;

/// Builder of a server after a path was mapped. Options set on it apply to that path only.
///
/// `T` is the type of the hub, or [`RawConnection`] for a connection handler.
///
/// ```
/// use std::time::Duration;
///
/// use signalr::{SignalR, hub};
///
/// struct Chat;
///
/// #[hub]
/// impl Chat {}
///
/// let server = SignalR::builder().hub("/chat", Chat).keep_alive_interval(Duration::from_secs(5)).build()?;
/// # Ok::<_, signalr::hosting::BuildError>(())
/// ```
#[must_use = "call `build`"]
pub struct EndpointBuilder<T> {
    builder: Builder,
    pub(super) endpoint: MappedEndpoint,
    mapped: PhantomData<fn() -> T>,
}

/// A path and its settings before the server is built.
pub(super) struct MappedEndpoint {
    path: String,
    target: Box<dyn Target>,
    authorize: Vec<Authorize>,
    allow_anonymous: bool,
    pub(super) settings: Settings,
}

/// A path with validated options.
pub(super) struct BuiltEndpoint {
    pub(super) path: String,
    pub(super) rules: EndpointRules,
    pub(super) cors: Option<CorsPolicy>,
    pub(super) connections: Arc<Endpoint>,
}

/// Conversion into a hub that can be mapped: a hub, or an `Arc` of a hub shared by several paths.
///
/// ```
/// use std::sync::Arc;
///
/// use signalr::{SignalR, hub};
///
/// struct Chat;
///
/// #[hub]
/// impl Chat {}
///
/// let chat = Arc::new(Chat);
/// let server = SignalR::builder().hub("/chat", Arc::clone(&chat)).hub("/old-chat", chat).build()?;
/// # Ok::<_, signalr::hosting::BuildError>(())
/// ```
pub trait IntoHub {
    /// Type of the hub.
    type Hub: Hub;

    /// Converts the value into a shared hub.
    fn into_hub(self) -> Arc<Self::Hub>;
}

impl<H: Hub> IntoHub for H {
    type Hub = H;

    fn into_hub(self) -> Arc<H> {
        Arc::new(self)
    }
}

impl<H: Hub> IntoHub for Arc<H> {
    type Hub = H;

    fn into_hub(self) -> Self {
        self
    }
}

impl<T> EndpointBuilder<T> {
    pub(super) fn new(builder: Builder, path: String, target: impl Target + 'static) -> Self {
        let (authorize, allow_anonymous) = target.hub_rules();
        let settings = Settings::default();
        let endpoint = MappedEndpoint { path, target: Box::new(target), authorize, allow_anonymous, settings };
        Self { builder, endpoint, mapped: PhantomData }
    }

    /// Requires a policy for this path, in addition to the rules of the hub
    /// (C#: `RequireAuthorization(policy)`). Negotiate and transport requests that do not
    /// meet it get 401 or 403.
    pub fn require_authorization(self, policy: impl Into<String>) -> Self {
        self.authorize(Authorize::from(policy.into()))
    }

    /// Adds an authorization rule for this path, in addition to the rules of the hub. All rules
    /// must be met.
    pub fn authorize(mut self, rule: Authorize) -> Self {
        self.endpoint.authorize.push(rule);
        self
    }

    /// Allows all clients to connect to this path, regardless of the rules of the path and of its
    /// hub and of the fallback policy (C#: `AllowAnonymous`). Credentials are still authenticated,
    /// and the rules of methods still apply.
    pub fn allow_anonymous(mut self) -> Self {
        self.endpoint.allow_anonymous = true;
        self
    }

    /// Maps another hub; see [`Builder::hub`].
    pub fn hub<H: IntoHub>(self, path: impl Into<String>, hub: H) -> EndpointBuilder<H::Hub> {
        self.into_builder().hub(path, hub)
    }

    /// Maps a connection handler; see [`Builder::connection_handler`].
    pub fn connection_handler<F, R>(self, path: impl Into<String>, handler: F) -> EndpointBuilder<RawConnection>
    where
        F: Fn(RawConnection) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        self.into_builder().connection_handler(path, handler)
    }

    /// Returns a handle that sends to the clients of a hub; see [`Builder::context`].
    pub fn context<H: Hub>(&mut self) -> HubContext<H> {
        self.builder.context()
    }

    /// Builds the server; see [`Builder::build`].
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Builder::build`].
    pub fn build(self) -> Result<SignalR, BuildError> {
        self.into_builder().build()
    }

    /// Returns the path.
    #[cfg(feature = "testing")]
    pub(crate) fn path(&self) -> &str {
        &self.endpoint.path
    }

    /// Builds a server that trusts the [`TestUser`](super::TestUser) in the extensions of a
    /// request. It redirects no client to itself, since it has no address.
    #[cfg(feature = "testing")]
    pub(crate) fn build_with_known_users(self) -> Result<SignalR, BuildError> {
        let mut builder = self.into_builder();
        builder.schemes.trust_test_users();
        builder.server_url = None;
        builder.build()
    }

    /// Returns the options of the whole server.
    pub(super) fn builder_mut(&mut self) -> &mut Builder {
        &mut self.builder
    }

    fn into_builder(mut self) -> Builder {
        self.builder.endpoints.push(self.endpoint);
        self.builder
    }
}

impl<H: Hub> EndpointBuilder<H> {
    /// Adds a filter around the method calls, `on_connected` and `on_disconnected` of this hub at
    /// this path. It runs inside the filters of the server and inside those added before.
    /// (C#: `HubOptions<THub>.AddFilter`)
    pub fn filter(mut self, filter: impl Filter) -> Self {
        self.endpoint.settings.filters.add(filter);
        self
    }
}

impl MappedEndpoint {
    /// Validates the options. `index` is unique among the endpoints of a server.
    pub(super) fn build(self, index: usize, context: &BuildContext<'_>) -> Result<BuiltEndpoint, BuildError> {
        let Self { path, target, authorize, allow_anonymous, settings } = self;
        let (options, cors) = settings.endpoint_options(context.settings, &path, context.server_url)?;
        let rules = match context.policies.endpoint_rules(&authorize, allow_anonymous, context.schemes) {
            Ok(rules) => rules,
            Err(source) => return Err(BuildError::Rule { path, source }),
        };
        let target = target.build(&path, &settings, context)?;
        if !context.schemes.is_configured() && (target.requires_authentication || !rules.is_open()) {
            return Err(BuildError::NoAuthentication(path));
        }
        let connections =
            Arc::new(Endpoint::new(index, options, context.user_id.clone(), Arc::clone(context.table), target.accept));
        Ok(BuiltEndpoint { path, rules, cors, connections })
    }
}

impl<T> fmt::Debug for EndpointBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointBuilder").field("path", &self.endpoint.path).finish_non_exhaustive()
    }
}
