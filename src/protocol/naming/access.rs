//! Access to the content of lists, maps and enums.

use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::deserializer::{WireSeed, WireVisitor};
use super::fields::StructVisitor;
use super::{NamingRules, name_cache};

/// Applies the rules to the content of a list, map or enum.
pub(super) struct WireAccess<A> {
    inner: A,
    rules: NamingRules,
}

impl<A> WireAccess<A> {
    pub(super) const fn new(inner: A, rules: NamingRules) -> Self {
        Self { inner, rules }
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for WireAccess<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_element_seed(WireSeed::new(seed, self.rules))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for WireAccess<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_key_seed(WireSeed::new(seed, self.rules.for_key()))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(WireSeed::new(seed, self.rules))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for WireAccess<A> {
    type Error = A::Error;
    type Variant = WireAccess<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (variant, content) = self.inner.variant_seed(seed)?;
        Ok((variant, WireAccess::new(content, self.rules)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for WireAccess<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(WireSeed::new(seed, self.rules))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, WireVisitor::new(visitor, self.rules))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        if !self.rules.is_dot_net() {
            return self.inner.struct_variant(fields, WireVisitor::new(visitor, self.rules));
        }
        let spelled = name_cache::fields(fields, self.rules);
        self.inner.struct_variant(fields, StructVisitor::new(visitor, spelled, self.rules))
    }
}
