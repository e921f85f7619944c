//! C#'s `object`: values of any type.

mod json;
mod read;
mod write;

mod number;
pub use number::Number;

mod value;
pub use value::Value;

/// How deep lists and maps may nest in a value, as in .NET.
const MAX_DEPTH: usize = 64;
