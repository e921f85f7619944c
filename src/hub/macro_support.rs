//! For the code that `#[hub]` writes; not for people.

use std::convert::Infallible;
use std::sync::Arc;

use serde::Serialize;

use super::arguments::{Param, Params};
pub use super::arguments::{ParsedArguments, Uploads, bind_arguments};
use super::call_state::CallState;
use super::caller::Caller;
use super::error::HubResult;
pub use super::methods::BoundCall;
use super::methods::{CallOutput, MethodInvocation, Reply};
pub use super::stream::ItemSender;
use super::stream::run_streaming;
pub use crate::future::BoxFuture;
use crate::protocol::HubProtocol;
use crate::scratch;

/// Points the compiler at the type of a parameter.
pub fn is_param<P: Param>() {}

/// What a parameter by reference may be.
#[diagnostic::on_unimplemented(
    message = "`&{Self}` cannot be a hub method parameter",
    label = "not the caller",
    note = "by reference is the caller, `&Caller<Self>`; arguments from the wire are owned"
)]
pub trait IsCaller<H> {
    /// The caller under its own type.
    fn of(caller: &Caller<H>) -> &Self;
}

impl<H> IsCaller<H> for Caller<H> {
    fn of(caller: &Self) -> &Self {
        caller
    }
}

/// The caller, for a parameter of the type `&C`.
pub fn caller<H, C: IsCaller<H> + ?Sized>(caller: &Caller<H>) -> &C {
    C::of(caller)
}

/// A call with one answer, which `run` makes.
pub fn call<H, P, F>(
    mut invocation: MethodInvocation<H>,
    parsed: ParsedArguments<P>,
    run: impl FnOnce(MethodInvocation<H>, P) -> F + Send + 'static,
) -> BoundCall
where
    H: Send + Sync + 'static,
    P: Params,
    F: Future<Output = HubResult<Reply>> + Send + 'static,
{
    let ParsedArguments { params, uploads } = parsed;
    let future = match invocation.filtered.take() {
        None => Box::pin(run(invocation, params)),
        Some(filtered) => filtered.run(params, |params| run(invocation, params)),
    };
    BoundCall { future, uploads }
}

/// A call whose answer is a stream, which `run` sets up and sends.
pub fn stream<H, P, F>(
    invocation: MethodInvocation<H>,
    parsed: ParsedArguments<P>,
    run: impl FnOnce(MethodInvocation<H>, P, ItemSender) -> F + Send + 'static,
) -> BoundCall
where
    H: Send + Sync + 'static,
    P: Params,
    F: Future<Output = HubResult<Reply>> + Send + 'static,
{
    call(invocation, parsed, |invocation, params| {
        run_streaming(invocation, |invocation, items| run(invocation, params, items))
    })
}

/// The answer of a method that has no stream to give.
pub fn no_stream() -> HubResult<Reply> {
    Ok(Reply(CallOutput::NoStream))
}

/// The hub and the caller of a call.
pub fn parts<H>(invocation: &MethodInvocation<H>) -> (&Arc<H>, &Caller<H>) {
    (invocation.caller.hub(), &invocation.caller)
}

/// Encodes what a method returned, if the client waits for it.
pub fn reply<H, T: Serialize + ?Sized>(invocation: &MethodInvocation<H>, value: &T) -> HubResult<Reply> {
    let caller = &invocation.caller;
    encode(caller.connection().protocol, caller.call(), value)
}

/// Never inlined, so that there is one copy for a type of value and not one for a method.
#[inline(never)]
pub(super) fn encode<T: Serialize + ?Sized>(
    protocol: HubProtocol,
    call: Option<&Arc<CallState>>,
    value: &T,
) -> HubResult<Reply> {
    let Some(id) = call.and_then(|call| call.id.as_deref()) else { return Ok(Reply(CallOutput::Nothing)) };
    let mut message = scratch::take();
    protocol.write_result(&mut message, id, value)?;
    Ok(Reply(CallOutput::Value(message)))
}

/// `T` or `Result<T, E>`, told apart by type: `(&mut MethodReturn(Some(value))).take_result()?`.
///
/// Every `Result` goes one way, whatever its error: one that does not convert into `HubError` must not compile, instead of
/// being sent as a value.
#[derive(Debug)]
pub struct MethodReturn<T>(pub Option<T>);

/// The return value is a result.
pub trait ResultReturn {
    /// Of what.
    type Value;
    /// Or what.
    type Error;
    /// Takes it out.
    fn take_result(&mut self) -> Result<Self::Value, Self::Error>;
}

impl<T, E> ResultReturn for MethodReturn<Result<T, E>> {
    type Value = T;
    type Error = E;

    fn take_result(&mut self) -> Result<T, E> {
        self.0.take().expect("taken once")
    }
}

/// The return value is what it is.
pub trait ValueReturn {
    /// That.
    type Value;
    /// Takes it out.
    fn take_result(&mut self) -> Result<Self::Value, Infallible>;
}

impl<T> ValueReturn for &mut MethodReturn<T> {
    type Value = T;

    fn take_result(&mut self) -> Result<T, Infallible> {
        Ok(self.0.take().expect("taken once"))
    }
}
