//! [`Value`].

use crate::protocol::values::{Binary, DateTime};

use super::Number;

/// Value of any type: C#'s `object` or `JsonElement`.
///
/// A parameter of this type accepts what a parameter of type `object` accepts in ASP.NET Core, and
/// writing the value again yields the same value:
///
/// | here | C# in MessagePack | JSON | MessagePack |
/// |---|---|---|---|
/// | `Null` | `null` | `null` | `nil` |
/// | `Bool` | `bool` | `true`, `false` | bool |
/// | `Number` | `byte` to `ulong`, `float`, `double` | number, with all digits | int, float |
/// | `String` | `string` | string | `str` |
/// | `Bytes` | `byte[]` | base64 string, read as `String` | `bin` |
/// | `DateTime` | `DateTime` | ISO 8601 string, read as `String` | timestamp (extension -1) |
/// | `List` | `object[]` | array | array |
/// | `Map` | `Dictionary<object, object>` | object | map |
///
/// A map keeps the order of its entries. In JSON it also keeps duplicate names, of which C# uses
/// the last. In MessagePack, duplicate keys and keys that are null, bytes, lists or maps are
/// rejected, and so are extensions other than the timestamp. When writing JSON, a key has to be a
/// string, a bool, a number or a date, and is written as a string.
///
/// Reading and writing are limited to 64 nested levels. A value has 32 bytes and owns its content;
/// a received value takes at most about 50 bytes of memory for each byte of its message.
///
/// ```
/// use signalr::dotnet::Value;
/// use signalr::protocol::{HubProtocolKind, HubProtocol, Naming};
///
/// let json = HubProtocol::new(HubProtocolKind::Json, Naming::Serde);
/// let value: Value = json.read_value(br#"{"dose": 1.50, "at": [1, "two"]}"#)?;
/// let map = value.as_map().expect("an object");
/// assert_eq!(map[0].1.as_f64(), Some(1.5));
/// assert_eq!(map[1].1, Value::List(vec![1.into(), "two".into()]));
///
/// let mut out = Vec::new();
/// json.write_value(&mut out, &value).expect("JSON has a form for all of it");
/// assert_eq!(out, br#"{"dose":1.50,"at":[1,"two"]}"#);
/// # Ok::<(), signalr::protocol::ReadError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Value {
    /// C#'s `null`.
    #[default]
    Null,
    /// Boolean.
    Bool(bool),
    /// Number of any type.
    Number(Number),
    /// String.
    String(String),
    /// Bytes, such as those of a [`Binary`].
    Bytes(Vec<u8>),
    /// Date in UTC, which is read only from MessagePack.
    DateTime(DateTime),
    /// List.
    List(Vec<Self>),
    /// Keys and values in their order.
    Map(Vec<(Self, Self)>),
}

impl Value {
    /// Returns whether the value is null.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns the value if it is a boolean.
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns the value if it is an integer in the range of `i64`.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number()?.as_i64()
    }

    /// Returns the value if it is an integer in the range of `u64`.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number()?.as_u64()
    }

    /// Returns the nearest `f64` if the value is a number.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number().map(Number::as_f64)
    }

    /// Returns the value if it is a number.
    pub const fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Number(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the value if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the value if it is bytes. JSON yields a base64 string instead.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the value if it is a date. JSON yields a string instead.
    pub const fn as_date_time(&self) -> Option<DateTime> {
        match self {
            Self::DateTime(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns the elements if the value is a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the keys and values if the value is a map.
    pub fn as_map(&self) -> Option<&[(Self, Self)]> {
        match self {
            Self::Map(value) => Some(value),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($type:ty: $value:ident => $variant:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Self {
                $variant
            }
        }
    )*};
}

from! {
    bool: value => Self::Bool(value);
    Number: value => Self::Number(value);
    i8: value => Self::Number(value.into());
    i16: value => Self::Number(value.into());
    i32: value => Self::Number(value.into());
    i64: value => Self::Number(value.into());
    u8: value => Self::Number(value.into());
    u16: value => Self::Number(value.into());
    u32: value => Self::Number(value.into());
    u64: value => Self::Number(value.into());
    f32: value => Self::Number(value.into());
    f64: value => Self::Number(value.into());
    &str: value => Self::String(value.to_owned());
    String: value => Self::String(value);
    Binary: value => Self::Bytes(value.0.into());
    DateTime: value => Self::DateTime(value);
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

/// Converts `None` into null.
impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
