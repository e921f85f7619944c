//! The one future type that stands for many.

use std::pin::Pin;

/// A future whose type is erased; the only alias of its kind in this crate.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
