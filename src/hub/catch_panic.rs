//! Runs code of the application and converts panics into errors, so that a panic never ends a
//! connection.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::error::{HubError, HubResult};

/// Runs a future of the hub. A panic becomes an error.
pub(crate) async fn catch_panic<T>(mut future: Pin<Box<impl Future<Output = HubResult<T>> + ?Sized>>) -> HubResult<T> {
    poll_fn(|cx| poll_catch_panic(future.as_mut(), cx)).await
}

/// Runs a function of the hub. A panic becomes an error.
pub(crate) fn catch_panic_sync<T>(run: impl FnOnce() -> T) -> Result<T, HubError> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| HubError::panicked())
}

/// Polls a future of the hub. The message of a panic is not part of the error: the panic hook has
/// already printed it.
pub(crate) fn poll_catch_panic<T>(
    future: Pin<&mut (impl Future<Output = HubResult<T>> + ?Sized)>,
    cx: &mut Context<'_>,
) -> Poll<HubResult<T>> {
    catch_panic_sync(|| future.poll(cx)).unwrap_or_else(|panicked| Poll::Ready(Err(panicked)))
}
