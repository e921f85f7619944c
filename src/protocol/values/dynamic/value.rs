//! [`Value`].

use crate::protocol::values::{Binary, DateTime};

use super::Number;

/// A value of any type: C#'s `object`, or `JsonElement`.
///
/// A parameter of this type takes what `object` takes in ASP.NET Core, and writing it again gives the same:
///
/// | here | C# in MessagePack | JSON | MessagePack |
/// |---|---|---|---|
/// | `Null` | `null` | `null` | `nil` |
/// | `Bool` | `bool` | `true`, `false` | bool |
/// | `Number` | `byte` to `ulong`, `float`, `double` | number, with all digits | int, float |
/// | `String` | `string` | text | `str` |
/// | `Bytes` | `byte[]` | base64 text, read as `String` | `bin` |
/// | `DateTime` | `DateTime` | ISO 8601 text, read as `String` | timestamp (extension -1) |
/// | `List` | `object[]` | array | array |
/// | `Map` | `Dictionary<object, object>` | object | map |
///
/// A map keeps the order of its entries. In JSON it also keeps a name that is given twice, and the last one counts in C#. In
/// MessagePack a key that is given twice is refused, and so is a key that is null, bytes, a list or a map. Other extensions
/// of MessagePack are refused. In JSON a key has to be a string, a bool, a number or a date, and is written as text.
///
/// Values that were read nest at most 64 levels, and deeper ones cannot be written. A value has 32 bytes and owns its
/// content: one from the wire takes at most about 50 bytes of memory for each byte of its message.
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
    /// A truth value.
    Bool(bool),
    /// A number of any type.
    Number(Number),
    /// A text.
    String(String),
    /// Bytes, such as those of a [`Binary`].
    Bytes(Vec<u8>),
    /// A date, which is read from MessagePack alone, and in UTC.
    DateTime(DateTime),
    /// A list.
    List(Vec<Self>),
    /// Keys and values, in their order.
    Map(Vec<(Self, Self)>),
}

impl Value {
    /// Whether it is null.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The truth value, if it is one.
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The whole number, if it is one within `i64`.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number()?.as_i64()
    }

    /// The whole number, if it is one within `u64`.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number()?.as_u64()
    }

    /// The number, if it is one, or the `f64` nearest to it.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number().map(Number::as_f64)
    }

    /// The number, if it is one.
    pub const fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Number(value) => Some(value),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) => Some(value),
            _ => None,
        }
    }

    /// The bytes, if it is bytes. In JSON they come as a base64 text.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(value) => Some(value),
            _ => None,
        }
    }

    /// The date, if it is one. In JSON it comes as a text.
    pub const fn as_date_time(&self) -> Option<DateTime> {
        match self {
            Self::DateTime(value) => Some(*value),
            _ => None,
        }
    }

    /// The elements, if it is a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(value) => Some(value),
            _ => None,
        }
    }

    /// The keys and values, if it is a map.
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

/// `None` is null.
impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
