//! What is inside lists, maps and enums, for those who read it.

use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::deserializer::{DotNetSeed, DotNetVisitor};
use super::fields::StructVisitor;
use super::{Rules, spellings};

/// Reads what is inside with .NET's names.
pub(super) struct DotNetAccess<A> {
    inner: A,
    rules: Rules,
}

impl<A> DotNetAccess<A> {
    pub(super) const fn new(inner: A, rules: Rules) -> Self {
        Self { inner, rules }
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for DotNetAccess<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_element_seed(DotNetSeed::new(seed, self.rules))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for DotNetAccess<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_key_seed(DotNetSeed::new(seed, self.rules.for_key()))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(DotNetSeed::new(seed, self.rules))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for DotNetAccess<A> {
    type Error = A::Error;
    type Variant = DotNetAccess<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (variant, content) = self.inner.variant_seed(seed)?;
        Ok((variant, DotNetAccess::new(content, self.rules)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for DotNetAccess<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(DotNetSeed::new(seed, self.rules))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, DotNetVisitor::new(visitor, self.rules))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let spelled = spellings::fields(fields, self.rules);
        self.inner.struct_variant(fields, StructVisitor::new(visitor, spelled, self.rules))
    }
}
