//! Methods by name, and what a call to one is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;

use super::bind::{Params, bind};
use super::caller::Caller;
use super::error::HubResult;
use super::{Hub, generated};
use crate::auth::Authorize;
use crate::future::BoxFuture;
use crate::protocol::{RawArguments, ReadError};

/// The methods of a hub, as [`Hub::methods`] lists them.
pub struct Methods<H> {
    all: Vec<Method<H>>,
}

/// How a method may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Kind {
    /// `invoke` and `send`: one answer.
    Call,
}

/// One method that clients may call.
pub(crate) struct Method<H> {
    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: Kind,
    pub(crate) authorize: Vec<Authorize>,
    bind: Box<Bind<H>>,
}

/// Binds the arguments at once; the future it returns makes the call.
type Bind<H> =
    dyn Fn(Invocation<H>, RawArguments<'_>) -> Result<BoxFuture<'static, HubResult<Reply>>, ReadError> + Send + Sync;

/// One call on its way to its method.
pub struct Invocation<H> {
    pub(super) parties: Arc<Parties<H>>,
    /// `None`: the client awaits no answer.
    pub(super) id: Option<Box<str>>,
}

/// Both ends of the calls of one connection, which share it.
pub(super) struct Parties<H> {
    pub(super) hub: Arc<H>,
    pub(super) caller: Caller<H>,
}

/// What a call came to, encoded for the caller already.
pub struct Reply(pub(crate) Option<Vec<u8>>);

impl<H: Hub> Methods<H> {
    /// Adds a method. Its name is looked up ignoring case.
    ///
    /// The function gets the hub, the caller and a tuple of the arguments, each of them an owned type with
    /// `serde::Deserialize`:
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use signalr::{Caller, Hub, HubResult, Methods};
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
            let params = bind::<P>(&arguments)?;
            let method = Arc::clone(&method);
            Ok(Box::pin(async move {
                let Parties { hub, caller } = &*invocation.parties;
                let value = method(Arc::clone(hub), caller.clone(), params).await?;
                generated::reply(&invocation, &value)
            }))
        })
    }

    /// Adds a set of methods that several hubs share, as C# hubs inherit them:
    ///
    /// ```
    /// # use signalr::{Hub, Methods};
    /// fn common<H: Hub>(methods: &mut Methods<H>) {
    ///     methods.method("Version", |_, _, (): ()| async { Ok("1.0") });
    /// }
    /// # struct Chat;
    /// # impl Hub for Chat {
    /// #     type Client = signalr::AnyClient;
    /// #     type Items = ();
    /// fn methods(methods: &mut Methods<Self>) {
    ///     methods.include(common);
    /// }
    /// # }
    /// ```
    pub fn include(&mut self, methods: impl FnOnce(&mut Self)) {
        methods(self);
    }

    #[doc(hidden)]
    pub fn insert(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        bind: impl Fn(Invocation<H>, RawArguments<'_>) -> Result<BoxFuture<'static, HubResult<Reply>>, ReadError>
        + Send
        + Sync
        + 'static,
    ) -> MethodOptions<'_, H> {
        let method = Method { name: name.into(), kind: Kind::Call, authorize: Vec::new(), bind: Box::new(bind) };
        self.all.push(method);
        MethodOptions { method: self.all.last_mut().expect("just pushed") }
    }

    pub(crate) fn list() -> Self {
        let mut methods = Self { all: Vec::new() };
        H::methods(&mut methods);
        methods
    }
}

/// Settings of the method that was just added.
pub struct MethodOptions<'a, H> {
    method: &'a mut Method<H>,
}

impl<H> MethodOptions<'_, H> {
    /// Who may call it; every rule that is added must hold (C#: `[Authorize]` on a method).
    pub fn authorize(self, rule: Authorize) -> Self {
        self.method.authorize.push(rule);
        self
    }
}

impl<H> Invocation<H> {
    /// What all calls of one connection are made from.
    pub(crate) fn new(hub: Arc<H>, caller: Caller<H>) -> Self {
        Self { parties: Arc::new(Parties { hub, caller }), id: None }
    }

    /// A call of the same connection.
    pub(crate) fn with_id(&self, id: Option<&str>) -> Self {
        Self { parties: Arc::clone(&self.parties), id: id.map(Into::into) }
    }
}

impl<H> Method<H> {
    pub(crate) fn bind(
        &self,
        invocation: Invocation<H>,
        arguments: RawArguments<'_>,
    ) -> Result<BoxFuture<'static, HubResult<Reply>>, ReadError> {
        (self.bind)(invocation, arguments)
    }
}

/// The methods of a hub, frozen, with what authorization made of their rules.
pub(crate) struct MethodTable<H, R> {
    methods: Vec<(Method<H>, R)>,
    /// By the exact name, which clients mostly use, and by the folded one.
    by_name: BTreeMap<Box<str>, usize>,
    by_folded: BTreeMap<Box<str>, usize>,
    _hub: PhantomData<fn() -> H>,
}

/// Two methods whose names differ in case alone.
#[derive(Debug)]
pub(crate) struct TableError {
    pub(crate) name: Cow<'static, str>,
}

impl<H, R> MethodTable<H, R> {
    /// `resolve` turns the rules of a method into what is checked at a call.
    pub(crate) fn new<E: From<TableError>>(
        methods: Methods<H>,
        mut resolve: impl FnMut(&Method<H>) -> Result<R, E>,
    ) -> Result<Self, E> {
        let mut table =
            Self { methods: Vec::new(), by_name: BTreeMap::new(), by_folded: BTreeMap::new(), _hub: PhantomData };
        for method in methods.all {
            let at = table.methods.len();
            if table.by_folded.insert(fold(&method.name), at).is_some() {
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
            None => self.by_folded.get(&fold(name))?,
        };
        Some(&self.methods[*at])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Method<H>> {
        self.methods.iter().map(|(method, _)| method)
    }
}

/// Upper case by one-to-one mappings only, as .NET's `StringComparer.OrdinalIgnoreCase` compares.
fn fold(name: &str) -> Box<str> {
    let upper = |c: char| {
        let mut upper = c.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(one), None) => one,
            _ => c,
        }
    };
    name.chars().map(upper).collect::<String>().into()
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

impl<H> fmt::Debug for Invocation<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("bytes", &self.0.as_ref().map(Vec::len)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn names_fold_as_dotnet_compares_them() {
        assert_eq!(fold("subscribeToWard"), fold("SUBSCRIBETOWARD"));
        assert_eq!(fold("größe"), "GRÖßE".into(), "ß has no single upper-case letter");
        assert_eq!(fold("ﬁ"), "ﬁ".into());
    }
}
