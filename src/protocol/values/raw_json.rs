//! Reads a value from its JSON text, without losing digits.
//!
//! Serde passes JSON numbers with a fraction as `f64` and does not expose whether a value comes
//! from JSON. `serde_json` exposes the JSON text of a value only to its own type `RawValue`, which
//! it recognizes by the name of a newtype. This module requests a newtype of that name.

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;

use super::ValueError;

/// Reads a value with `from_json` if the format is JSON, and with `otherwise` if not.
pub(super) fn read<'de, T, V, D>(
    deserializer: D,
    from_json: fn(&str) -> Result<T, ValueError>,
    otherwise: V,
) -> Result<T, D::Error>
where
    V: Visitor<'de, Value = T>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_newtype_struct(name(), RawVisitor { from_json, otherwise })
}

/// Returns the content of a JSON string.
pub(super) fn unquoted(json: &str) -> Option<Cow<'_, str>> {
    if json.contains('\\') {
        return serde_json::from_str::<String>(json).ok().map(Into::into);
    }
    json.strip_prefix('"')?.strip_suffix('"').map(Into::into)
}

struct RawVisitor<T, V> {
    from_json: fn(&str) -> Result<T, ValueError>,
    otherwise: V,
}

impl<'de, T, V: Visitor<'de, Value = T>> Visitor<'de> for RawVisitor<T, V> {
    type Value = T;

    /// Reads `serde_json`'s representation of a raw value: a map whose only value is the JSON text.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        map.next_key::<IgnoredAny>()?;
        map.next_value_seed(JsonText(self.from_json))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self.otherwise)
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.otherwise.expecting(f)
    }
}

/// Reads the JSON text of a value without copying it.
struct JsonText<T>(fn(&str) -> Result<T, ValueError>);

impl<'de, T> DeserializeSeed<'de> for JsonText<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T> Visitor<'_> for JsonText<T> {
    type Value = T;

    fn visit_str<E: de::Error>(self, json: &str) -> Result<T, E> {
        (self.0)(json).map_err(E::custom)
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
}

/// Returns the name of the newtype that `RawValue` requests. The name is private to `serde_json`,
/// so this function deserializes a `RawValue` and records the name.
fn name() -> &'static str {
    match <&RawValue>::deserialize(Listener) {
        Ok(_) => "",
        Err(Heard(name)) => name,
    }
}

struct Listener;

#[derive(Debug)]
struct Heard(&'static str);

impl<'de> Deserializer<'de> for Listener {
    type Error = Heard;

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, _: V) -> Result<V::Value, Heard> {
        Err(Heard(name))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Heard> {
        Err(Heard(""))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Heard {}

impl de::Error for Heard {
    fn custom<T: Display>(_: T) -> Self {
        Self("")
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn raw_values_request_a_newtype_with_a_private_name() {
        assert!(super::name().starts_with('$'));
    }
}
