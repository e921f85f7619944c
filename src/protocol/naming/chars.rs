//! C#'s `char`: one UTF-16 code unit.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};

use super::NamingRules;

/// Returns the UTF-16 code unit of a character up to U+FFFF.
pub(super) fn unit(value: char) -> Option<u16> {
    u16::try_from(u32::from(value)).ok()
}

/// Error text for a character of two UTF-16 code units.
pub(super) const NO_UNIT: &str = "a character beyond U+FFFF is two in UTF-16, and has no form as one";

/// Visits a string of one UTF-16 code unit in JSON, or its number in MessagePack. Unpaired
/// surrogates are errors, because Rust has no `char` for them.
pub(super) struct CharVisitor<V> {
    visitor: V,
    rules: NamingRules,
}

impl<V> CharVisitor<V> {
    pub(super) const fn new(visitor: V, rules: NamingRules) -> Self {
        Self { visitor, rules }
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for CharVisitor<V> {
    type Value = V::Value;

    fn visit_u64<E: Error>(self, number: u64) -> Result<V::Value, E> {
        if !self.rules.numbers_chars() {
            return Err(E::invalid_type(Unexpected::Unsigned(number), &self));
        }
        match u16::try_from(number).ok().and_then(|unit| char::from_u32(unit.into())) {
            Some(value) => self.visitor.visit_char(value),
            None => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<V::Value, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<V::Value, E> {
        let mut letters = text.chars();
        match (letters.next().filter(|&letter| unit(letter).is_some()), letters.next()) {
            (Some(value), None) if !self.rules.numbers_chars() => self.visitor.visit_char(value),
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one UTF-16 unit")
    }
}
