//! Filters: code around hub methods and around `on_connected` and `on_disconnected`.

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

/// Code around every call of a hub method, and around [`on_connected`](crate::Hub::on_connected)
/// and [`on_disconnected`](crate::Hub::on_disconnected) (C#: `IHubFilter`).
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
/// /// Attribute of a method: index of the argument to filter.
/// struct CensoredArgument(usize);
///
/// /// Rejects or replaces words in that argument.
/// struct Censor;
///
/// impl Filter for Censor {
///     async fn invoke(&self, call: &InvocationContext, mut next: Next<'_>) -> HubResult<Reply> {
///         if let Some(CensoredArgument(at)) = call.attribute()
///             && let Some(text) = next.argument::<String>(*at)
///         {
///             if text.contains("blast") {
///                 return Err(HubError::new("The text contains a forbidden word."));
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
///     .filter(Censor) // around this hub
///     .build()?;
/// # Ok::<_, signalr::hosting::BuildError>(())
/// ```
///
/// The filter that is added first is the outermost; filters of the server are outside of those of a
/// hub. Each filter runs the inner filters and the method by [`Next::run`]. If it does not, its own
/// reply or error becomes that of the call. All calls share one value of a filter.
///
/// Filters run once for each call that can be made. They do not run if the method does not exist,
/// if the caller is not authorized, or if the arguments do not match the parameters. Filters do not
/// change the order of calls: a filter that waits delays the next call of the same client. A panic
/// becomes an error of the method or filter that panicked, and outer filters receive that error.
pub trait Filter: Send + Sync + 'static {
    /// Runs around a call (C#: `InvokeMethodAsync`). For a method with a stream, [`Next::run`] sets
    /// the stream up; its items are sent after all filters have completed.
    fn invoke(&self, call: &InvocationContext, next: Next<'_>) -> impl Future<Output = HubResult<Reply>> + Send {
        let _ = call;
        next.run()
    }

    /// Runs around [`on_connected`](crate::Hub::on_connected) (C#: `OnConnectedAsync`).
    ///
    /// The result of the outermost filter decides: an error closes the connection, `Ok` keeps it
    /// open even if the hub returned an error.
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

/// The inner filters and the hub method, to be run by a filter. `T` is [`Reply`] for calls, and
/// `()` for `on_connected` and `on_disconnected`.
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
#[must_use = "the hub method runs only if `run` is called"]
pub struct Next<'a, T = Reply> {
    /// `None` outside of a call.
    arguments: Option<Box<dyn BoundArguments>>,
    inner: Box<RemainingFilters<'a, T>>,
}

type RemainingFilters<'a, T> = dyn FnOnce(Option<Box<dyn BoundArguments>>) -> BoxFuture<'a, HubResult<T>> + Send + 'a;

impl<T> Next<'_, T> {
    /// Runs the inner filters and the hub method.
    ///
    /// # Errors
    ///
    /// Returns the error of the hub method or of an inner filter; a panic is an error.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, the hub method is dropped at its current
    /// `await`.
    pub async fn run(self) -> HubResult<T> {
        catch_panic((self.inner)(self.arguments)).await
    }
}

impl Next<'_> {
    /// Returns an argument of the hub method, to be read or changed (C#: `HubMethodArguments`).
    ///
    /// `at` counts from 0, without streams. Returns `None` if there is no such argument, or if the
    /// type of the parameter is not exactly `A`.
    pub fn argument<A: 'static>(&mut self, at: usize) -> Option<&mut A> {
        self.arguments.as_mut()?.argument(at)?.downcast_mut()
    }
}

/// Parameters of a method, without their type.
trait BoundArguments: Any + Send {
    fn argument(&mut self, at: usize) -> Option<&mut dyn Any>;
}

impl<P: Params> BoundArguments for P {
    fn argument(&mut self, at: usize) -> Option<&mut dyn Any> {
        Params::argument(self, at)
    }
}

/// A filter without its type, with boxed futures.
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

/// Filters of a server or of a hub, from the outermost to the innermost.
#[derive(Clone, Default)]
pub(crate) struct Filters(Vec<Arc<dyn AnyFilter>>);

impl Filters {
    pub(crate) fn add(&mut self, filter: impl Filter) {
        self.0.push(Arc::new(filter));
    }

    /// Returns these filters with `inner` inside of them.
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

/// Nests `filters`. `through` runs one filter; `end` runs the hub inside of all filters.
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

/// Context and filters of a call.
pub(super) struct FilteredCall {
    pub(super) call: Arc<InvocationContext>,
    pub(super) filters: Arc<Filters>,
}

impl FilteredCall {
    /// Runs the filters around the call; `run` is the innermost step.
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
            let params: Box<P> = params.expect("`Next` passes the same parameters through every filter");
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
