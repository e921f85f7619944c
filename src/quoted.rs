//! Quotes text of clients in the log.

use std::fmt::{self, Display};

/// Prints a text in quotes and with escapes, so that text of a client can forge neither a line of
/// the log nor a field.
pub(crate) struct Quoted<T>(pub(crate) T);

impl<T: Display> Display for Quoted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.to_string())
    }
}
