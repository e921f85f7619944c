//! Finds the ends of values without deserializing them and without recursion.

use crate::protocol::error::ProtocolError;

/// Fault in MessagePack data, with MessagePack-CSharp's error text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvalidMessagePack {
    /// The data ends before the value does.
    End,
    /// The format code is not the expected one.
    Code(u8),
    /// A number exceeds the range of its type.
    Overflow,
}

impl From<InvalidMessagePack> for ProtocolError {
    fn from(fault: InvalidMessagePack) -> Self {
        match fault {
            InvalidMessagePack::End => {
                Self::new("EndOfStreamException", "Attempted to read past the end of the stream.")
            }
            InvalidMessagePack::Code(code) => Self::new(
                "MessagePackSerializationException",
                format!("Unexpected msgpack code {code} ({}) encountered.", code_name(code)),
            ),
            InvalidMessagePack::Overflow => {
                Self::new("OverflowException", "Arithmetic operation resulted in an overflow.")
            }
        }
    }
}

/// Returns the length of the first value.
pub(super) fn value_len(bytes: &[u8]) -> Result<usize, InvalidMessagePack> {
    let mut at = 0_usize;
    // Number of values that are still to be skipped. Each takes at least one byte, so it is at most
    // the number of bytes left.
    let mut open = 1_usize;
    while open > 0 {
        open -= 1;
        let code = *bytes.get(at).ok_or(InvalidMessagePack::End)?;
        at += 1;
        let number = |width: usize| {
            let digits = bytes.get(at..at + width).ok_or(InvalidMessagePack::End)?;
            Ok(digits.iter().fold(0, |number: usize, &digit| number << 8 | usize::from(digit)))
        };
        let low = usize::from(code & 0x0f);
        let (skip, values) = match code {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, 0),
            0x80..=0x8f => (0, 2 * low),
            0x90..=0x9f => (0, low),
            0xa0..=0xbf => (usize::from(code & 0x1f), 0),
            0xc4 | 0xd9 => (number(1)?.saturating_add(1), 0),
            0xc5 | 0xda => (number(2)?.saturating_add(2), 0),
            0xc6 | 0xdb => (number(4)?.saturating_add(4), 0),
            0xc7 => (number(1)?.saturating_add(2), 0),
            0xc8 => (number(2)?.saturating_add(3), 0),
            0xc9 => (number(4)?.saturating_add(5), 0),
            0xcc | 0xd0 => (1, 0),
            0xcd | 0xd1 => (2, 0),
            0xca | 0xce | 0xd2 => (4, 0),
            0xcb | 0xcf | 0xd3 => (8, 0),
            0xd4..=0xd8 => (1 + (1 << (code - 0xd4)), 0),
            0xdc => (2, number(2)?),
            0xdd => (4, number(4)?),
            0xde => (2, number(2)?.saturating_mul(2)),
            0xdf => (4, number(4)?.saturating_mul(2)),
            0xc1 => return Err(InvalidMessagePack::Code(code)),
        };
        at = at.saturating_add(skip);
        open = open.saturating_add(values);
        if at > bytes.len() || open > bytes.len() - at {
            return Err(InvalidMessagePack::End);
        }
    }
    Ok(at)
}

/// Returns the name of a format code (`MessagePackCode.ToFormatName`).
fn code_name(code: u8) -> &'static str {
    const NAMES: [&str; 32] = [
        "nil",
        "(never used)",
        "false",
        "true",
        "bin 8",
        "bin 16",
        "bin 32",
        "ext 8",
        "ext 16",
        "ext 32",
        "float 32",
        "float 64",
        "uint 8",
        "uint 16",
        "uint 32",
        "uint 64",
        "int 8",
        "int 16",
        "int 32",
        "int 64",
        "fixext 1",
        "fixext 2",
        "fixext 4",
        "fixext 8",
        "fixext 16",
        "str 8",
        "str 16",
        "str 32",
        "array 16",
        "array 32",
        "map 16",
        "map 32",
    ];
    match code {
        0x00..=0x7f => "positive fixint",
        0x80..=0x8f => "fixmap",
        0x90..=0x9f => "fixarray",
        0xa0..=0xbf => "fixstr",
        0xe0..=0xff => "negative fixint",
        _ => NAMES[usize::from(code - 0xc0)],
    }
}
