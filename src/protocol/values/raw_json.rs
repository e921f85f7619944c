//! Reading a value from its JSON, digit by digit.
//!
//! To serde a number of JSON is a double, and it does not say whether a value comes from JSON at
//! all. `serde_json` hands over the text of a value to those who ask for its `RawValue`, and nobody
//! else does. So this asks for one.

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;

use super::ValueError;

/// Reads a value by `from_json` if it stands in JSON, and through `otherwise` if not.
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

/// The text in a text of JSON.
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

    /// What `serde_json` gives: a map whose one value is the text.
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

/// Reads the text of a value where it stands.
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

/// The name that `RawValue` asks under, which is nobody's business but `serde_json`'s; so it is
/// listened to.
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
    fn raw_values_are_asked_for_by_a_name() {
        assert!(super::name().starts_with('$'));
    }
}
