//! MessagePack deserializer for serde that accepts the format codes that .NET accepts.
//!
//! .NET accepts some encodings of a value and rejects others of the same value. `rmp-serde` does
//! not expose the encoding, for example whether a string was `str 8` or bytes were `bin`.

use serde::de::value::{BorrowedBytesDeserializer, Error, I8Deserializer, SeqDeserializer};
use serde::de::{self, DeserializeSeed, Error as _, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use crate::protocol::naming::EXTENSION;

use super::reader::MessagePackReader;
use super::scan::InvalidMessagePack;

/// Deserializes one value.
///
/// It recurses into arrays, maps and variants, and rejects more than 63 nested levels. Together
/// with the message, that is the limit of JSON.
pub(in crate::protocol) struct Deserializer<'de> {
    reader: MessagePackReader<'de>,
    levels: u32,
}

const MAX_DEPTH: u32 = 63;

impl<'de> Deserializer<'de> {
    /// Creates a deserializer of `bytes`, which are known to be a complete value.
    pub(in crate::protocol) fn new(bytes: &'de [u8]) -> Self {
        Self { reader: MessagePackReader::new(bytes), levels: MAX_DEPTH }
    }

    fn number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let number = self.reader.wide_int()?;
        match (u64::try_from(number), i64::try_from(number)) {
            (Ok(number), _) => visitor.visit_u64(number),
            (_, Ok(number)) => visitor.visit_i64(number),
            _ => Err(InvalidMessagePack::Overflow.into()),
        }
    }

    /// Reads a string. Invalid UTF-8 is an error, whereas .NET replaces it.
    fn string<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(str::from_utf8(self.reader.bytes()?).map_err(Error::custom)?)
    }

    fn array<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let elements_left = self.reader.array_len()?;
        self.nested(elements_left, |elements| visitor.visit_seq(elements))
    }

    fn map<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let elements_left = self.reader.map_len()?;
        self.nested(elements_left, |entries| visitor.visit_map(entries))
    }

    /// Reads an extension as a newtype around a tuple of its type and its content, as in
    /// `rmp-serde`.
    fn extension<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let (kind, bytes) = self.reader.extension()?;
        visitor.visit_newtype_struct(ExtensionParts { kind: Some(kind), bytes: Some(bytes) })
    }

    fn nested<T>(
        &mut self,
        elements_left: usize,
        visit: impl FnOnce(&mut Elements<'_, 'de>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.levels = self.levels.checked_sub(1).ok_or_else(|| Error::custom("nested too deep"))?;
        let mut elements = Elements { deserializer: self, elements_left };
        let value = visit(&mut elements)?;
        if elements.elements_left > 0 {
            return Err(Error::custom("too many elements"));
        }
        self.levels += 1;
        Ok(value)
    }
}

macro_rules! scalars {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.reader.peek()? {
                0x00..=0x7f | 0xcc..=0xd3 | 0xe0..=0xff => self.number(visitor),
                0xc0 | 0xc2 | 0xc3 | 0xca | 0xcb => self.deserialize_any(visitor),
                code => Err(InvalidMessagePack::Code(code).into()),
            }
        }
    )*};
}

/// Deserializes an array, or a binary value, each byte of which is one element.
macro_rules! lists {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, Error> {
            match self.reader.peek()? {
                0xc4..=0xc6 => visitor.visit_seq(SeqDeserializer::new(self.reader.bytes()?.iter().copied())),
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

/// Deserializes a string and rejects binary values.
macro_rules! texts {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.reader.peek()? {
                code @ 0xc4..=0xc6 => Err(InvalidMessagePack::Code(code).into()),
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

/// Deserializes a binary value, or a string other than `str 8`: the old specification has neither
/// `bin` nor `str 8`.
macro_rules! bytes {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.reader.peek()? {
                0xa0..=0xbf | 0xc4..=0xc6 | 0xda | 0xdb => visitor.visit_borrowed_bytes(self.reader.bytes()?),
                code @ 0xd9 => Err(InvalidMessagePack::Code(code).into()),
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

/// Deserializes 128-bit integers, which `rmp-serde` writes as binary values.
macro_rules! wide {
    ($($method:ident: $type:ty => $visit:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let number = match self.reader.peek()? {
                0xc4 => {
                    let bytes = self.reader.bytes()?.try_into();
                    <$type>::from_be_bytes(bytes.map_err(|_| Error::custom("not 16 bytes"))?)
                }
                _ => self.reader.wide_int()?.try_into().map_err(|_| InvalidMessagePack::Overflow)?,
            };
            visitor.$visit(number)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Deserializer<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.reader.peek()? {
            0x00..=0x7f | 0xcc..=0xd3 | 0xe0..=0xff => self.number(visitor),
            0xa0..=0xbf | 0xd9..=0xdb => self.string(visitor),
            0xc0 => {
                self.reader.value()?;
                visitor.visit_unit()
            }
            0xc2 | 0xc3 => visitor.visit_bool(self.reader.boolean()?),
            0xc4..=0xc6 => visitor.visit_borrowed_bytes(self.reader.bytes()?),
            0xca => visitor.visit_f32(self.reader.float32()?),
            0xcb => visitor.visit_f64(self.reader.float64()?),
            0x90..=0x9f | 0xdc | 0xdd => self.array(visitor),
            0x80..=0x8f | 0xde | 0xdf => self.map(visitor),
            0xc7..=0xc9 | 0xd4..=0xd8 => self.extension(visitor),
            code @ 0xc1 => Err(InvalidMessagePack::Code(code).into()),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.reader.peek()? {
            0xc0 => {
                self.reader.value()?;
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        if name == EXTENSION { self.extension(visitor) } else { visitor.visit_newtype_struct(self) }
    }

    /// Accepts an empty array, as which `rmp-serde` writes unit structs.
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Error> {
        match self.reader.peek()? {
            0x90 => {
                self.reader.value()?;
                visitor.visit_unit()
            }
            _ => self.deserialize_any(visitor),
        }
    }

    /// A variant is its name, or a map from its name to its content.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if !matches!(self.reader.peek()?, 0x80..=0x8f | 0xde | 0xdf) {
            return visitor.visit_enum(EnumContent { deserializer: self, has_content: false });
        }
        match self.reader.map_len()? {
            1 => self.nested(0, |entry| {
                visitor.visit_enum(EnumContent { deserializer: entry.deserializer, has_content: true })
            }),
            length => Err(Error::invalid_length(length, &"one variant")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.reader.value()?;
        visitor.visit_unit()
    }

    scalars! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64
    }

    lists! {
        deserialize_seq();
        deserialize_tuple(_len: usize);
        deserialize_tuple_struct(_name: &'static str, _len: usize);
    }

    texts! { deserialize_char deserialize_str deserialize_string }

    bytes! { deserialize_bytes deserialize_byte_buf }

    wide! {
        deserialize_i128: i128 => visit_i128;
        deserialize_u128: u128 => visit_u128;
    }

    forward_to_deserialize_any! { unit map struct identifier }
}

/// Elements of an array, or keys and values of a map.
struct Elements<'a, 'de> {
    deserializer: &'a mut Deserializer<'de>,
    elements_left: usize,
}

impl<'de> Elements<'_, 'de> {
    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some(elements_left) = self.elements_left.checked_sub(1) else { return Ok(None) };
        self.elements_left = elements_left;
        seed.deserialize(&mut *self.deserializer).map(Some)
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.next(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.elements_left)
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.next(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(&mut *self.deserializer)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.elements_left)
    }
}

/// Variant of an enum, with or without content.
struct EnumContent<'a, 'de> {
    deserializer: &'a mut Deserializer<'de>,
    has_content: bool,
}

impl<'de> EnumContent<'_, 'de> {
    fn content(&mut self) -> Result<&mut Deserializer<'de>, Error> {
        if self.has_content {
            Ok(self.deserializer)
        } else {
            Err(Error::invalid_type(Unexpected::UnitVariant, &"content"))
        }
    }
}

impl<'de> de::EnumAccess<'de> for EnumContent<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        Ok((seed.deserialize(&mut *self.deserializer)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for EnumContent<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        if self.has_content { de::Deserialize::deserialize(self.deserializer) } else { Ok(()) }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(mut self, len: usize, visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_tuple(self.content()?, len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        mut self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_any(self.content()?, visitor)
    }
}

/// Type and content of an extension, each `None` once it has been read.
struct ExtensionParts<'de> {
    kind: Option<i8>,
    bytes: Option<&'de [u8]>,
}

impl<'de> de::Deserializer<'de> for ExtensionParts<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> SeqAccess<'de> for ExtensionParts<'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if let Some(kind) = self.kind.take() {
            return seed.deserialize(I8Deserializer::new(kind)).map(Some);
        }
        self.bytes.take().map(|bytes| seed.deserialize(BorrowedBytesDeserializer::new(bytes))).transpose()
    }
}

impl From<InvalidMessagePack> for Error {
    #[cold]
    fn from(fault: InvalidMessagePack) -> Self {
        Self::custom(format_args!("{fault:?}"))
    }
}
