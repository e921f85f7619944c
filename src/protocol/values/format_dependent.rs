//! Values whose form in MessagePack differs from that in JSON and other text formats.

use std::fmt::{self, Display, Write as _};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use crate::protocol::naming::FORMAT_DEPENDENT;

/// Value with two written forms.
pub(super) trait WriteForms: Copy {
    /// Writes the form of JSON and other human-readable formats.
    fn write_text<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Writes the form of MessagePack.
    fn write_binary<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error>;
}

/// Value that is read from two forms.
pub(super) trait ReadForms: Sized {
    /// Reads the form of JSON and other human-readable formats. Where serde has buffered a value
    /// before its type is known (`flatten`, `untagged`), the format is lost and this method has to
    /// read MessagePack's form as well.
    fn read_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// Reads the form of MessagePack.
    fn read_binary<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

pub(super) fn serialize<T: WriteForms, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_struct(FORMAT_DEPENDENT, &FormatDependent(*value))
}

pub(super) fn deserialize<'de, T: ReadForms, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_newtype_struct(FORMAT_DEPENDENT, FormVisitor(PhantomData))
}

/// Serializes the `Display` output of a value as a string.
pub(super) fn write_text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = StackString { bytes: [0; MAX_TEXT_BYTES], length: 0 };
    write!(text, "{value}").map_err(serde::ser::Error::custom)?;
    serializer.serialize_str(text.as_str())
}

struct FormatDependent<T>(T);

impl<T: WriteForms> Serialize for FormatDependent<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { self.0.write_text(serializer) } else { self.0.write_binary(serializer) }
    }
}

struct FormVisitor<T>(PhantomData<T>);

impl<'de, T: ReadForms> Visitor<'de> for FormVisitor<T> {
    type Value = T;

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        if deserializer.is_human_readable() { T::read_text(deserializer) } else { T::read_binary(deserializer) }
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a format-dependent value")
    }
}

/// Visits a string and parses it.
pub(super) struct TextVisitor<T>(pub(super) &'static str, PhantomData<T>);

impl<T> TextVisitor<T> {
    pub(super) const fn new(expected: &'static str) -> Self {
        Self(expected, PhantomData)
    }
}

impl<T: FromStr<Err: Display>> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Short string that needs no allocation.
struct StackString {
    bytes: [u8; MAX_TEXT_BYTES],
    length: usize,
}

/// Capacity in bytes. A GUID has 36 bytes, a date with an offset 33, a decimal 31, a time span 26.
const MAX_TEXT_BYTES: usize = 40;

impl StackString {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("only complete strings are appended")
    }
}

impl fmt::Write for StackString {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
