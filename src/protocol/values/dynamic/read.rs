//! Deserialization of [`Value`].

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

/// Visits a value of any type, recursing into lists and maps.
#[derive(Clone, Copy)]
struct ValueVisitor {
    /// Number of further levels allowed.
    levels: usize,
    /// Whether maps are .NET's `Dictionary<object, object>`, as in MessagePack, whose keys have to
    /// be comparable and unique.
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

    /// Reads a MessagePack extension. Only the timestamp has a type in .NET.
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
                return Err(de::Error::custom("key cannot be compared"));
            }
            map.push((key, entries.next_value_seed(element)?));
        }
        if self.dictionaries && !all_differ(&map) {
            return Err(de::Error::custom("duplicate key"));
        }
        Ok(Value::Map(map))
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
}

/// Returns the MessagePack timestamp in a list that serde has buffered. Buffering drops the newtype
/// around it, but JSON never yields bytes.
fn buffered_timestamp(list: &[Value]) -> Option<Timestamp> {
    match list {
        [kind, Value::Bytes(bytes)] if kind.as_i64() == Some(timestamp::TYPE.into()) => Timestamp::from_bytes(bytes),
        _ => None,
    }
}

fn date<E: de::Error>(timestamp: Timestamp) -> Result<Value, E> {
    DateTime::from_timestamp(timestamp).map(Value::DateTime).map_err(E::custom)
}

/// Returns the number of elements to allocate for. The hints of both hub protocols are exact; other
/// formats may give any hint.
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
