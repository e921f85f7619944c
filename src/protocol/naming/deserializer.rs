//! Wrappers around deserializers, seeds and visitors.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

use super::access::WireAccess;
use super::chars::CharVisitor;
use super::enums::EnumVisitor;
use super::fields::StructVisitor;
use super::{NamingRules, name_cache};

/// Seed that applies the rules to the value that it deserializes.
pub(super) struct WireSeed<S> {
    seed: S,
    rules: NamingRules,
}

impl<S> WireSeed<S> {
    pub(super) const fn new(seed: S, rules: NamingRules) -> Self {
        Self { seed, rules }
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for WireSeed<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.seed.deserialize(WireDeserializer::new(deserializer, self.rules))
    }
}

pub(super) struct WireDeserializer<D> {
    inner: D,
    rules: NamingRules,
}

impl<D> WireDeserializer<D> {
    pub(super) const fn new(inner: D, rules: NamingRules) -> Self {
        Self { inner, rules }
    }
}

macro_rules! read {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method($($argument,)* WireVisitor::new(visitor, self.rules))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for WireDeserializer<D> {
    type Error = D::Error;

    read! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_identifier();
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        if !self.rules.is_dot_net() {
            self.inner.deserialize_char(visitor)
        } else if self.rules.numbers_chars() {
            self.inner.deserialize_u16(CharVisitor::new(visitor, self.rules))
        } else {
            self.inner.deserialize_char(CharVisitor::new(visitor, self.rules))
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_newtype_struct(name, WireVisitor::new(visitor, self.rules.inside(name)))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        if !self.rules.is_dot_net() {
            return self.inner.deserialize_struct(name, fields, WireVisitor::new(visitor, self.rules));
        }
        let spelled = name_cache::fields(fields, self.rules);
        self.inner.deserialize_struct(name, fields, StructVisitor::new(visitor, spelled, self.rules))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        if !self.rules.is_dot_net() {
            return self.inner.deserialize_enum(name, variants, WireVisitor::new(visitor, self.rules));
        }
        // `deserialize_enum` of the hub protocols accepts serde's forms of an enum only, which are
        // not numbers.
        self.inner.deserialize_any(EnumVisitor::new(visitor, variants, self.rules))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_ignored_any(visitor)
    }

    fn is_human_readable(&self) -> bool {
        !self.rules.binary && self.inner.is_human_readable()
    }
}

/// Visitor that applies the rules to the content of the value that it visits.
pub(super) struct WireVisitor<V> {
    visitor: V,
    rules: NamingRules,
}

impl<V> WireVisitor<V> {
    pub(super) const fn new(visitor: V, rules: NamingRules) -> Self {
        Self { visitor, rules }
    }
}

/// Visitor methods of values without content that could be renamed.
macro_rules! visit_plain {
    () => {
        $crate::protocol::naming::deserializer::visit_plain! {
            visit_bool(bool) visit_i8(i8) visit_i16(i16) visit_i32(i32) visit_i64(i64) visit_i128(i128)
            visit_u8(u8) visit_u16(u16) visit_u32(u32) visit_u64(u64) visit_u128(u128) visit_f32(f32) visit_f64(f64)
            visit_char(char) visit_str(&str) visit_borrowed_str(&'de str) visit_string(String)
            visit_bytes(&[u8]) visit_borrowed_bytes(&'de [u8]) visit_byte_buf(Vec<u8>)
        }

        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            self.visitor.visit_none()
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            self.visitor.visit_unit()
        }

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.visitor.expecting(formatter)
        }
    };
    ($($method:ident($type:ty))*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<Self::Value, E> {
            self.visitor.$method(value)
        }
    )*};
}
pub(super) use visit_plain;

impl<'de, V: Visitor<'de>> Visitor<'de> for WireVisitor<V> {
    type Value = V::Value;

    visit_plain!();

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(WireDeserializer::new(deserializer, self.rules))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(WireDeserializer::new(deserializer, self.rules))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(WireAccess::new(elements, self.rules))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(WireAccess::new(entries, self.rules))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(WireAccess::new(variant, self.rules))
    }
}
