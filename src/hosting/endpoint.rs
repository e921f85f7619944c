//! A path, and what it is mapped to.

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

/// A path was just mapped: what follows is set for it alone.
///
/// `T` is what it was mapped to: the type of a hub, or [`RawConnection`].
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

/// A path and its settings, until the server is built.
pub(super) struct MappedEndpoint {
    path: String,
    target: Box<dyn Target>,
    authorize: Vec<Authorize>,
    allow_anonymous: bool,
    pub(super) settings: Settings,
}

/// A path that can be served.
pub(super) struct BuiltEndpoint {
    pub(super) path: String,
    pub(super) rules: EndpointRules,
    pub(super) cors: Option<CorsPolicy>,
    pub(super) connections: Arc<Endpoint>,
}

/// What can be mapped as a hub: the hub itself, or one that is shared by several paths.
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
    /// The type of the hub.
    type Hub: Hub;

    /// Makes it sharable.
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

    /// Who may connect here, besides a hub's own rules (C#: `RequireAuthorization(policy)`): negotiate and every request
    /// of a transport get 401 or 403 otherwise.
    pub fn require_authorization(self, policy: impl Into<String>) -> Self {
        self.authorize(Authorize::from(policy.into()))
    }

    /// The same for any rule; all that are added must hold.
    pub fn authorize(mut self, rule: Authorize) -> Self {
        self.endpoint.authorize.push(rule);
        self
    }

    /// Lets everybody connect here, whatever the rules of the path and of its hub, and the fallback policy, say (C#:
    /// `AllowAnonymous`). Who is known is known all the same, and rules of methods hold.
    pub fn allow_anonymous(mut self) -> Self {
        self.endpoint.allow_anonymous = true;
        self
    }

    /// Maps another hub; see [`Builder::hub`].
    pub fn hub<H: IntoHub>(self, path: impl Into<String>, hub: H) -> EndpointBuilder<H::Hub> {
        self.into_builder().hub(path, hub)
    }

    /// Maps a handler of raw connections; see [`Builder::connection_handler`].
    pub fn connection_handler<F, R>(self, path: impl Into<String>, handler: F) -> EndpointBuilder<RawConnection>
    where
        F: Fn(RawConnection) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        self.into_builder().connection_handler(path, handler)
    }

    /// Sends to the clients of a hub; see [`Builder::context`].
    pub fn context<H: Hub>(&mut self) -> HubContext<H> {
        self.builder.context()
    }

    /// Makes the server; see [`Builder::build`].
    ///
    /// # Errors
    ///
    /// Those of [`Builder::build`].
    pub fn build(self) -> Result<SignalR, BuildError> {
        self.into_builder().build()
    }

    /// Where it is mapped.
    #[cfg(feature = "testing")]
    pub(crate) fn path(&self) -> &str {
        &self.endpoint.path
    }

    /// Makes a server that is told who sends a request, by a [`TestUser`](super::TestUser) in it.
    #[cfg(feature = "testing")]
    pub(crate) fn build_with_known_users(self) -> Result<SignalR, BuildError> {
        let mut builder = self.into_builder();
        builder.schemes.trust_test_users();
        builder.build()
    }

    fn into_builder(mut self) -> Builder {
        self.builder.endpoints.push(self.endpoint);
        self.builder
    }
}

impl<H: Hub> EndpointBuilder<H> {
    /// Runs a filter around the calls of this hub at this path, and around its connections that come and go (C#:
    /// `HubOptions<THub>.AddFilter`). It is inside of those of the server and of those that were added before.
    pub fn filter(mut self, filter: impl Filter) -> Self {
        self.endpoint.settings.filters.add(filter);
        self
    }
}

impl MappedEndpoint {
    /// `index` tells the endpoints of a server apart.
    pub(super) fn build(self, index: usize, context: &BuildContext<'_>) -> Result<BuiltEndpoint, BuildError> {
        let Self { path, target, authorize, allow_anonymous, settings } = self;
        let (options, cors) = settings.endpoint_options(context.settings, &path)?;
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
