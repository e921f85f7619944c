//! Texts of others in a log.

use std::fmt::{self, Display};

/// Prints a text in quotes and with escapes: what a client wrote begins neither a line of a log nor a field in one.
pub(crate) struct Quoted<T>(pub(crate) T);

impl<T: Display> Display for Quoted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.to_string())
    }
}
