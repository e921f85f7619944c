//! Methods of a hub by name, and their calls.

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
use super::filter::FilteredStream;
use super::invocation_context::{Attributes, InvocationContext};
use super::{Hub, macro_support};
use crate::auth::{Authorize, Resource};
use crate::ordinal;
use crate::protocol::{RawArguments, ReadError};

/// Methods of a hub; [`Hub::methods`] adds them.
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

/// Kind of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum MethodKind {
    /// One result: `invoke` and `send` of clients.
    Call,
    /// Any number of items: `stream` of clients.
    Stream,
}

/// Method that clients can call.
pub(crate) struct Method<H> {
    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: MethodKind,
    pub(crate) authorize: Vec<Authorize>,
    pub(super) attributes: Attributes,
    bind: Box<Bind<H>>,
}

/// Binds the arguments of a call.
type Bind<H> = dyn Fn(MethodInvocation<H>, RawArguments<'_>) -> Result<BoundCall, ReadError> + Send + Sync;

/// Call of a method, for the code that `#[hub]` generates.
#[doc(hidden)]
pub struct MethodInvocation<H> {
    pub(super) caller: Caller<H>,
    /// View of the call for filters and policies, if there are any.
    pub(super) watched: Option<Box<FilteredStream>>,
}

/// Call with bound arguments.
pub struct BoundCall {
    /// Runs the method.
    pub(crate) future: BoxFuture<'static, HubResult<Reply>>,
    /// Uploads of the client that the method receives.
    pub(crate) uploads: Uploads,
}

/// Result of a call: an encoded value, or a stream that has not started.
///
/// [Filters](crate::Filter) return it, or create another one by
/// [`InvocationContext::reply`](crate::InvocationContext::reply).
///
/// ```
/// use signalr::hub::Reply;
/// use signalr::{InvocationContext, Filter, HubResult, Next};
///
/// /// Returns 0 for methods that fail.
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
    /// The client expects no result, or the last item of its stream is sent.
    Nothing,
    /// Encoded completion.
    Value(Vec<u8>),
    /// Stream; the future sends its items.
    Stream(BoxFuture<'static, HubResult<Reply>>),
    /// The method returned no stream.
    NoStream,
    /// An asynchronous policy denied the call.
    Unauthorized,
}

impl<H: Hub> Methods<H> {
    /// Adds a method. Clients may write its name in any case.
    ///
    /// The function receives the hub, the caller and a tuple of the arguments, which are owned types with
    /// `serde::Deserialize`:
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
            let opened = bind_arguments::<P>(&arguments)?;
            let method = Arc::clone(&method);
            Ok(macro_support::call(invocation, opened, |invocation, params| async move {
                let caller = &invocation.caller;
                let value = method(Arc::clone(caller.hub()), caller.clone(), params).await?;
                macro_support::reply(&invocation, &value)
            }))
        })
    }

    /// Adds a method that returns a stream (C#: `IAsyncEnumerable<T>` or `ChannelReader<T>`).
    ///
    /// The future creates the stream; its items are sent as fast as the client reads. The stream is dropped
    /// when the client cancels it or disconnects; put clean-up code into a `Drop` implementation.
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

    /// Adds a method that may return no stream (C#: null, which is an error for the client).
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
            let opened = bind_arguments::<P>(&arguments)?;
            let method = Arc::clone(&method);
            Ok(macro_support::stream(invocation, opened, |invocation, params, items| async move {
                let caller = &invocation.caller;
                match method(Arc::clone(caller.hub()), caller.clone(), params).await? {
                    Some(stream) => items.send(stream, |item| item).await,
                    None => macro_support::no_stream(),
                }
            }))
        })
    }

    /// Adds methods that several hubs share (C#: a base class):
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

    /// Adds an attribute to the hub (C#: an attribute on the class). Filters and policies read it by
    /// [`InvocationContext::attribute`](crate::InvocationContext::attribute).
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

/// Options of the method that was added last.
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
    /// Adds an authorization rule (C#: `[Authorize]` on a method). All rules must allow the caller.
    pub fn authorize(self, rule: Authorize) -> Self {
        self.method.authorize.push(rule);
        self
    }

    /// Adds an attribute to the method (C#: an attribute on the method). Filters and policies read it by
    /// [`InvocationContext::attribute`](crate::InvocationContext::attribute).
    pub fn attribute(self, value: impl Any + Send + Sync) -> Self {
        self.method.attributes.add(value);
        self
    }
}

impl<H> MethodInvocation<H> {
    /// View of the call for policies that examine it.
    pub(crate) fn resource(&self) -> Option<Resource> {
        self.watched.as_ref().map(|watched| -> Resource { Arc::<InvocationContext>::clone(&watched.call) })
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

/// Methods of a built hub with their resolved authorization rules.
pub(crate) struct MethodTable<H, R> {
    methods: Vec<(Method<H>, R)>,
    /// By exact name, which most clients use, and by folded name.
    by_name: BTreeMap<Box<str>, usize>,
    by_folded: BTreeMap<String, usize>,
    /// Length of the longest name, in characters.
    longest: usize,
    attributes: Attributes,
    _hub: PhantomData<fn() -> H>,
}

/// Two methods have names that differ in case only.
#[derive(Debug)]
pub(crate) struct TableError {
    pub(crate) name: Cow<'static, str>,
}

impl<H, R> MethodTable<H, R> {
    /// `resolve` resolves the rules of a method.
    pub(crate) fn new<E: From<TableError>>(
        methods: Methods<H>,
        mut resolve: impl FnMut(&Method<H>) -> Result<R, E>,
    ) -> Result<Self, E> {
        let mut table = Self {
            methods: Vec::new(),
            by_name: BTreeMap::new(),
            by_folded: BTreeMap::new(),
            longest: 0,
            attributes: methods.attributes,
            _hub: PhantomData,
        };
        for method in methods.all {
            let at = table.methods.len();
            table.longest = table.longest.max(method.name.chars().count());
            if table.by_folded.insert(ordinal::fold(&method.name), at).is_some() {
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
            None => self.by_folded.get(&self.fold(name)?)?,
        };
        Some(&self.methods[*at])
    }

    /// Folded name; `None` if it is longer than every name of the hub. Clients choose the length, and may repeat a name
    /// in a message.
    fn fold(&self, name: &str) -> Option<String> {
        // Folding keeps the number of characters.
        name.chars().nth(self.longest).is_none().then(|| ordinal::fold(name))
    }

    /// Attributes of the hub.
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
        f.debug_struct("Invocation").field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl fmt::Debug for BoundCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("uploads", &self.uploads).finish_non_exhaustive()
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
    fn names_are_found_as_dotnet_compares_them() {
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
    fn names_longer_than_all_methods_are_not_folded() {
        let table = table();
        for name in ["größer", &"ö".repeat(16 * 1024)] {
            assert_eq!(table.fold(name), None);
        }
        assert_eq!(table.fold("öööö5").as_deref(), Some("ÖÖÖÖ5"));
    }
}
