//! [`Number`].

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::protocol::values::format_dependent::{self, WriteForms};

/// Number in a [`Value`](super::Value).
///
/// It is an integer of 64 bits, an `f32`, an `f64`, or the digits of a JSON number that none of
/// these types would write with the same digits. [`Display`](fmt::Display) shows all of the digits.
/// In MessagePack, digits are written as the nearest `f64`.
///
/// Two numbers are equal if they are the same on the wire: 1, 1.0 as `f32` and 1.0 as `f64` differ,
/// and NaN equals itself.
///
/// ```
/// use signalr::dotnet::{Naming, Number, Value};
/// use signalr::HubProtocolKind;
/// use signalr::protocol::HubProtocol;
///
/// let json = HubProtocol::new(HubProtocolKind::Json, Naming::Serde);
/// let Value::Number(number) = json.read_value(b"12345678901234567890123")? else { panic!("a number") };
/// assert_eq!(number.to_string(), "12345678901234567890123");
/// assert_eq!((number.as_i64(), number.as_f64()), (None, 1.2345678901234568e22));
/// assert_eq!(Number::from(7_u8), Number::from(7_i64));
/// # Ok::<(), signalr::protocol::ReadError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Number(NumberForm);

#[derive(Clone, Debug)]
enum NumberForm {
    Signed(i64),
    /// Greater than `i64::MAX`.
    Unsigned(u64),
    Single(f32),
    Double(f64),
    Digits(Box<str>),
}

impl Number {
    /// Returns the number if it is an integer in the range of `i64`.
    pub fn as_i64(&self) -> Option<i64> {
        match self.0 {
            NumberForm::Signed(number) => Some(number),
            _ => None,
        }
    }

    /// Returns the number if it is an integer in the range of `u64`.
    pub fn as_u64(&self) -> Option<u64> {
        match self.0 {
            NumberForm::Signed(number) => number.try_into().ok(),
            NumberForm::Unsigned(number) => Some(number),
            _ => None,
        }
    }

    /// Returns the nearest `f64`, which is infinite for a number beyond its range.
    #[expect(clippy::cast_precision_loss, reason = "the method returns the nearest f64")]
    pub fn as_f64(&self) -> f64 {
        match &self.0 {
            NumberForm::Signed(number) => *number as f64,
            NumberForm::Unsigned(number) => *number as f64,
            NumberForm::Single(number) => (*number).into(),
            NumberForm::Double(number) => *number,
            NumberForm::Digits(digits) => Digits(digits).nearest(),
        }
    }

    /// Parses a JSON number.
    pub(super) fn from_json(digits: &str) -> Self {
        Self(if let Some(number) = digits.parse().ok().filter(|_| digits != "-0") {
            NumberForm::Signed(number)
        } else if let Ok(number) = digits.parse() {
            NumberForm::Unsigned(number)
        } else if is_short_fraction(digits) {
            NumberForm::Double(Digits(digits).nearest())
        } else {
            NumberForm::Digits(digits.into())
        })
    }

    pub(super) fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            NumberForm::Signed(number) => serializer.serialize_i64(*number),
            NumberForm::Unsigned(number) => serializer.serialize_u64(*number),
            NumberForm::Single(number) => serializer.serialize_f32(*number),
            NumberForm::Double(number) => serializer.serialize_f64(*number),
            NumberForm::Digits(digits) => format_dependent::serialize(&Digits(digits), serializer),
        }
    }

    /// Returns the parts by which numbers are compared.
    fn identity(&self) -> (u8, u64, &str) {
        match &self.0 {
            NumberForm::Signed(number) => (0, number.cast_unsigned(), ""),
            NumberForm::Unsigned(number) => (1, *number, ""),
            NumberForm::Single(number) => (2, number.to_bits().into(), ""),
            NumberForm::Double(number) => (3, number.to_bits(), ""),
            NumberForm::Digits(digits) => (4, 0, digits),
        }
    }
}

/// Returns whether a JSON fraction has the same digits after conversion into `f64` and back. That
/// holds for at most 15 digits without trailing zeros, if neither form needs an exponent.
fn is_short_fraction(digits: &str) -> bool {
    let Some((whole, fraction)) = digits.strip_prefix('-').unwrap_or(digits).split_once('.') else { return false };
    whole.len() + fraction.len() <= 15
        && !fraction.starts_with("0000")
        && matches!(fraction.bytes().last(), Some(b'1'..=b'9'))
        && !fraction.contains(['e', 'E'])
}

/// Digits of a JSON number.
#[derive(Clone, Copy)]
struct Digits<'a>(&'a str);

impl Digits<'_> {
    fn nearest(self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }
}

impl WriteForms for Digits<'_> {
    fn write_text<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(self.0).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }

    fn write_binary<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.nearest())
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            NumberForm::Signed(number) => number.fmt(f),
            NumberForm::Unsigned(number) => number.fmt(f),
            NumberForm::Single(number) => number.fmt(f),
            NumberForm::Double(number) => number.fmt(f),
            NumberForm::Digits(digits) => digits.fmt(f),
        }
    }
}

macro_rules! from_signed {
    ($($type:ty)*) => {$(
        impl From<$type> for Number {
            fn from(number: $type) -> Self {
                Self(NumberForm::Signed(number.into()))
            }
        }
    )*};
}

from_signed! { i8 i16 i32 i64 u8 u16 u32 }

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self(i64::try_from(number).map_or(NumberForm::Unsigned(number), NumberForm::Signed))
    }
}

impl From<f32> for Number {
    fn from(number: f32) -> Self {
        Self(NumberForm::Single(number))
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self(NumberForm::Double(number))
    }
}
