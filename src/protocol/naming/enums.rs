//! Deserialization of enums: C#'s, by number in JSON and by name elsewhere, and serde's variants
//! with data.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{StrDeserializer, U64Deserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, Unexpected, VariantAccess, Visitor,
};

use super::NamingRules;
use super::deserializer::{WireDeserializer, WireSeed};
use super::fields::{NameResolver, Named};
use crate::ordinal;

/// Visits an enum in any of its forms.
pub(super) struct EnumVisitor<V> {
    visitor: V,
    variants: &'static [&'static str],
    rules: NamingRules,
}

impl<V> EnumVisitor<V> {
    pub(super) const fn new(visitor: V, variants: &'static [&'static str], rules: NamingRules) -> Self {
        Self { visitor, variants, rules }
    }

    /// Returns the variant that a string denotes (`aspnet: Enum.Parse`): by its name, preferably in
    /// the same case, or by its index in digits.
    fn named<'a>(&self, wire: &'a str) -> Variant<'a> {
        let known = |name: &str| self.variants.contains(&name);
        let trimmed = wire.trim();
        if known(wire) {
            return Variant::Name(wire);
        }
        if known(trimmed) {
            return Variant::Name(trimmed);
        }
        if let Ok(index) = trimmed.parse() {
            return Variant::Index(index);
        }
        // In JSON, only keys of maps get here.
        let any_case = |name: &&&str| self.rules.is_json() && ordinal::eq(name, trimmed);
        Variant::Name(self.variants.iter().find(any_case).copied().unwrap_or(wire))
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for EnumVisitor<V> {
    type Value = V::Value;

    fn visit_u64<E: Error>(self, index: u64) -> Result<V::Value, E> {
        if !self.rules.numbers_variants() {
            return Err(E::invalid_type(Unexpected::Unsigned(index), &self));
        }
        self.visitor.visit_enum(UnitVariant::new(Variant::Index(index)))
    }

    fn visit_i64<E: Error>(self, index: i64) -> Result<V::Value, E> {
        match u64::try_from(index) {
            Ok(index) => self.visit_u64(index),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(index), &self)),
        }
    }

    fn visit_str<E: Error>(self, wire: &str) -> Result<V::Value, E> {
        if self.rules.numbers_variants() {
            return Err(E::invalid_type(Unexpected::Str(wire), &self));
        }
        let variant = self.named(wire);
        self.visitor.visit_enum(UnitVariant::new(variant))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(DataVariant { entries, rules: self.rules })
    }

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(formatter)
    }
}

enum Variant<'a> {
    /// Position among the variants, which derived code accepts.
    Index(u64),
    Name(&'a str),
}

/// Variant without data.
struct UnitVariant<'a, E> {
    variant: Variant<'a>,
    error: PhantomData<E>,
}

impl<'a, E> UnitVariant<'a, E> {
    const fn new(variant: Variant<'a>) -> Self {
        Self { variant, error: PhantomData }
    }
}

impl<'de, E: Error> EnumAccess<'de> for UnitVariant<'_, E> {
    type Error = E;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), E> {
        let value = match self.variant {
            Variant::Index(index) => seed.deserialize::<U64Deserializer<E>>(index.into_deserializer())?,
            Variant::Name(name) => seed.deserialize::<StrDeserializer<'_, E>>(name.into_deserializer())?,
        };
        Ok((value, self))
    }
}

impl<'de, E: Error> VariantAccess<'de> for UnitVariant<'_, E> {
    type Error = E;

    fn unit_variant(self) -> Result<(), E> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _seed: S) -> Result<S::Value, E> {
        Err(E::invalid_type(Unexpected::UnitVariant, &"newtype variant"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, E> {
        Err(E::invalid_type(Unexpected::UnitVariant, &"tuple variant"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _fields: &'static [&'static str], _visitor: V) -> Result<V::Value, E> {
        Err(E::invalid_type(Unexpected::UnitVariant, &"struct variant"))
    }
}

/// Variant with data: a map of one entry. The deserializer checks that no second entry follows.
struct DataVariant<A> {
    entries: A,
    rules: NamingRules,
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for DataVariant<A> {
    type Error = A::Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(mut self, seed: S) -> Result<(S::Value, Self), A::Error> {
        let variant = self.entries.next_key_seed(Named { inner: seed, names: AsWritten })?;
        let variant = variant.ok_or_else(|| A::Error::invalid_length(0, &"a map with one entry"))?;
        Ok((variant, self))
    }
}

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for DataVariant<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        // .NET does not accept serde's `{"Variant": null}`.
        Err(A::Error::invalid_type(Unexpected::Map, &"a variant without data"))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(mut self, seed: S) -> Result<S::Value, A::Error> {
        self.entries.next_value_seed(WireSeed::new(seed, self.rules))
    }

    fn tuple_variant<V: Visitor<'de>>(mut self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.entries.next_value_seed(VariantContent { shape: Shape::Tuple(len), visitor, rules: self.rules })
    }

    fn struct_variant<V: Visitor<'de>>(
        mut self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.entries.next_value_seed(VariantContent { shape: Shape::Struct(fields), visitor, rules: self.rules })
    }
}

/// Resolver that returns names unchanged: variants have their serde names.
struct AsWritten;

impl NameResolver for AsWritten {
    fn resolve<E: Error>(self, wire: &str) -> Result<&str, E> {
        Ok(wire)
    }
}

/// Seed that deserializes the data of a variant.
struct VariantContent<V> {
    shape: Shape,
    visitor: V,
    rules: NamingRules,
}

enum Shape {
    Tuple(usize),
    Struct(&'static [&'static str]),
}

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for VariantContent<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = WireDeserializer::new(deserializer, self.rules);
        match self.shape {
            Shape::Tuple(len) => deserializer.deserialize_tuple(len, self.visitor),
            Shape::Struct(fields) => deserializer.deserialize_struct("", fields, self.visitor),
        }
    }
}
