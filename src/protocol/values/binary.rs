//! C#'s `byte[]`.

use std::fmt;
use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

use crate::protocol::naming::FORMAT_DEPENDENT;

/// Bytes: a base64 string in JSON and `bin` in MessagePack, as C#'s `byte[]`.
///
/// In MessagePack, an array of small integers and a string other than `str 8` are read as well, as
/// in ASP.NET Core: old clients write bytes as strings. Serde writes a `Vec<u8>` as an array of
/// numbers, which clients do not read as bytes.
///
/// ```
/// use signalr::dotnet::Binary;
/// use signalr::protocol::{HubProtocolKind, HubProtocol, Naming};
///
/// let mut out = Vec::new();
/// let picture = Binary::from(vec![1, 2, 3]);
/// HubProtocol::new(HubProtocolKind::Json, Naming::Serde).write_value(&mut out, &picture).unwrap();
/// assert_eq!(out, br#""AQID""#);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Binary(pub Bytes);

impl From<Bytes> for Binary {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Binary {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&[u8]> for Binary {
    fn from(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

impl From<Binary> for Bytes {
    fn from(binary: Binary) -> Self {
        binary.0
    }
}

impl Deref for Binary {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Binary {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(FORMAT_DEPENDENT, BinaryVisitor { base64: true })
    }
}

struct BinaryVisitor {
    /// Whether a string is base64 and not the bytes themselves.
    base64: bool,
}

impl<'de> Visitor<'de> for BinaryVisitor {
    type Value = Binary;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.base64 { "base64 text" } else { "bytes" })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Binary, D::Error> {
        if deserializer.is_human_readable() {
            // A JSON deserializer would also accept an array of numbers for bytes.
            deserializer.deserialize_str(self)
        } else {
            deserializer.deserialize_byte_buf(Self { base64: false })
        }
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Binary, E> {
        Ok(bytes.into())
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Binary, E> {
        Ok(bytes.into())
    }

    /// Reads an array of small integers, which .NET accepts in MessagePack.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Binary, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = list.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes.into())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Binary, E> {
        if self.base64 { decode_base64(text).map(Binary::from).map_err(E::custom) } else { Ok(text.as_bytes().into()) }
    }
}

/// Decodes base64 as .NET does: padded, in the standard alphabet, with white space anywhere
/// (`Convert.FromBase64String`).
fn decode_base64(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    let is_blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    if text.contains(is_blank) {
        return STANDARD.decode(text.replace(is_blank, ""));
    }
    STANDARD.decode(text)
}
