//! Errors of payloads.

use rmp::Marker;
use rmp::decode::{NumValueReadError, ValueReadError};

/// A payload is malformed, or comes from a server with later additions.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub(crate) enum PayloadError {
    /// The array has fewer items than any version of the payload.
    #[error("Insufficient items in {0} array.")]
    InsufficientItems(&'static str),
    /// An item, or the claimed number of items, exceeds the payload.
    #[error("payload ends within an item")]
    Truncated,
    /// An item has another type than its position requires.
    #[error("unexpected MessagePack code {0:?}")]
    WrongType(Marker),
    #[error("integer is out of range")]
    OutOfRange,
    #[error("text is not UTF-8")]
    InvalidUtf8,
    /// A number that only a later version of the payload can have.
    #[error("unknown {what}: {value}")]
    Unknown { what: &'static str, value: i32 },
}

impl From<ValueReadError> for PayloadError {
    fn from(error: ValueReadError) -> Self {
        match error {
            ValueReadError::InvalidMarkerRead(_) | ValueReadError::InvalidDataRead(_) => Self::Truncated,
            ValueReadError::TypeMismatch(marker) => Self::WrongType(marker),
        }
    }
}

impl From<NumValueReadError> for PayloadError {
    fn from(error: NumValueReadError) -> Self {
        match error {
            NumValueReadError::InvalidMarkerRead(_) | NumValueReadError::InvalidDataRead(_) => Self::Truncated,
            NumValueReadError::TypeMismatch(marker) => Self::WrongType(marker),
            NumValueReadError::OutOfRange => Self::OutOfRange,
        }
    }
}
