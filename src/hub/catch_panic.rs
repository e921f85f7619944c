//! Code of the hub's user, which may panic: a panic is an error of that code, and never the end of its connection.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::error::{HubError, HubResult};

/// Runs a future of the hub; a panic in it is its error.
pub(crate) async fn catch_panic<T>(mut future: Pin<Box<impl Future<Output = HubResult<T>> + ?Sized>>) -> HubResult<T> {
    poll_fn(|cx| poll_catch_panic(future.as_mut(), cx)).await
}

/// Runs a function of the hub.
pub(crate) fn catch_panic_sync<T>(run: impl FnOnce() -> T) -> Result<T, HubError> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| HubError::panicked())
}

/// The panic's own message is on standard error already, by the panic hook.
pub(crate) fn poll_catch_panic<T>(
    future: Pin<&mut (impl Future<Output = HubResult<T>> + ?Sized)>,
    cx: &mut Context<'_>,
) -> Poll<HubResult<T>> {
    catch_panic_sync(|| future.poll(cx)).unwrap_or_else(|panicked| Poll::Ready(Err(panicked)))
}
