//! Deserialization of structs: names on the wire become serde's names of fields.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::NamingRules;
use super::access::WireAccess;
use super::deserializer::{WireDeserializer, WireSeed, visit_plain};
use super::name_cache::FieldTable;

/// Visits the map that represents a struct.
pub(super) struct StructVisitor<V> {
    visitor: V,
    fields: FieldTable,
    rules: NamingRules,
}

impl<V> StructVisitor<V> {
    pub(super) const fn new(visitor: V, fields: FieldTable, rules: NamingRules) -> Self {
        Self { visitor, fields, rules }
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for StructVisitor<V> {
    type Value = V::Value;

    visit_plain!();

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(WireDeserializer::new(deserializer, self.rules))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(WireDeserializer::new(deserializer, self.rules))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _elements: A) -> Result<V::Value, A::Error> {
        // Derived code accepts a list of the fields in order; .NET does not.
        Err(A::Error::invalid_type(Unexpected::Seq, &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(FieldAccess { inner: entries, fields: self.fields, rules: self.rules, next: 0 })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(WireAccess::new(variant, self.rules))
    }
}

struct FieldAccess<A> {
    inner: A,
    fields: FieldTable,
    rules: NamingRules,
    /// Index of the next field if the members are in the order of declaration.
    next: usize,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for FieldAccess<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let names = FieldNames { fields: self.fields, rules: self.rules, next: &mut self.next };
        self.inner.next_key_seed(Named { inner: seed, names })
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(WireSeed::new(seed, self.rules))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// Maps names on the wire to serde's names.
pub(super) trait NameResolver {
    fn resolve<E: Error>(self, wire: &str) -> Result<&str, E>;
}

struct FieldNames<'a> {
    fields: FieldTable,
    rules: NamingRules,
    next: &'a mut usize,
}

impl NameResolver for FieldNames<'_> {
    fn resolve<E: Error>(self, wire: &str) -> Result<&str, E> {
        if let Some(found) = self.fields.find(wire, *self.next) {
            *self.next = found + 1;
            return Ok(self.fields.name(found));
        }
        if wire.is_empty() && !self.rules.is_json() {
            return Err(E::custom("member without a name"));
        }
        // Serde's name does not denote the field: for .NET, `string_prop` is not `StringProp`.
        Ok(if self.fields.has_name(wire) { NO_SUCH_FIELD } else { wire })
    }
}

/// Name that no field has.
const NO_SUCH_FIELD: &str = "\0";

/// Seed, deserializer or visitor of a name, which has to be a string and not an index.
pub(super) struct Named<T, N> {
    pub(super) inner: T,
    pub(super) names: N,
}

impl<'de, S: DeserializeSeed<'de>, N: NameResolver> DeserializeSeed<'de> for Named<S, N> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Named { inner: deserializer, names: self.names })
    }
}

impl<'de, D: Deserializer<'de>, N: NameResolver> Deserializer<'de> for Named<D, N> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_identifier(Named { inner: visitor, names: self.names })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>, N: NameResolver> Visitor<'de> for Named<V, N> {
    type Value = V::Value;

    fn visit_str<E: Error>(self, wire: &str) -> Result<V::Value, E> {
        self.inner.visit_str(self.names.resolve(wire)?)
    }

    fn visit_borrowed_str<E: Error>(self, wire: &'de str) -> Result<V::Value, E> {
        self.inner.visit_borrowed_str(self.names.resolve(wire)?)
    }

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }
}
