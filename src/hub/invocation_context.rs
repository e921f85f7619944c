//! What filters and policies see of a call.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::any_caller::AnyCaller;
use super::error::{HubError, HubResult};
use super::macro_support::encode;
use super::methods::{CallOutput, Method, MethodKind, Reply};
use super::stream::ItemSender;
use super::{Caller, Hub};
use crate::auth::{Policy, User};
use crate::protocol::{Framer, HubMessage, KeptArguments, RawArguments};

/// A call that a client makes, as [filters](crate::Filter) and [policies](Policy::require_invocation) see it (C#:
/// `HubInvocationContext`).
///
/// ```
/// use signalr::InvocationContext;
///
/// fn describe(call: &InvocationContext) -> String {
///     format!("{} with {} arguments, by {:?}", call.method(), call.argument_count(), call.user().name())
/// }
/// ```
pub struct InvocationContext {
    method: Cow<'static, str>,
    kind: MethodKind,
    /// Those of the method, and those of its hub.
    attributes: [Attributes; 2],
    arguments: KeptArguments,
    caller: AnyCaller,
}

impl InvocationContext {
    pub(super) fn new<H: Hub>(
        caller: Caller<H>,
        method: &Method<H>,
        hub: &Attributes,
        arguments: &RawArguments<'_>,
    ) -> Self {
        Self {
            method: method.name.clone(),
            kind: method.kind,
            attributes: [method.attributes.clone(), hub.clone()],
            arguments: arguments.to_kept(),
            caller: AnyCaller::new(caller),
        }
    }

    /// The name of the method as it was registered, however the client spells it (C#: `HubMethodName`, which is the name in
    /// the source).
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Whether the method answers with a stream.
    pub fn is_stream(&self) -> bool {
        self.kind == MethodKind::Stream
    }

    /// Who is calling (C#: `Context`).
    pub fn caller(&self) -> &AnyCaller {
        &self.caller
    }

    /// The user who is calling; short for `caller().user()`.
    pub fn user(&self) -> &User {
        self.caller.user()
    }

    /// The attribute of this type that stands on the method or else on its hub (C#:
    /// `HubMethod.GetCustomAttribute<T>()`).
    ///
    /// ```
    /// use signalr::{InvocationContext, hub};
    ///
    /// struct Danger(u8);
    ///
    /// struct Pumps;
    ///
    /// #[hub]
    /// impl Pumps {
    ///     #[hub(attribute = Danger(9))]
    ///     async fn set_rate(&self, millilitres: f64) {
    ///         # let _ = millilitres;
    ///     }
    /// }
    ///
    /// fn is_dangerous(call: &InvocationContext) -> bool {
    ///     call.attribute::<Danger>().is_some_and(|danger| danger.0 > 5)
    /// }
    /// ```
    pub fn attribute<T: Any>(&self) -> Option<&T> {
        self.attributes().next()
    }

    /// All attributes of this type, in order: the method's, then the hub's.
    pub fn attributes<T: Any>(&self) -> impl Iterator<Item = &T> {
        self.attributes.iter().flat_map(Attributes::of)
    }

    /// How many arguments the client sent; streams are none.
    pub fn argument_count(&self) -> usize {
        self.arguments.len()
    }

    /// An argument as the client sent it, counted from 0; `None` if there is none or it is no `T`.
    ///
    /// It is read anew, as any type that fits. In a policy nobody has yet looked at what the client sent: it may be anything.
    /// What the method is given may be [changed](crate::Next::argument).
    pub fn argument<T: DeserializeOwned>(&self, at: usize) -> Option<T> {
        self.arguments.read(at)
    }

    /// An answer of a filter itself, in place of the method's.
    ///
    /// # Errors
    ///
    /// When the value cannot be encoded.
    pub fn reply<T: Serialize + ?Sized>(&self, value: &T) -> HubResult<Reply> {
        encode(self.caller.connection().protocol, self.caller.call(), value)
    }

    /// The same for a method that answers with a stream.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn reply_stream<S, T, E>(&self, stream: S) -> HubResult<Reply>
    where
        S: Stream<Item = Result<T, E>> + Send + 'static,
        T: Serialize + 'static,
        E: 'static,
        HubError: From<E>,
    {
        match self.caller.call() {
            Some(call) if self.is_stream() => {
                let items = ItemSender::begun(self.caller.connection(), call);
                Ok(Reply(CallOutput::Stream(Box::pin(items.send(stream, |item| item)))))
            }
            _ => Err(HubError::internal("a stream for a method that answers with one value")),
        }
    }

    /// What the method returned, read from the answer that is written already (C#: what `next` returns). `None` if the
    /// client waits for none, if it is a stream, or if it is no `T`.
    pub fn result<T: DeserializeOwned>(&self, reply: &Reply) -> Option<T> {
        let Reply(CallOutput::Value(message)) = reply else { return None };
        let protocol = self.caller.connection().protocol;
        let mut framer = Framer::new(protocol.kind(), None);
        let frame = framer.next(&mut &message[..]).ok()??;
        match protocol.parse(frame, |_| true) {
            Ok(Some(HubMessage::Completion { result: Some(result), .. })) => result.read().ok(),
            _ => None,
        }
    }
}

impl Policy {
    /// Users of whom this is true, with the call that they make. C#: an `AuthorizationHandler` whose resource is a
    /// `HubInvocationContext`.
    ///
    /// It is for methods. Where nothing is called, it holds for nobody; to ask for it on a hub or a path is an error of
    /// [`build`](crate::hosting::Builder::build).
    ///
    /// ```
    /// # use signalr::SignalR;
    /// use signalr::auth::Policy;
    ///
    /// let own_ward = Policy::require_invocation(|user, call| {
    ///     let ward: Option<String> = call.argument(0);
    ///     ward.is_some_and(|ward| user.has_claim("ward", &ward))
    /// });
    /// let builder = SignalR::builder().policy("OwnWard", own_ward);
    /// ```
    pub fn require_invocation(assertion: impl Fn(&User, &InvocationContext) -> bool + Send + Sync + 'static) -> Self {
        Self::require_resource(move |user, resource| resource.downcast_ref().is_some_and(|call| assertion(user, call)))
    }

    /// Users of whom this turns out to be true, with the call that they make: [`require_invocation`](Self::require_invocation) for what
    /// takes time, as [`require_assertion_async`](Self::require_assertion_async) is for `require`.
    ///
    /// What can be decided at once is decided first, before anybody looks at the arguments. Then they are bound, since a
    /// call that waits keeps nothing else, and then this is asked.
    ///
    /// ```
    /// # #[derive(Clone)]
    /// # struct Rota;
    /// # impl Rota { async fn has_shift(&self, _: &str, _: &str) -> bool { true } }
    /// use signalr::auth::Policy;
    ///
    /// # fn on_shift(rota: Rota) -> Policy {
    /// Policy::require_invocation_async(move |user, call| {
    ///     let rota = rota.clone();
    ///     async move {
    ///         let ward: String = call.argument(0).unwrap_or_default();
    ///         rota.has_shift(user.id().unwrap_or_default(), &ward).await
    ///     }
    /// })
    /// # }
    /// ```
    pub fn require_invocation_async<R>(
        assertion: impl Fn(User, Arc<InvocationContext>) -> R + Send + Sync + 'static,
    ) -> Self
    where
        R: Future<Output = bool> + Send + 'static,
    {
        Self::require_resource_async(move |user, resource| Some(assertion(user, resource.downcast().ok()?)))
    }
}

/// What is said of a method or a hub for filters and policies to read: values of any type.
#[derive(Clone, Default)]
pub(crate) struct Attributes(Option<Arc<Vec<Box<dyn Any + Send + Sync>>>>);

impl Attributes {
    /// Adds one, while the hub lists its methods.
    pub(super) fn add(&mut self, value: impl Any + Send + Sync) {
        let all = self.0.get_or_insert_default();
        Arc::get_mut(all).expect("calls share them, and there are none yet").push(Box::new(value));
    }

    fn of<T: Any>(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flat_map(|all| all.iter()).filter_map(|value| value.downcast_ref())
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attributes({})", self.0.as_ref().map_or(0, |all| all.len()))
    }
}

/// Prints none of the arguments, since values are nobody's business.
impl fmt::Debug for InvocationContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("method", &self.method).field("caller", &self.caller).finish_non_exhaustive()
    }
}
