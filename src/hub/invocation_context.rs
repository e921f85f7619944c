//! Context of a call for filters and policies.

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

/// A call of a hub method, as [filters](crate::Filter) and [policies](Policy::require_invocation)
/// receive it (C#: `HubInvocationContext`).
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
    /// Attributes of the method, then of its hub.
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

    /// Returns the registered name of the method, whichever spelling the client uses. (C#:
    /// `HubMethodName`, which is the name in the source.)
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Returns whether the method returns a stream.
    pub fn is_stream(&self) -> bool {
        self.kind == MethodKind::Stream
    }

    /// Returns the caller (C#: `Context`).
    pub fn caller(&self) -> &AnyCaller {
        &self.caller
    }

    /// Returns the user; short for `caller().user()`.
    pub fn user(&self) -> &User {
        self.caller.user()
    }

    /// Returns the attribute of type `T` of the method, or else of its hub (C#:
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

    /// Returns all attributes of type `T`: first those of the method, then those of the hub.
    pub fn attributes<T: Any>(&self) -> impl Iterator<Item = &T> {
        self.attributes.iter().flat_map(Attributes::of)
    }

    /// Returns the number of arguments that the client sent, without streams.
    pub fn argument_count(&self) -> usize {
        self.arguments.len()
    }

    /// Returns an argument as the client sent it, deserialized as `T`. `at` counts from 0, without
    /// streams. Returns `None` if there is no such argument, or if it cannot be deserialized as
    /// `T`.
    ///
    /// Each call of this method deserializes the argument again. In a policy, the argument is not
    /// validated yet: it can be any value of the hub protocol. To change what the hub method
    /// receives, use [`Next::argument`](crate::Next::argument).
    pub fn argument<T: DeserializeOwned>(&self, at: usize) -> Option<T> {
        self.arguments.read(at)
    }

    /// Creates a reply for a filter to return in place of that of the hub method.
    ///
    /// # Errors
    ///
    /// Fails if the value cannot be encoded.
    pub fn reply<T: Serialize + ?Sized>(&self, value: &T) -> HubResult<Reply> {
        encode(self.caller.connection().protocol, self.caller.call(), value)
    }

    /// Creates a reply with a stream, for a method that [returns a stream](Self::is_stream).
    ///
    /// # Errors
    ///
    /// Fails if the method returns a single value.
    pub fn reply_stream<S, T, E>(&self, stream: S) -> HubResult<Reply>
    where
        S: Stream<Item = Result<T, E>> + Send + 'static,
        T: Serialize + 'static,
        E: 'static,
        HubError: From<E>,
    {
        match self.caller.call() {
            Some(call) if self.is_stream() => {
                let items = ItemSender::for_running_stream(self.caller.connection(), call);
                Ok(Reply(CallOutput::Stream(Box::pin(items.send(stream, |item| item)))))
            }
            _ => Err(HubError::internal("reply_stream used for a method without a stream")),
        }
    }

    /// Returns the result in `reply`, deserialized as `T` (C#: the value that `next` returns). The
    /// result is read back from the encoded completion. Returns `None` if the client does not wait
    /// for a result, if the reply is a stream, or if the result cannot be deserialized as `T`.
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
    /// Requires a predicate over the user and the call (C#: an `AuthorizationHandler` whose
    /// resource is a `HubInvocationContext`).
    ///
    /// Applies to hub methods only. Without a call the requirement is never met; therefore
    /// [`build`](crate::hosting::Builder::build) returns an error if a hub or a path uses the
    /// policy.
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

    /// Requires an asynchronous predicate over the user and the call:
    /// [`require_invocation`](Self::require_invocation) for checks that have to wait, as
    /// [`require_assertion_async`](Self::require_assertion_async) is for
    /// [`require_assertion`](Self::require_assertion).
    ///
    /// Synchronous requirements are evaluated first, before the arguments are bound. The arguments
    /// are then bound, because a waiting call does not keep their encoded form, and the
    /// asynchronous predicate is evaluated last.
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

/// Attributes of a method or a hub for filters and policies: values of any type.
#[derive(Clone, Default)]
pub(crate) struct Attributes(Option<Arc<Vec<Box<dyn Any + Send + Sync>>>>);

impl Attributes {
    /// Adds an attribute while the hub registers its methods.
    pub(super) fn add(&mut self, value: impl Any + Send + Sync) {
        let all = self.0.get_or_insert_default();
        Arc::get_mut(all).expect("attributes are shared only by calls, which begin later").push(Box::new(value));
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

/// Omits the arguments, so that they never reach logs.
impl fmt::Debug for InvocationContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvocationContext")
            .field("method", &self.method)
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}
