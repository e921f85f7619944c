//! Support for the code that `#[hub]` generates. Not part of the public API.

use std::convert::Infallible;
use std::sync::Arc;

pub use futures_core::future::BoxFuture;
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
use crate::buffer_pool;
use crate::protocol::HubProtocol;

/// Fails to compile at the type of a parameter that does not implement [`Param`].
pub fn is_param<P: Param>() {}

/// Type of a parameter that is passed by reference.
#[diagnostic::on_unimplemented(
    message = "`&{Self}` cannot be a hub method parameter",
    label = "not the caller",
    note = "only the caller is passed by reference, as `&Caller<Self>`; arguments are owned types"
)]
pub trait IsCaller<H> {
    /// Returns the caller with its own type.
    fn of(caller: &Caller<H>) -> &Self;
}

impl<H> IsCaller<H> for Caller<H> {
    fn of(caller: &Self) -> &Self {
        caller
    }
}

/// Returns the caller, for a parameter of type `&C`.
pub fn caller<H, C: IsCaller<H> + ?Sized>(caller: &Caller<H>) -> &C {
    C::of(caller)
}

/// Binds a call with at most one result; `run` runs the method.
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

/// Binds a call that returns a stream; `run` sets the stream up and sends its items.
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

/// Returns the reply of a method that returned no stream.
pub fn no_stream() -> HubResult<Reply> {
    Ok(Reply(CallOutput::NoStream))
}

/// Returns hub and caller of a call.
pub fn parts<H>(invocation: &MethodInvocation<H>) -> (&Arc<H>, &Caller<H>) {
    (invocation.caller.hub(), &invocation.caller)
}

/// Encodes the result of a method if the client waits for it.
pub fn reply<H, T: Serialize + ?Sized>(invocation: &MethodInvocation<H>, value: &T) -> HubResult<Reply> {
    let caller = &invocation.caller;
    encode(caller.connection().protocol, caller.call(), value)
}

/// Never inlined, so that the code exists once for each type of value instead of once for each
/// method.
#[inline(never)]
pub(super) fn encode<T: Serialize + ?Sized>(
    protocol: HubProtocol,
    call: Option<&Arc<CallState>>,
    value: &T,
) -> HubResult<Reply> {
    let Some(id) = call.and_then(|call| call.id.as_deref()) else { return Ok(Reply(CallOutput::Nothing)) };
    let mut message = buffer_pool::take();
    protocol.write_result(&mut message, id, value)?;
    Ok(Reply(CallOutput::Value(message)))
}

/// Distinguishes `T` from `Result<T, E>` by type: `(&mut
/// MethodReturn(Some(value))).take_result()?`.
///
/// Every `Result` is treated as a result, whatever its error: an error that does not convert into
/// `HubError` must fail to compile instead of being sent as a value.
#[derive(Debug)]
pub struct MethodReturn<T>(pub Option<T>);

/// Return value that is a `Result`.
pub trait ResultReturn {
    /// Type of the value.
    type Value;
    /// Type of the error.
    type Error;
    /// Takes the return value.
    fn take_result(&mut self) -> Result<Self::Value, Self::Error>;
}

impl<T, E> ResultReturn for MethodReturn<Result<T, E>> {
    type Value = T;
    type Error = E;

    fn take_result(&mut self) -> Result<T, E> {
        self.0.take().expect("`take_result` is called once")
    }
}

/// Return value that is not a `Result`.
pub trait ValueReturn {
    /// Type of the value.
    type Value;
    /// Takes the return value.
    fn take_result(&mut self) -> Result<Self::Value, Infallible>;
}

impl<T> ValueReturn for &mut MethodReturn<T> {
    type Value = T;

    fn take_result(&mut self) -> Result<T, Infallible> {
        Ok(self.0.take().expect("`take_result` is called once"))
    }
}
