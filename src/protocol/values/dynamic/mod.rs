//! Values of any type: C#'s `object`.

mod json;
mod read;
mod write;

mod number;
pub use number::Number;

mod value;
pub use value::Value;

/// Maximum nesting depth of lists and maps in a value, as in .NET.
const MAX_DEPTH: usize = 64;
