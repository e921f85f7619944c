//! Filters: code around the calls of hubs, and around the coming and going of their connections.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::any_caller::AnyCaller;
use super::arguments::Params;
use super::catch_panic::catch_panic;
use super::error::{DisconnectReason, HubResult};
use super::invocation_context::InvocationContext;
use super::methods::Reply;
use crate::future::BoxFuture;

/// Runs around every call, and around [`on_connected`](crate::Hub::on_connected) and
/// [`on_disconnected`](crate::Hub::on_disconnected) (C#: `IHubFilter`).
///
/// ```
/// use std::time::Instant;
///
/// use signalr::hub::Reply;
/// use signalr::{InvocationContext, Filter, HubError, HubResult, Next, SignalR};
/// # use signalr::hub::{AnyClient, Methods};
/// # use signalr::Hub;
/// # struct Chat;
/// # impl Hub for Chat {
/// #     type Client = AnyClient;
/// #     type Items = ();
/// #     fn methods(_: &mut Methods<Self>) {}
/// # }
///
/// /// Says how long calls take.
/// struct Timing;
///
/// impl Filter for Timing {
///     async fn invoke(&self, call: &InvocationContext, next: Next<'_>) -> HubResult<Reply> {
///         let begin = Instant::now();
///         let reply = next.run().await;
///         println!("{} took {:?}, ok: {}", call.method(), begin.elapsed(), reply.is_ok());
///         reply
///     }
/// }
///
/// /// On a method: which of its arguments is looked through for rude words.
/// struct Polite(usize);
///
/// /// Looks through them.
/// struct Politeness;
///
/// impl Filter for Politeness {
///     async fn invoke(&self, call: &InvocationContext, mut next: Next<'_>) -> HubResult<Reply> {
///         if let Some(Polite(at)) = call.attribute()
///             && let Some(text) = next.argument::<String>(*at)
///         {
///             if text.contains("blast") {
///                 return Err(HubError::new("Mind your language."));
///             }
///             *text = text.replace("darn", "****");
///         }
///         next.run().await
///     }
/// }
///
/// let signalr = SignalR::builder()
///     .filter(Timing) // around all hubs
///     .hub("/chat", Chat)
///     .filter(Politeness) // around this one
///     .build()?;
/// # Ok::<_, signalr::hosting::BuildError>(())
/// ```
///
/// The first that is added is outermost, and those of the server are outside of those of a hub. Each runs what is inside of
/// it by [`Next::run`], or does not: then its own answer or error is the call's. There is one value of a filter, which all
/// calls share.
///
/// Filters run once a call, and only when the call can be made: never for methods that are not there, for callers who may
/// not, or for arguments that do not fit. A call with filters takes its place as one without, so a filter that waits holds
/// up the next call of its client. A panic is an error of what panicked, which filters around it see.
pub trait Filter: Send + Sync + 'static {
    /// Around a call (C#: `InvokeMethodAsync`). Of one that answers with a stream, [`Next::run`] sets the stream up; its
    /// items are sent when all filters are done.
    fn invoke(&self, call: &InvocationContext, next: Next<'_>) -> impl Future<Output = HubResult<Reply>> + Send {
        let _ = call;
        next.run()
    }

    /// Around [`on_connected`](crate::Hub::on_connected) (C#: `OnConnectedAsync`). The connection ends with the error that
    /// is returned here; after `Ok` it lives, whatever the hub said.
    fn on_connected(&self, caller: &AnyCaller, next: Next<'_, ()>) -> impl Future<Output = HubResult> + Send {
        let _ = caller;
        next.run()
    }

    /// Around [`on_disconnected`](crate::Hub::on_disconnected) (C#: `OnDisconnectedAsync`).
    fn on_disconnected(
        &self,
        caller: &AnyCaller,
        reason: Option<&DisconnectReason>,
        next: Next<'_, ()>,
    ) -> impl Future<Output = HubResult> + Send {
        let _ = (caller, reason);
        next.run()
    }
}

/// A filter that somebody else has, too.
impl<F: Filter> Filter for Arc<F> {
    fn invoke(&self, call: &InvocationContext, next: Next<'_>) -> impl Future<Output = HubResult<Reply>> + Send {
        F::invoke(self, call, next)
    }

    fn on_connected(&self, caller: &AnyCaller, next: Next<'_, ()>) -> impl Future<Output = HubResult> + Send {
        F::on_connected(self, caller, next)
    }

    fn on_disconnected(
        &self,
        caller: &AnyCaller,
        reason: Option<&DisconnectReason>,
        next: Next<'_, ()>,
    ) -> impl Future<Output = HubResult> + Send {
        F::on_disconnected(self, caller, reason, next)
    }
}

/// What a filter stands around: further filters, and in the end the hub. `T` is [`Reply`] for calls, and `()` for
/// connections that come and go.
///
/// ```
/// use signalr::hub::Reply;
/// use signalr::{InvocationContext, Filter, HubError, HubResult, Next};
///
/// /// Lets amounts be positive alone.
/// struct Positive;
///
/// impl Filter for Positive {
///     async fn invoke(&self, _: &InvocationContext, mut next: Next<'_>) -> HubResult<Reply> {
///         match next.argument::<f64>(0) {
///             Some(amount) if *amount <= 0.0 => Err(HubError::new("Nothing is no amount.")),
///             _ => next.run().await,
///         }
///     }
/// }
/// ```
#[must_use = "nothing happens unless it is `run`"]
pub struct Next<'a, T = Reply> {
    /// Those of a call.
    arguments: Option<Box<dyn BoundArguments>>,
    inner: Box<RemainingFilters<'a, T>>,
}

type RemainingFilters<'a, T> = dyn FnOnce(Option<Box<dyn BoundArguments>>) -> BoxFuture<'a, HubResult<T>> + Send + 'a;

impl<T> Next<'_, T> {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// Those of the hub and of the filters inside.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is complete, the call is dropped where it stands.
    pub async fn run(self) -> HubResult<T> {
        catch_panic((self.inner)(self.arguments)).await
    }
}

impl Next<'_> {
    /// An argument that the method will be given, to be read or changed (C#: `HubMethodArguments`); counted from 0 and
    /// without the streams among the parameters. `None` if there is none, or if the parameter is not of the very type `A`.
    pub fn argument<A: 'static>(&mut self, at: usize) -> Option<&mut A> {
        self.arguments.as_mut()?.argument(at)?.downcast_mut()
    }
}

/// The parameters of a method, whatever they are.
trait BoundArguments: Any + Send {
    fn argument(&mut self, at: usize) -> Option<&mut dyn Any>;
}

impl<P: Params> BoundArguments for P {
    fn argument(&mut self, at: usize) -> Option<&mut dyn Any> {
        Params::argument(self, at)
    }
}

/// A filter whose type is forgotten.
trait AnyFilter: Send + Sync {
    fn invoke<'a>(&'a self, call: &'a InvocationContext, next: Next<'a>) -> BoxFuture<'a, HubResult<Reply>>;

    fn on_connected<'a>(&'a self, caller: &'a AnyCaller, next: Next<'a, ()>) -> BoxFuture<'a, HubResult>;

    fn on_disconnected<'a>(
        &'a self,
        caller: &'a AnyCaller,
        reason: Option<&'a DisconnectReason>,
        next: Next<'a, ()>,
    ) -> BoxFuture<'a, HubResult>;
}

impl<F: Filter> AnyFilter for F {
    fn invoke<'a>(&'a self, call: &'a InvocationContext, next: Next<'a>) -> BoxFuture<'a, HubResult<Reply>> {
        Box::pin(self.invoke(call, next))
    }

    fn on_connected<'a>(&'a self, caller: &'a AnyCaller, next: Next<'a, ()>) -> BoxFuture<'a, HubResult> {
        Box::pin(self.on_connected(caller, next))
    }

    fn on_disconnected<'a>(
        &'a self,
        caller: &'a AnyCaller,
        reason: Option<&'a DisconnectReason>,
        next: Next<'a, ()>,
    ) -> BoxFuture<'a, HubResult> {
        Box::pin(self.on_disconnected(caller, reason, next))
    }
}

/// The filters of a server or of a hub, from the outermost to the innermost.
#[derive(Clone, Default)]
pub(crate) struct Filters(Vec<Arc<dyn AnyFilter>>);

impl Filters {
    pub(crate) fn add(&mut self, filter: impl Filter) {
        self.0.push(Arc::new(filter));
    }

    /// These, and `inner` inside of them.
    pub(crate) fn around(&self, inner: &Self) -> Self {
        Self(self.0.iter().chain(&inner.0).cloned().collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn on_connected<'a>(&'a self, caller: &'a AnyCaller, hub: BoxFuture<'a, HubResult>) -> Next<'a, ()> {
        around(&self.0, None, |filter, next| filter.on_connected(caller, next), |_| hub)
    }

    pub(super) fn on_disconnected<'a>(
        &'a self,
        caller: &'a AnyCaller,
        reason: Option<&'a DisconnectReason>,
        hub: BoxFuture<'a, HubResult>,
    ) -> Next<'a, ()> {
        around(&self.0, None, move |filter, next| filter.on_disconnected(caller, reason, next), |_| hub)
    }
}

/// `through` runs one filter, `end` what is inside of all of them.
fn around<'a, T: 'static>(
    filters: &'a [Arc<dyn AnyFilter>],
    arguments: Option<Box<dyn BoundArguments>>,
    through: impl Fn(&'a dyn AnyFilter, Next<'a, T>) -> BoxFuture<'a, HubResult<T>> + Copy + Send + 'a,
    end: impl FnOnce(Option<Box<dyn BoundArguments>>) -> BoxFuture<'a, HubResult<T>> + Send + 'a,
) -> Next<'a, T> {
    let inner: Box<RemainingFilters<'a, T>> = match filters.split_first() {
        Some((filter, inner)) => Box::new(move |arguments| through(&**filter, around(inner, arguments, through, end))),
        None => Box::new(end),
    };
    Next { arguments, inner }
}

/// A call that somebody looks at, and who does.
pub(super) struct FilteredCall {
    pub(super) call: Arc<InvocationContext>,
    pub(super) filters: Arc<Filters>,
}

impl FilteredCall {
    /// The call with its filters around it; `run` makes it.
    pub(super) fn run<P, F>(
        self,
        params: P,
        run: impl FnOnce(P) -> F + Send + 'static,
    ) -> BoxFuture<'static, HubResult<Reply>>
    where
        P: Params,
        F: Future<Output = HubResult<Reply>> + Send + 'static,
    {
        let method = move |arguments: Option<Box<dyn BoundArguments>>| -> BoxFuture<'static, HubResult<Reply>> {
            let params = arguments.map(|arguments| -> Box<dyn Any> { arguments }).and_then(|any| any.downcast().ok());
            let params: Box<P> = params.expect("each filter hands on what it was given");
            Box::pin(run(*params))
        };
        self.run_erased(Box::new(params), Box::new(method))
    }

    fn run_erased(
        self,
        params: Box<dyn BoundArguments>,
        method: Box<RemainingFilters<'static, Reply>>,
    ) -> BoxFuture<'static, HubResult<Reply>> {
        Box::pin(async move {
            let Self { call, filters } = &self;
            around(&filters.0, Some(params), |filter, next| filter.invoke(call, next), |arguments| method(arguments))
                .run()
                .await
        })
    }
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filters({})", self.0.len())
    }
}

impl<T> fmt::Debug for Next<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Next")
    }
}

impl fmt::Debug for FilteredCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilteredCall").field("call", &self.call).field("filters", &self.filters).finish()
    }
}
