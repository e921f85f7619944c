//! Filters: code around hub method calls and around connection events.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::any_caller::AnyCaller;
use super::arguments::Params;
use super::catch_panic::catch_panic;
use super::error::{DisconnectReason, HubResult};
use super::invocation_context::InvocationContext;
use super::methods::Reply;

/// Code around every hub method call, and around [`on_connected`](crate::Hub::on_connected) and
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
/// /// Prints the duration of calls.
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
/// /// Attribute of a method: the argument that is checked for rude words.
/// struct Polite(usize);
///
/// /// Checks these arguments.
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
/// The filter that is added first is the outermost, and filters of the server are outside of those of a
/// hub. A filter calls [`Next::run`] to run the filters and the method inside of it; otherwise its own
/// result is the result of the call. All calls share one value of a filter.
///
/// Filters run once for each call that is authorized and whose arguments are bound; they do not run for
/// unknown methods. The order of calls is that without filters: a filter that waits delays the next call of
/// its client. A panic becomes an error, which the filters around it receive.
pub trait Filter: Send + Sync + 'static {
    /// Runs around a call (C#: `InvokeMethodAsync`). For a stream, [`Next::run`] creates the stream; its items
    /// are sent after all filters have returned.
    fn invoke(&self, call: &InvocationContext, next: Next<'_>) -> impl Future<Output = HubResult<Reply>> + Send {
        let _ = call;
        next.run()
    }

    /// Runs around [`on_connected`](crate::Hub::on_connected) (C#: `OnConnectedAsync`). An error closes the
    /// connection; after `Ok` it stays open even if the hub returned an error.
    fn on_connected(&self, caller: &AnyCaller, next: Next<'_, ()>) -> impl Future<Output = HubResult> + Send {
        let _ = caller;
        next.run()
    }

    /// Runs around [`on_disconnected`](crate::Hub::on_disconnected) (C#: `OnDisconnectedAsync`).
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

/// Forwards to a shared filter.
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

/// Filters and hub method inside of a filter. `T` is [`Reply`] for calls and `()` for connection events.
///
/// ```
/// use signalr::hub::Reply;
/// use signalr::{InvocationContext, Filter, HubError, HubResult, Next};
///
/// /// Rejects amounts that are not positive.
/// struct Positive;
///
/// impl Filter for Positive {
///     async fn invoke(&self, _: &InvocationContext, mut next: Next<'_>) -> HubResult<Reply> {
///         match next.argument::<f64>(0) {
///             Some(amount) if *amount <= 0.0 => Err(HubError::new("The amount must be positive.")),
///             _ => next.run().await,
///         }
///     }
/// }
/// ```
#[must_use = "nothing happens unless it is `run`"]
pub struct Next<'a, T = Reply> {
    /// Arguments of a call.
    arguments: Option<Box<dyn BoundArguments>>,
    rest: Box<RemainingFilters<'a, T>>,
}

type RemainingFilters<'a, T> = dyn FnOnce(Option<Box<dyn BoundArguments>>) -> BoxFuture<'a, HubResult<T>> + Send + 'a;

impl<T> Next<'_, T> {
    /// Runs the inner filters and the hub method.
    ///
    /// # Errors
    ///
    /// Those of the hub method and of the inner filters.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the inner filters and the hub method.
    pub async fn run(self) -> HubResult<T> {
        catch_panic((self.rest)(self.arguments)).await
    }
}

impl Next<'_> {
    /// Argument of the method, which the filter may change (C#: `HubMethodArguments`). Arguments count from 0,
    /// without streams. `None` if there is no such argument or its type is not `A`.
    pub fn argument<A: 'static>(&mut self, at: usize) -> Option<&mut A> {
        self.arguments.as_mut()?.argument(at)?.downcast_mut()
    }
}

/// Type-erased parameters of a method.
trait BoundArguments: Any + Send {
    fn argument(&mut self, at: usize) -> Option<&mut dyn Any>;
}

impl<P: Params> BoundArguments for P {
    fn argument(&mut self, at: usize) -> Option<&mut dyn Any> {
        Params::argument(self, at)
    }
}

/// Type-erased [`Filter`].
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

/// Filters of a server or of a hub, outermost first.
#[derive(Clone, Default)]
pub(crate) struct Filters(Vec<Arc<dyn AnyFilter>>);

impl Filters {
    pub(crate) fn add(&mut self, filter: impl Filter) {
        self.0.push(Arc::new(filter));
    }

    /// Appends `inner` as the innermost filters.
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

/// Nests filters around `end`; `through` runs one filter.
fn around<'a, T: 'static>(
    filters: &'a [Arc<dyn AnyFilter>],
    arguments: Option<Box<dyn BoundArguments>>,
    through: impl Fn(&'a dyn AnyFilter, Next<'a, T>) -> BoxFuture<'a, HubResult<T>> + Copy + Send + 'a,
    end: impl FnOnce(Option<Box<dyn BoundArguments>>) -> BoxFuture<'a, HubResult<T>> + Send + 'a,
) -> Next<'a, T> {
    let rest: Box<RemainingFilters<'a, T>> = match filters.split_first() {
        Some((filter, inner)) => Box::new(move |arguments| through(&**filter, around(inner, arguments, through, end))),
        None => Box::new(end),
    };
    Next { arguments, rest }
}

/// Call with filters or policies that examine it.
pub(super) struct FilteredStream {
    pub(super) call: Arc<InvocationContext>,
    pub(super) filters: Arc<Filters>,
}

impl FilteredStream {
    /// Runs the call inside of its filters.
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

impl fmt::Debug for FilteredStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("call", &self.call).field("filters", &self.filters).finish()
    }
}
