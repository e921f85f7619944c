//! Reader of single MessagePack items, as MessagePack-CSharp's `MessagePackReader`.

use std::borrow::Cow;

use super::scan::{InvalidMessagePack, value_len};

/// Reads one item after the other.
#[derive(Clone, Debug)]
pub(super) struct MessagePackReader<'a> {
    remaining: &'a [u8],
}

impl<'a> MessagePackReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { remaining: bytes }
    }

    /// Returns the unread bytes.
    pub(super) fn remaining(&self) -> &'a [u8] {
        self.remaining
    }

    /// Reads the header of an array. Each of its elements takes at least one byte, so a larger
    /// length is an error.
    pub(super) fn array_len(&mut self) -> Result<usize, InvalidMessagePack> {
        let count = match self.code()? {
            code @ 0x90..=0x9f => usize::from(code & 0x0f),
            0xdc => self.size(2)?,
            0xdd => self.size(4)?,
            code => return Err(InvalidMessagePack::Code(code)),
        };
        if count > self.remaining.len() { Err(InvalidMessagePack::End) } else { Ok(count) }
    }

    /// Reads the header of a map. Each of its entries takes at least two bytes, so a larger length
    /// is an error.
    pub(super) fn map_len(&mut self) -> Result<usize, InvalidMessagePack> {
        let count = match self.code()? {
            code @ 0x80..=0x8f => usize::from(code & 0x0f),
            0xde => self.size(2)?,
            0xdf => self.size(4)?,
            code => return Err(InvalidMessagePack::Code(code)),
        };
        if count.saturating_mul(2) > self.remaining.len() { Err(InvalidMessagePack::End) } else { Ok(count) }
    }

    /// Reads a string or nil. Invalid UTF-8 becomes U+FFFD, as in .NET.
    pub(super) fn string(&mut self) -> Result<Option<Cow<'a, str>>, InvalidMessagePack> {
        match self.peek()? {
            0xc0 => self.code().map(|_| None),
            0xa0..=0xbf | 0xd9..=0xdb => self.bytes().map(|string| Some(String::from_utf8_lossy(string))),
            code => Err(InvalidMessagePack::Code(code)),
        }
    }

    /// Reads an integer of any width that is within the range of `i64`.
    pub(super) fn int(&mut self) -> Result<i64, InvalidMessagePack> {
        self.wide_int()?.try_into().map_err(|_| InvalidMessagePack::Overflow)
    }

    /// Reads an integer of any width.
    #[inline]
    pub(super) fn wide_int(&mut self) -> Result<i128, InvalidMessagePack> {
        Ok(match self.code()? {
            code @ 0x00..=0x7f => code.into(),
            code @ 0xe0..=0xff => code.cast_signed().into(),
            0xcc => u8::from_be_bytes(self.array()?).into(),
            0xcd => u16::from_be_bytes(self.array()?).into(),
            0xce => u32::from_be_bytes(self.array()?).into(),
            0xcf => u64::from_be_bytes(self.array()?).into(),
            0xd0 => i8::from_be_bytes(self.array()?).into(),
            0xd1 => i16::from_be_bytes(self.array()?).into(),
            0xd2 => i32::from_be_bytes(self.array()?).into(),
            0xd3 => i64::from_be_bytes(self.array()?).into(),
            code => return Err(InvalidMessagePack::Code(code)),
        })
    }

    pub(super) fn float32(&mut self) -> Result<f32, InvalidMessagePack> {
        match self.code()? {
            0xca => self.array().map(f32::from_be_bytes),
            code => Err(InvalidMessagePack::Code(code)),
        }
    }

    pub(super) fn float64(&mut self) -> Result<f64, InvalidMessagePack> {
        match self.code()? {
            0xcb => self.array().map(f64::from_be_bytes),
            code => Err(InvalidMessagePack::Code(code)),
        }
    }

    /// Reads the content of a binary value or of a string.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], InvalidMessagePack> {
        let length = match self.code()? {
            code @ 0xa0..=0xbf => usize::from(code & 0x1f),
            0xc4 | 0xd9 => self.size(1)?,
            0xc5 | 0xda => self.size(2)?,
            0xc6 | 0xdb => self.size(4)?,
            code => return Err(InvalidMessagePack::Code(code)),
        };
        self.take(length)
    }

    /// Reads an extension and returns its type and its content.
    pub(super) fn extension(&mut self) -> Result<(i8, &'a [u8]), InvalidMessagePack> {
        let length = match self.code()? {
            code @ 0xd4..=0xd8 => 1 << (code - 0xd4),
            0xc7 => self.size(1)?,
            0xc8 => self.size(2)?,
            0xc9 => self.size(4)?,
            code => return Err(InvalidMessagePack::Code(code)),
        };
        Ok((self.code()?.cast_signed(), self.take(length)?))
    }

    pub(super) fn boolean(&mut self) -> Result<bool, InvalidMessagePack> {
        match self.code()? {
            0xc2 => Ok(false),
            0xc3 => Ok(true),
            code => Err(InvalidMessagePack::Code(code)),
        }
    }

    /// Skips a value and returns its bytes.
    pub(super) fn value(&mut self) -> Result<&'a [u8], InvalidMessagePack> {
        let length = value_len(self.remaining)?;
        self.take(length)
    }

    /// Skips a value and returns its bytes and `true`, or all unread bytes and `false` if the value
    /// is incomplete.
    pub(super) fn value_or_remaining(&mut self) -> (&'a [u8], bool) {
        match self.value() {
            Ok(value) => (value, true),
            Err(_) => (std::mem::take(&mut self.remaining), false),
        }
    }

    /// Returns the format code of the next item without reading it.
    #[inline]
    pub(super) fn peek(&self) -> Result<u8, InvalidMessagePack> {
        self.remaining.first().copied().ok_or(InvalidMessagePack::End)
    }

    fn code(&mut self) -> Result<u8, InvalidMessagePack> {
        let (&code, remaining) = self.remaining.split_first().ok_or(InvalidMessagePack::End)?;
        self.remaining = remaining;
        Ok(code)
    }

    fn size(&mut self, width: usize) -> Result<usize, InvalidMessagePack> {
        self.unsigned(width)?.try_into().map_err(|_| InvalidMessagePack::Overflow)
    }

    fn unsigned(&mut self, width: usize) -> Result<u64, InvalidMessagePack> {
        Ok(self.take(width)?.iter().fold(0, |number, &digit| number << 8 | u64::from(digit)))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], InvalidMessagePack> {
        let (taken, remaining) = self.remaining.split_first_chunk().ok_or(InvalidMessagePack::End)?;
        self.remaining = remaining;
        Ok(*taken)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], InvalidMessagePack> {
        let (taken, remaining) = self.remaining.split_at_checked(length).ok_or(InvalidMessagePack::End)?;
        self.remaining = remaining;
        Ok(taken)
    }
}

/// Iterator over headers that were validated when the message was parsed.
#[derive(Clone, Debug)]
pub(in crate::protocol) struct MessagePackHeaderReader<'a> {
    reader: MessagePackReader<'a>,
    entries_left: usize,
}

impl<'a> MessagePackHeaderReader<'a> {
    pub(in crate::protocol) fn new(bytes: &'a [u8]) -> Self {
        let mut reader = MessagePackReader::new(bytes);
        let entries_left = reader.map_len().unwrap_or_default();
        Self { reader, entries_left }
    }
}

impl<'a> Iterator for MessagePackHeaderReader<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        self.entries_left = self.entries_left.checked_sub(1)?;
        let key = self.reader.string().ok().flatten()?;
        let value = self.reader.string().ok().flatten()?;
        Some((key, value))
    }
}
