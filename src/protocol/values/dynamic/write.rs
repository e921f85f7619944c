//! Serialization of [`Value`].

use serde::ser::Error;
use serde::{Serialize, Serializer};

use super::{MAX_DEPTH, Value};

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Nested { value: self, levels: MAX_DEPTH }.serialize(serializer)
    }
}

/// Value with the number of levels that it may have.
struct Nested<'a> {
    value: &'a Value,
    levels: usize,
}

impl Nested<'_> {
    fn levels_inside<E: Error>(&self) -> Result<usize, E> {
        self.levels.checked_sub(1).ok_or_else(|| E::custom("nested too deep"))
    }
}

impl Serialize for Nested<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Number(value) => value.write(serializer),
            Value::String(value) => serializer.serialize_str(value),
            Value::Bytes(value) => serializer.serialize_bytes(value),
            Value::DateTime(value) => value.serialize(serializer),
            Value::List(list) => {
                let levels = self.levels_inside()?;
                serializer.collect_seq(list.iter().map(|value| Nested { value, levels }))
            }
            Value::Map(map) => {
                let levels = self.levels_inside()?;
                let nested = |value| Nested { value, levels };
                serializer.collect_map(map.iter().map(|(key, value)| (nested(key), nested(value))))
            }
        }
    }
}
