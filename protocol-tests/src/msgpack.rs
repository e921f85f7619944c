//! Prints MessagePack as JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rmp::Marker;
use serde_json::{Map, Value, json};

/// Returns the value, if the bytes are exactly one value.
///
/// Binary data prints as `{"$bin": base64}`, an extension as `{"$ext": [type, base64]}`. An integer
/// in one of the 64-bit forms prints as text, since it may exceed the range of JSON numbers.
pub(crate) fn to_json(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader { rest: bytes };
    let value = reader.value(MAX_DEPTH)?;
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: u32) -> Option<Value> {
        let marker = Marker::from_u8(self.array::<1>()?[0]);
        Some(match marker {
            Marker::Null => Value::Null,
            Marker::True => json!(true),
            Marker::False => json!(false),
            Marker::FixPos(n) => json!(n),
            Marker::FixNeg(n) => json!(n),
            Marker::U8 => json!(u8::from_be_bytes(self.array()?)),
            Marker::U16 => json!(u16::from_be_bytes(self.array()?)),
            Marker::U32 => json!(u32::from_be_bytes(self.array()?)),
            Marker::U64 => json!(u64::from_be_bytes(self.array()?).to_string()),
            Marker::I8 => json!(i8::from_be_bytes(self.array()?)),
            Marker::I16 => json!(i16::from_be_bytes(self.array()?)),
            Marker::I32 => json!(i32::from_be_bytes(self.array()?)),
            Marker::I64 => json!(i64::from_be_bytes(self.array()?).to_string()),
            Marker::F32 => json!(f64::from(f32::from_be_bytes(self.array()?))),
            Marker::F64 => json!(f64::from_be_bytes(self.array()?)),
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                let length = self.length(marker)?;
                json!(String::from_utf8_lossy(self.bytes(length)?))
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                let length = self.length(marker)?;
                json!({ "$bin": STANDARD.encode(self.bytes(length)?) })
            }
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                let items = self.length(marker)?;
                let depth = depth.checked_sub(1)?;
                (0..items).map(|_| self.value(depth)).collect::<Option<Vec<_>>>()?.into()
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                let entries = self.length(marker)?;
                let depth = depth.checked_sub(1)?;
                (0..entries)
                    .map(|_| Some((self.key(depth)?, self.value(depth)?)))
                    .collect::<Option<Map<_, _>>>()?
                    .into()
            }
            Marker::FixExt1
            | Marker::FixExt2
            | Marker::FixExt4
            | Marker::FixExt8
            | Marker::FixExt16
            | Marker::Ext8
            | Marker::Ext16
            | Marker::Ext32 => {
                let length = self.length(marker)?;
                let kind = i8::from_be_bytes(self.array()?);
                json!({ "$ext": [kind, STANDARD.encode(self.bytes(length)?)] })
            }
            Marker::Reserved => return None,
        })
    }

    /// Reads a key of a map, as text, since JSON has no other keys.
    fn key(&mut self, depth: u32) -> Option<String> {
        match self.value(depth)? {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Reads the number of bytes, items or entries that follow.
    fn length(&mut self, marker: Marker) -> Option<usize> {
        let length = match marker {
            Marker::FixStr(n) | Marker::FixArray(n) | Marker::FixMap(n) => u32::from(n),
            Marker::FixExt1 => 1,
            Marker::FixExt2 => 2,
            Marker::FixExt4 => 4,
            Marker::FixExt8 => 8,
            Marker::FixExt16 => 16,
            Marker::Str8 | Marker::Bin8 | Marker::Ext8 => u32::from(u8::from_be_bytes(self.array()?)),
            Marker::Str16 | Marker::Bin16 | Marker::Ext16 | Marker::Array16 | Marker::Map16 => {
                u32::from(u16::from_be_bytes(self.array()?))
            }
            _ => u32::from_be_bytes(self.array()?),
        };
        usize::try_from(length).ok()
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*head)
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(head)
    }
}

/// Greater than the depth of any hub message, and safe for the stack.
const MAX_DEPTH: u32 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_as_json() {
        // [1, -1, nil, true, "ab", 1.5, {"k": []}]
        let bytes = b"\x97\x01\xff\xc0\xc3\xa2ab\xca\x3f\xc0\x00\x00\x81\xa1k\x90";
        assert_eq!(to_json(bytes), Some(json!([1, -1, null, true, "ab", 1.5, { "k": [] }])));
    }

    #[test]
    fn bytes_and_extensions_are_marked() {
        assert_eq!(to_json(b"\xc4\x03\x01\x02\xff"), Some(json!({ "$bin": "AQL/" })));
        assert_eq!(to_json(b"\xd6\xff\x00\x00\x00\x01"), Some(json!({ "$ext": [-1, "AAAAAQ=="] })));
        assert_eq!(to_json(b"\xc7\x01\x05\x00"), Some(json!({ "$ext": [5, "AA=="] })));
    }

    #[test]
    fn integers_of_64_bits_print_as_text() {
        assert_eq!(to_json(b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), Some(json!("18446744073709551615")));
        assert_eq!(to_json(b"\xd3\xff\xff\xff\xff\xff\xff\xff\xfe"), Some(json!("-2")));
        assert_eq!(to_json(b"\xce\xff\xff\xff\xff"), Some(json!(4_294_967_295_u32)));
        assert_eq!(to_json(b"\xd2\x80\x00\x00\x00"), Some(json!(i32::MIN)));
    }

    #[test]
    fn map_with_number_keys_prints_them_as_text() {
        assert_eq!(to_json(b"\x81\x07\x08"), Some(json!({ "7": 8 })));
        assert_eq!(to_json(b"\x81\xc0\x08"), None);
    }

    #[test]
    fn bytes_that_are_not_one_value_are_none() {
        for bytes in [&b""[..], b"\xc1", b"\x92\x01", b"\x01\x02", b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff\x00"]
        {
            assert_eq!(to_json(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth| [vec![0x91; depth], vec![0xc0]].concat();
        assert!(to_json(&nested(200)).is_some());
        assert_eq!(to_json(&nested(201)), None);
        assert_eq!(to_json(&nested(1_000_000)), None);
    }
}
