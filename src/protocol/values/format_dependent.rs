//! Values that have one form in texts and another one in MessagePack, and how they pick theirs.

use std::fmt::{self, Display, Write as _};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use crate::protocol::naming::FORMAT_DEPENDENT;

/// A value that is written in two forms.
pub(super) trait WriteForms: Copy {
    /// Writes it for JSON, and for everything else that people read.
    fn write_text<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Writes it for MessagePack.
    fn write_binary<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error>;
}

/// A value that is read from two forms.
pub(super) trait ReadForms: Sized {
    /// Reads the form of JSON, and of everything else that people read. Where serde has buffered a
    /// value before it asks for its type (`flatten`, `untagged`), the format is lost, and this is
    /// called for MessagePack's form, too.
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

/// Writes a value as the text that it displays as.
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
        f.write_str("a value in its form")
    }
}

/// Visits a text that is parsed.
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

/// A short text that needs no allocation.
struct StackString {
    bytes: [u8; MAX_TEXT_BYTES],
    length: usize,
}

/// A Guid has 36 bytes, a date with its offset 33, a decimal 31, a span 26.
const MAX_TEXT_BYTES: usize = 40;

impl StackString {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).expect("whole texts were written to it")
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
