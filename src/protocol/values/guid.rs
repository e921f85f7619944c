//! C#'s `Guid`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ValueError;
use super::format_dependent::{self, TextVisitor};

/// Globally unique identifier of 128 bits: C#'s `Guid`.
///
/// In both hub protocols it is a string of 36 characters, `3f2504e0-4f89-11d3-9a0c-0305e82c3301`.
/// Upper case is read as well. Other forms, which the crate `uuid` parses, are rejected as in .NET.
/// The feature `uuid` adds conversions from and into `uuid::Uuid`.
///
/// ```
/// use signalr::dotnet::Guid;
///
/// let id: Guid = "3F2504E0-4F89-11D3-9A0C-0305E82C3301".parse()?;
/// assert_eq!(id, Guid(0x3f2504e0_4f89_11d3_9a0c_0305e82c3301));
/// assert_eq!(id.to_string(), "3f2504e0-4f89-11d3-9a0c-0305e82c3301");
/// # Ok::<(), signalr::dotnet::ValueError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(
    /// Number whose highest digits come first in the string.
    pub u128,
);

const NAME: &str = "Guid";

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |from: u32, digits: u32| self.0 >> (128 - 4 * (from + digits)) & ((1 << (4 * digits)) - 1);
        write!(f, "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", part(0, 8), part(8, 4), part(12, 4), part(16, 4), part(20, 12))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

impl FromStr for Guid {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let mut number = 0;
        for (at, letter) in text.chars().enumerate() {
            match (at, letter.to_digit(16)) {
                (8 | 13 | 18 | 23, None) if letter == '-' => {}
                (8 | 13 | 18 | 23 | 36.., _) | (_, None) => return Err(ValueError::Text(NAME)),
                (_, Some(digit)) => number = number << 4 | u128::from(digit),
            }
        }
        if text.len() == 36 { Ok(Self(number)) } else { Err(ValueError::Text(NAME)) }
    }
}

impl From<u128> for Guid {
    fn from(number: u128) -> Self {
        Self(number)
    }
}

impl From<Guid> for u128 {
    fn from(id: Guid) -> Self {
        id.0
    }
}

impl Serialize for Guid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        format_dependent::write_text(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Guid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor::new("a Guid such as 3f2504e0-4f89-11d3-9a0c-0305e82c3301"))
    }
}
