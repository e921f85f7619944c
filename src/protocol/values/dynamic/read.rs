//! Reading values.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::protocol::values::format_dependent::{self, ReadForms};
use crate::protocol::values::timestamp::{self, Timestamp};
use crate::protocol::values::{DateTime, ValueError, raw_json};

use super::{MAX_DEPTH, Value, json};

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        format_dependent::deserialize(deserializer)
    }
}

impl ReadForms for Value {
    fn read_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let from_json = |text: &str| json::parse(text).ok_or(ValueError::Text("Value"));
        raw_json::read(deserializer, from_json, ValueVisitor { levels: MAX_DEPTH, dictionaries: false })
    }

    fn read_binary<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor { levels: MAX_DEPTH, dictionaries: true })
    }
}

/// Visits any value, and recurses as far as it nests.
#[derive(Clone, Copy)]
struct ValueVisitor {
    /// How many more levels there may be.
    levels: usize,
    /// Whether maps are those of .NET's `Dictionary<object, object>`, as in MessagePack: with keys that can be compared, each
    /// given once.
    dictionaries: bool,
}

impl ValueVisitor {
    fn inside<E: de::Error>(self) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { levels, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for ValueVisitor {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! leaves {
    ($($method:ident($type:ty);)*) => {$(
        fn $method<E: de::Error>(self, value: $type) -> Result<Value, E> {
            Ok(value.into())
        }
    )*};
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    leaves! {
        visit_bool(bool);
        visit_i64(i64);
        visit_u64(u64);
        visit_f32(f32);
        visit_f64(f64);
        visit_str(&str);
        visit_string(String);
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(bytes.to_owned()))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(bytes))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    /// An extension of MessagePack, of which the timestamp alone has a type in .NET.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        date(deserializer.deserialize_any(timestamp::Content)?)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let element = self.inside()?;
        let mut list = Vec::with_capacity(likely(elements.size_hint()));
        while let Some(value) = elements.next_element_seed(element)? {
            list.push(value);
        }
        match buffered_timestamp(&list) {
            Some(timestamp) if !self.dictionaries => date(timestamp),
            _ => Ok(Value::List(list)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let element = self.inside()?;
        let mut map = Vec::with_capacity(likely(entries.size_hint()));
        while let Some(key) = entries.next_key_seed(element)? {
            if self.dictionaries && !can_be_key(&key) {
                return Err(de::Error::custom("a key that cannot be compared"));
            }
            map.push((key, entries.next_value_seed(element)?));
        }
        if self.dictionaries && !all_differ(&map) {
            return Err(de::Error::custom("a key is given twice"));
        }
        Ok(Value::Map(map))
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
}

/// The timestamp of MessagePack that serde has buffered. It comes without the newtype around it, but bytes never come from
/// JSON.
fn buffered_timestamp(list: &[Value]) -> Option<Timestamp> {
    match list {
        [kind, Value::Bytes(bytes)] if kind.as_i64() == Some(timestamp::TYPE.into()) => Timestamp::from_bytes(bytes),
        _ => None,
    }
}

fn date<E: de::Error>(timestamp: Timestamp) -> Result<Value, E> {
    DateTime::from_timestamp(timestamp).map(Value::DateTime).map_err(E::custom)
}

/// How many elements to make room for. In the formats of this crate the hint is true, in others it may be anything.
fn likely(hint: Option<usize>) -> usize {
    const MAX_PREALLOCATED: usize = 1024 * 1024 / size_of::<Value>();
    hint.unwrap_or_default().min(MAX_PREALLOCATED)
}

fn can_be_key(key: &Value) -> bool {
    !matches!(key, Value::Null | Value::Bytes(_) | Value::List(_) | Value::Map(_))
}

fn all_differ(map: &[(Value, Value)]) -> bool {
    let mut seen = HashSet::with_capacity(if map.len() > 1 { map.len() } else { 0 });
    map.len() < 2 || map.iter().all(|(key, _)| seen.insert(key))
}
