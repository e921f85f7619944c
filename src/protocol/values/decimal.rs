//! C#'s `decimal`.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::format_dependent::{self, ReadForms, TextVisitor, WriteForms};
use super::{ValueError, raw_json};

/// Decimal number with 28 to 29 significant digits, at most 28 of them after the decimal point:
/// C#'s `decimal`.
///
/// It is an integer of 96 bits, the [mantissa](Self::mantissa), divided by ten to the power of the
/// [scale](Self::scale). Trailing zeros are therefore kept. The type has no arithmetic; the feature
/// `rust_decimal` adds conversions from and into `rust_decimal::Decimal`.
///
/// In JSON it is a number with all of its digits, in MessagePack a string. Digits beyond its
/// precision are rounded as in .NET, and a number beyond its range is rejected. Where serde buffers
/// a value before its type is known (`flatten`, `untagged`, a member that occurs twice), JSON
/// numbers have only the digits of an `f64`.
///
/// Two decimals are equal if their values are equal: 1.1 equals 1.10. They cannot be keys of JSON
/// objects.
///
/// ```
/// use signalr::dotnet::Decimal;
///
/// let price: Decimal = "12.50".parse()?;
/// assert_eq!((price.mantissa(), price.scale()), (1250, 2));
/// assert_eq!(price.to_string(), "12.50");
/// assert_eq!(price, Decimal::new(125, 1)?);
/// # Ok::<(), signalr::dotnet::ValueError>(())
/// ```
#[derive(Clone, Copy, Default)]
pub struct Decimal {
    mantissa: i128,
    scale: u8,
}

impl Decimal {
    /// Smallest value, C#'s `decimal.MinValue`.
    pub const MIN: Self = Self { mantissa: -MAX_MANTISSA, scale: 0 };

    /// Largest value, C#'s `decimal.MaxValue`.
    pub const MAX: Self = Self { mantissa: MAX_MANTISSA, scale: 0 };

    /// Creates the number `mantissa` divided by ten to the power of `scale`.
    ///
    /// # Errors
    ///
    /// Returns [`ValueError::Range`] if the mantissa has more than 96 bits or the scale is greater
    /// than 28.
    pub const fn new(mantissa: i128, scale: u8) -> Result<Self, ValueError> {
        if mantissa < -MAX_MANTISSA || mantissa > MAX_MANTISSA || scale > MAX_SCALE {
            return Err(ValueError::Range(NAME));
        }
        Ok(Self { mantissa, scale })
    }

    /// Returns all digits as an integer.
    pub const fn mantissa(self) -> i128 {
        self.mantissa
    }

    /// Returns the number of digits after the decimal point.
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// Returns mantissa and scale without trailing zeros.
    fn normal(self) -> (i128, u8) {
        let Self { mut mantissa, mut scale } = self;
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        (mantissa, scale)
    }
}

const NAME: &str = "decimal";
const MAX_MANTISSA: i128 = (1 << 96) - 1;
const MAX_SCALE: u8 = 28;

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.normal() == other.normal()
    }
}

impl Eq for Decimal {}

impl Hash for Decimal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.normal().hash(state);
    }
}

macro_rules! from_integers {
    ($($integer:ty)*) => {$(
        impl From<$integer> for Decimal {
            fn from(value: $integer) -> Self {
                Self { mantissa: value.into(), scale: 0 }
            }
        }
    )*};
}

from_integers! { i8 i16 i32 i64 u8 u16 u32 u64 }

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = 10_u128.pow(self.scale.into());
        let mantissa = self.mantissa.unsigned_abs();
        let sign = if self.mantissa < 0 { "-" } else { "" };
        write!(f, "{sign}{}", mantissa / one)?;
        match usize::from(self.scale) {
            0 => Ok(()),
            width => write!(f, ".{:0width$}", mantissa % one),
        }
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decimal({self})")
    }
}

/// Parses a number with or without an exponent and rounds digits beyond the precision.
impl FromStr for Decimal {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number = DecimalText::parse(text).ok_or(ValueError::Text(NAME))?;
        number.round().ok_or(ValueError::Range(NAME))
    }
}

/// Parts of a number.
struct DecimalText<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    /// Exponent, saturated at the range of `i64`, which no number of digits can offset.
    exponent: i64,
}

impl<'a> DecimalText<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent_of(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let any = !(whole.is_empty() && fraction.is_empty());
        (any && all_digits(whole) && all_digits(fraction)).then_some(Self { negative, whole, fraction, exponent })
    }

    /// Returns the number rounded to the available precision (`aspnet: Number.TryNumberToDecimal`).
    fn round(&self) -> Option<Decimal> {
        let fraction = i64::try_from(self.fraction.len()).ok()?;
        // The last digit has the place value of ten to the power of `-scale`.
        let mut scale = fraction.saturating_sub(self.exponent);
        let mut digits = self.whole.bytes().chain(self.fraction.bytes()).map(|digit| i128::from(digit - b'0'));
        // Number of digits that are not in the mantissa yet.
        let mut left = i64::try_from(self.whole.len()).ok()?.checked_add(fraction)?;
        let mut mantissa = 0;
        let mut kept = 0;
        let mut next = None;
        for digit in digits.by_ref() {
            let larger = mantissa * 10 + digit;
            if larger > MAX_MANTISSA || scale.saturating_sub(left - 1) > MAX_SCALE.into() {
                next = Some(digit);
                break;
            }
            mantissa = larger;
            kept += i64::from(mantissa > 0);
            left -= 1;
        }
        scale = scale.saturating_sub(left);
        if let Some(next) = next {
            let behind = digits.any(|digit| digit > 0);
            // Halves are rounded to even, except after 29 digits, where .NET rounds up.
            let up = next > 5 || (next == 5 && (behind || mantissa % 2 == 1 || kept == 29));
            mantissa += i128::from(up);
            if mantissa > MAX_MANTISSA {
                (mantissa, scale) = (mantissa / 10 + 1, scale.saturating_sub(1));
            }
        }
        if mantissa == 0 || scale > MAX_SCALE.into() {
            let scale = u8::try_from(scale.clamp(0, MAX_SCALE.into())).ok()?;
            return Some(Decimal { mantissa: 0, scale });
        }
        while scale < 0 {
            mantissa *= 10;
            scale += 1;
            if mantissa > MAX_MANTISSA {
                return None;
            }
        }
        let mantissa = if self.negative { -mantissa } else { mantissa };
        Decimal::new(mantissa, u8::try_from(scale).ok()?).ok()
    }
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn exponent_of(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let value =
        digits.bytes().fold(0_i64, |value, digit| value.saturating_mul(10).saturating_add((digit & 0x0f).into()));
    (!digits.is_empty() && all_digits(digits)).then(|| sign * value)
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        format_dependent::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        format_dependent::deserialize(deserializer)
    }
}

impl WriteForms for Decimal {
    fn write_text<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.scale == 0
            && let Ok(whole) = i64::try_from(self.mantissa)
        {
            return serializer.serialize_i64(whole);
        }
        // Serde has no type for this number.
        RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }

    fn write_binary<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        format_dependent::write_text(&self, serializer)
    }
}

impl ReadForms for Decimal {
    fn read_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Parsing a JSON string fails because of its quotes.
        raw_json::read(deserializer, str::parse, NumberOrText)
    }

    fn read_binary<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor::new(EXPECTED))
    }
}

const EXPECTED: &str = "a decimal number";

/// Visits a value that is not available as JSON text: serde has buffered it, or the format is
/// another one.
struct NumberOrText;

impl Visitor<'_> for NumberOrText {
    type Value = Decimal;

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Decimal, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Decimal, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Decimal, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
        text.parse().map_err(E::custom)
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }
}
