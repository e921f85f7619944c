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

/// A decimal number of up to 28 digits, 28 of them behind the point at most: C#'s `decimal`.
///
/// It is a whole number of 96 bits, the [mantissa](Self::mantissa), divided by ten to the power of
/// its [scale](Self::scale); so zeros at its end are kept. It is what goes over the wire: to reckon
/// with it, turn it into one of `rust_decimal`, which the feature of that name allows.
///
/// In JSON it is a number with all of its digits, in MessagePack a text. More digits than it holds
/// are rounded, as in .NET; a number beyond its range is refused. Where serde has buffered a value
/// before it asks for its type (`flatten`, `untagged`, a member that comes twice), JSON keeps the
/// digits of a double.
///
/// Two decimals are equal if their values are: 1.1 equals 1.10. In JSON they cannot be keys of
/// maps.
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
    /// The least one, C#'s `decimal.MinValue`.
    pub const MIN: Self = Self { mantissa: -MAX_MANTISSA, scale: 0 };

    /// The largest one, C#'s `decimal.MaxValue`.
    pub const MAX: Self = Self { mantissa: MAX_MANTISSA, scale: 0 };

    /// The number that is `mantissa` divided by ten to the power of `scale`.
    ///
    /// # Errors
    ///
    /// The mantissa has more than 96 bits, or the scale is beyond 28.
    pub const fn new(mantissa: i128, scale: u8) -> Result<Self, ValueError> {
        if mantissa < -MAX_MANTISSA || mantissa > MAX_MANTISSA || scale > MAX_SCALE {
            return Err(ValueError::Range(NAME));
        }
        Ok(Self { mantissa, scale })
    }

    /// All digits, as a whole number.
    pub const fn mantissa(self) -> i128 {
        self.mantissa
    }

    /// How many of the digits stand behind the point.
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// Without zeros at the end.
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

/// Reads a number with an exponent or without. Digits that have no place are rounded.
impl FromStr for Decimal {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number = DecimalText::parse(text).ok_or(ValueError::Text(NAME))?;
        number.round().ok_or(ValueError::Range(NAME))
    }
}

/// The parts of a number.
struct DecimalText<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    /// Beyond what any number of digits makes up for, it is as good as the largest.
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

    /// The number with as many digits as there is place for (`aspnet: Number.TryNumberToDecimal`).
    fn round(&self) -> Option<Decimal> {
        let fraction = i64::try_from(self.fraction.len()).ok()?;
        // Ten to the power of minus this is the place of the last digit.
        let mut scale = fraction.saturating_sub(self.exponent);
        let mut digits = self.whole.bytes().chain(self.fraction.bytes()).map(|digit| i128::from(digit - b'0'));
        // What stands behind the digits that were taken has this many places.
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
            // Halves go to the even neighbour; only behind 29 digits .NET forgets about that.
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
        // A number that no type of serde holds.
        RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }

    fn write_binary<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        format_dependent::write_text(&self, serializer)
    }
}

impl ReadForms for Decimal {
    fn read_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A text fails by its quotes.
        raw_json::read(deserializer, str::parse, NumberOrText)
    }

    fn read_binary<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor::new(EXPECTED))
    }
}

const EXPECTED: &str = "a decimal number";

/// Visits what is known not to stand in JSON as it is.
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
