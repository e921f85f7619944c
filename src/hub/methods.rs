//! The methods of a hub: registration, lookup by name, and binding of calls.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_core::Stream;
use futures_core::future::BoxFuture;
use serde::Serialize;

use super::arguments::{Params, Uploads, bind_arguments};
use super::caller::Caller;
use super::error::{HubError, HubResult};
use super::filter::FilteredCall;
use super::invocation_context::{Attributes, InvocationContext};
use super::{Hub, macro_support};
use crate::auth::{Authorize, Resource};
use crate::ordinal;
use crate::protocol::{RawArguments, ReadError};

/// Methods of a hub, to be registered in [`Hub::methods`].
///
/// ```
/// # use signalr::hub::{AnyClient, Methods};
/// # use signalr::Hub;
/// # struct Desk;
/// # impl Hub for Desk {
/// #     type Client = AnyClient;
/// #     type Items = ();
/// fn methods(methods: &mut Methods<Self>) {
///     methods.method("Add", |_, _, (a, b): (i32, i32)| async move { Ok(a + b) });
/// }
/// # }
/// ```
pub struct Methods<H> {
    all: Vec<Method<H>>,
    attributes: Attributes,
}

/// Kind of invocation that a method accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum MethodKind {
    /// `invoke` and `send`: at most one result.
    Call,
    /// Any number of items: `stream` of clients.
    Stream,
}

/// A method that clients can invoke.
pub(crate) struct Method<H> {
    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: MethodKind,
    pub(crate) authorize: Vec<Authorize>,
    pub(super) attributes: Attributes,
    bind: Box<Bind<H>>,
}

/// Binds the arguments of a call, before the future of the call exists.
type Bind<H> = dyn Fn(MethodInvocation<H>, RawArguments<'_>) -> Result<BoundCall, ReadError> + Send + Sync;

/// A call whose arguments are not bound yet, for the code that `#[hub]` generates.
#[doc(hidden)]
pub struct MethodInvocation<H> {
    pub(super) caller: Caller<H>,
    /// Context for filters and policies, if there are any.
    pub(super) filtered: Option<Box<FilteredCall>>,
}

/// A call with bound arguments.
pub struct BoundCall {
    /// Runs the method with its filters.
    pub(crate) future: BoxFuture<'static, HubResult<Reply>>,
    /// Streams that the method reads from the client.
    pub(crate) uploads: Uploads,
}

/// Outcome of a successful call: an encoded value, or a stream that is set up. A
/// [filter](crate::Filter) returns the reply of [`Next::run`](crate::Next::run), or another reply
/// from [`InvocationContext::reply`](crate::InvocationContext::reply).
///
/// ```
/// use signalr::hub::Reply;
/// use signalr::{InvocationContext, Filter, HubResult, Next};
///
/// /// Replaces errors by the result 0.
/// struct Zero;
///
/// impl Filter for Zero {
///     async fn invoke(&self, call: &InvocationContext, next: Next<'_>) -> HubResult<Reply> {
///         match next.run().await {
///             Err(_) => call.reply(&0),
///             reply => reply,
///         }
///     }
/// }
/// ```
pub struct Reply(pub(crate) CallOutput);

/// Content of a [`Reply`].
pub(crate) enum CallOutput {
    /// The client waits for no result, or the last item of the stream is sent.
    Nothing,
    /// An encoded completion.
    Value(Vec<u8>),
    /// A stream that is set up. The future sends its items.
    Stream(BoxFuture<'static, HubResult<Reply>>),
    /// The method returned no stream.
    NoStream,
    /// An asynchronous policy rejected the caller.
    Unauthorized,
}

impl<H: Hub> Methods<H> {
    /// Registers a method. Clients can spell its name in any case.
    ///
    /// The function receives the hub, the caller and a tuple of arguments. Each argument is an
    /// owned type with `serde::Deserialize` or an [`UploadStream`](crate::UploadStream):
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use signalr::hub::Methods;
    /// # use signalr::{Caller, Hub, HubResult};
    /// # fn list<H: Hub>(methods: &mut Methods<H>) {
    /// methods.method("Add", |_hub, _caller, (a, b): (i32, i32)| async move { Ok(a + b) });
    /// methods.method("Named", named::<H>);
    /// # }
    ///
    /// async fn named<H: Hub>(_: Arc<H>, caller: Caller<H>, (): ()) -> HubResult<String> {
    ///     Ok(caller.connection_id().to_string())
    /// }
    /// ```
    pub fn method<P, T, F, Fut>(&mut self, name: impl Into<Cow<'static, str>>, method: F) -> MethodOptions<'_, H>
    where
        P: Params,
        T: Serialize,
        F: Fn(Arc<H>, Caller<H>, P) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = HubResult<T>> + Send + 'static,
    {
        let method = Arc::new(method);
        self.insert(name, move |invocation, arguments| {
            let parsed = bind_arguments::<P>(&arguments)?;
            let method = Arc::clone(&method);
            Ok(macro_support::call(invocation, parsed, |invocation, params| async move {
                let caller = &invocation.caller;
                let value = method(Arc::clone(caller.hub()), caller.clone(), params).await?;
                macro_support::reply(&invocation, &value)
            }))
        })
    }

    /// Registers a method that returns a stream (C#: a method that returns an `IAsyncEnumerable<T>`
    /// or a `ChannelReader<T>`).
    ///
    /// The future returns the stream, whose items are then sent at the pace of the client. The
    /// stream is dropped when the client cancels it or its connection ends; for cleanup, implement
    /// `Drop` for a value in the stream.
    ///
    /// ```
    /// # use std::pin::Pin;
    /// # use std::task::{Context, Poll};
    /// # use signalr::hub::Methods;
    /// # use signalr::{Hub, HubResult};
    /// # struct CountTo(u32, u32);
    /// # impl futures_core::Stream for CountTo {
    /// #     type Item = HubResult<u32>;
    /// #     fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<HubResult<u32>>> { Poll::Ready(None) }
    /// # }
    /// # fn list<H: Hub>(methods: &mut Methods<H>) {
    /// methods.stream("CountTo", |_, _, (end,): (u32,)| async move { Ok(CountTo(0, end)) });
    /// # }
    /// ```
    pub fn stream<P, S, T, E, F, Fut>(&mut self, name: impl Into<Cow<'static, str>>, method: F) -> MethodOptions<'_, H>
    where
        P: Params,
        S: Stream<Item = Result<T, E>> + Send + 'static,
        T: Serialize + 'static,
        E: 'static,
        HubError: From<E>,
        F: Fn(Arc<H>, Caller<H>, P) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = HubResult<S>> + Send + 'static,
    {
        self.optional_stream(name, move |hub, caller, params| {
            let stream = method(hub, caller, params);
            async { stream.await.map(Some) }
        })
    }

    /// Registers a method that returns a stream or `None`. For `None`, the client receives the
    /// error that ASP.NET Core sends for null.
    pub fn optional_stream<P, S, T, E, F, Fut>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        method: F,
    ) -> MethodOptions<'_, H>
    where
        P: Params,
        S: Stream<Item = Result<T, E>> + Send + 'static,
        T: Serialize + 'static,
        E: 'static,
        HubError: From<E>,
        F: Fn(Arc<H>, Caller<H>, P) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = HubResult<Option<S>>> + Send + 'static,
    {
        let method = Arc::new(method);
        self.insert_stream(name, move |invocation, arguments| {
            let parsed = bind_arguments::<P>(&arguments)?;
            let method = Arc::clone(&method);
            Ok(macro_support::stream(invocation, parsed, |invocation, params, items| async move {
                let caller = &invocation.caller;
                match method(Arc::clone(caller.hub()), caller.clone(), params).await? {
                    Some(stream) => items.send(stream, |item| item).await,
                    None => macro_support::no_stream(),
                }
            }))
        })
    }

    /// Registers methods that several hubs share, as C# hubs inherit them:
    ///
    /// ```
    /// # use signalr::hub::Methods;
    /// # use signalr::Hub;
    /// fn common<H: Hub>(methods: &mut Methods<H>) {
    ///     methods.method("Version", |_, _, (): ()| async { Ok("1.0") });
    /// }
    /// # struct Chat;
    /// # impl Hub for Chat {
    /// #     type Client = signalr::hub::AnyClient;
    /// #     type Items = ();
    /// fn methods(methods: &mut Methods<Self>) {
    ///     methods.include(common);
    /// }
    /// # }
    /// ```
    pub fn include(&mut self, methods: impl FnOnce(&mut Self)) {
        methods(self);
    }

    /// Attaches an attribute to the hub, for filters and policies to read by
    /// [`InvocationContext::attribute`](crate::InvocationContext::attribute) (C#: an attribute on
    /// the class).
    pub fn attribute(&mut self, value: impl Any + Send + Sync) {
        self.attributes.add(value);
    }

    #[doc(hidden)]
    pub fn insert(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        bind: impl Fn(MethodInvocation<H>, RawArguments<'_>) -> Result<BoundCall, ReadError> + Send + Sync + 'static,
    ) -> MethodOptions<'_, H> {
        self.add(name.into(), MethodKind::Call, Box::new(bind))
    }

    #[doc(hidden)]
    pub fn insert_stream(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        bind: impl Fn(MethodInvocation<H>, RawArguments<'_>) -> Result<BoundCall, ReadError> + Send + Sync + 'static,
    ) -> MethodOptions<'_, H> {
        self.add(name.into(), MethodKind::Stream, Box::new(bind))
    }

    fn add(&mut self, name: Cow<'static, str>, kind: MethodKind, bind: Box<Bind<H>>) -> MethodOptions<'_, H> {
        self.all.push(Method { name, kind, authorize: Vec::new(), attributes: Attributes::default(), bind });
        MethodOptions { method: self.all.last_mut().expect("just pushed") }
    }

    pub(crate) fn list() -> Self {
        let mut methods = Self { all: Vec::new(), attributes: Attributes::default() };
        H::methods(&mut methods);
        methods
    }
}

/// Options of a method, returned by its registration.
///
/// ```
/// # use signalr::hub::Methods;
/// # use signalr::Hub;
/// use signalr::auth::Authorize;
///
/// # fn list<H: Hub>(methods: &mut Methods<H>) {
/// methods.method("Reset", |_, _, (): ()| async { Ok(()) }).authorize(Authorize::policy("Admins")).attribute("rare");
/// # }
/// ```
pub struct MethodOptions<'a, H> {
    method: &'a mut Method<H>,
}

impl<H> MethodOptions<'_, H> {
    /// Adds a rule for calling the method; a user has to meet all of them (C#: `[Authorize]` on a
    /// method).
    pub fn authorize(self, rule: Authorize) -> Self {
        self.method.authorize.push(rule);
        self
    }

    /// Attaches an attribute to the method, for filters and policies to read by
    /// [`InvocationContext::attribute`](crate::InvocationContext::attribute) (C#: an attribute on
    /// the method).
    pub fn attribute(self, value: impl Any + Send + Sync) -> Self {
        self.method.attributes.add(value);
        self
    }
}

impl<H> MethodInvocation<H> {
    /// Returns the context of the call for policies; `None` if no policy or filter needs it.
    pub(crate) fn resource(&self) -> Option<Resource> {
        self.filtered.as_ref().map(|filtered| -> Resource { Arc::<InvocationContext>::clone(&filtered.call) })
    }
}

impl<H> Method<H> {
    pub(crate) fn bind(
        &self,
        invocation: MethodInvocation<H>,
        arguments: RawArguments<'_>,
    ) -> Result<BoundCall, ReadError> {
        (self.bind)(invocation, arguments)
    }
}

/// Methods of a hub with their resolved authorization rules, immutable.
pub(crate) struct MethodTable<H, R> {
    methods: Vec<(Method<H>, R)>,
    /// Indices by exact name, which clients mostly use, and by folded name.
    by_name: BTreeMap<Box<str>, usize>,
    by_folded_name: BTreeMap<String, usize>,
    /// Number of characters of the longest name.
    max_name_chars: usize,
    attributes: Attributes,
    _hub: PhantomData<fn() -> H>,
}

/// Two methods have names that differ only in case.
#[derive(Debug)]
pub(crate) struct TableError {
    pub(crate) name: Cow<'static, str>,
}

impl<H, R> MethodTable<H, R> {
    /// Creates the table. `resolve` converts the rules of a method to the form that calls are
    /// checked with.
    pub(crate) fn new<E: From<TableError>>(
        methods: Methods<H>,
        mut resolve: impl FnMut(&Method<H>) -> Result<R, E>,
    ) -> Result<Self, E> {
        let mut table = Self {
            methods: Vec::new(),
            by_name: BTreeMap::new(),
            by_folded_name: BTreeMap::new(),
            max_name_chars: 0,
            attributes: methods.attributes,
            _hub: PhantomData,
        };
        for method in methods.all {
            let at = table.methods.len();
            table.max_name_chars = table.max_name_chars.max(method.name.chars().count());
            if table.by_folded_name.insert(ordinal::fold(&method.name), at).is_some() {
                return Err(TableError { name: method.name }.into());
            }
            table.by_name.insert(method.name.as_ref().into(), at);
            let rules = resolve(&method)?;
            table.methods.push((method, rules));
        }
        Ok(table)
    }

    pub(crate) fn find(&self, name: &str) -> Option<&(Method<H>, R)> {
        let at = match self.by_name.get(name) {
            Some(at) => at,
            None => self.by_folded_name.get(&self.fold(name)?)?,
        };
        Some(&self.methods[*at])
    }

    /// Returns the folded name, or `None` if `name` is longer than every method name. The limit
    /// bounds the cost: a client chooses the length of the name, and one message can lead to
    /// several lookups.
    fn fold(&self, name: &str) -> Option<String> {
        // Folding does not change the number of characters.
        name.chars().nth(self.max_name_chars).is_none().then(|| ordinal::fold(name))
    }

    /// Returns the attributes of the hub.
    pub(super) fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Method<H>> {
        self.methods.iter().map(|(method, _)| method)
    }
}

impl<H> fmt::Debug for Methods<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.iter().map(|method| &method.name)).finish()
    }
}

impl<H> fmt::Debug for MethodOptions<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodOptions").field("method", &self.method.name).finish_non_exhaustive()
    }
}

impl<H> fmt::Debug for MethodInvocation<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodInvocation").field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl fmt::Debug for BoundCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundCall").field("uploads", &self.uploads).finish_non_exhaustive()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            CallOutput::Nothing => "Nothing",
            CallOutput::Value(_) => "Value",
            CallOutput::Stream(_) => "Stream",
            CallOutput::NoStream => "NoStream",
            CallOutput::Unauthorized => "Unauthorized",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::AnyClient;

    struct Desk;

    impl Hub for Desk {
        type Client = AnyClient;
        type Items = ();

        fn methods(methods: &mut Methods<Self>) {
            for name in ["Slow", "größe"] {
                methods.method(name, |_, _, (): ()| async { Ok(()) });
            }
        }
    }

    fn table() -> MethodTable<Desk, ()> {
        MethodTable::new(Methods::list(), |_| Ok::<_, TableError>(())).unwrap()
    }

    #[test]
    fn method_names_are_compared_as_in_dotnet() {
        let table = table();
        let find = |name: &str| table.find(name).map(|(method, ())| &*method.name);
        for name in ["Slow", "slow", "SLOW"] {
            assert_eq!(find(name), Some("Slow"), "{name}");
        }
        assert_eq!(find("GRÖßE"), Some("größe"));
        for name in ["", "Slo", "Slower", "\u{17f}low", "GRÖSSE"] {
            assert_eq!(find(name), None, "{name}");
        }
    }

    #[test]
    fn names_longer_than_every_method_name_are_not_folded() {
        let table = table();
        for name in ["größer", &"ö".repeat(16 * 1024)] {
            assert_eq!(table.fold(name), None);
        }
        assert_eq!(table.fold("öööö5").as_deref(), Some("ÖÖÖÖ5"));
    }
}
