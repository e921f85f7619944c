//! Reading what surrounds values, as MessagePack-CSharp's `MessagePackReader` does.

use std::borrow::Cow;

use super::scan::{InvalidMessagePack, value_len};

/// Reads one item after the other.
#[derive(Clone, Debug)]
pub(super) struct MessagePackReader<'a> {
    rest: &'a [u8],
}

impl<'a> MessagePackReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads the head of an array. There must be a byte for each of its elements.
    pub(super) fn array_len(&mut self) -> Result<usize, InvalidMessagePack> {
        let count = match self.code()? {
            code @ 0x90..=0x9f => usize::from(code & 0x0f),
            0xdc => self.size(2)?,
            0xdd => self.size(4)?,
            code => return Err(InvalidMessagePack::Code(code)),
        };
        if count > self.rest.len() { Err(InvalidMessagePack::End) } else { Ok(count) }
    }

    /// Reads the head of a map. There must be two bytes for each of its entries.
    pub(super) fn map_len(&mut self) -> Result<usize, InvalidMessagePack> {
        let count = match self.code()? {
            code @ 0x80..=0x8f => usize::from(code & 0x0f),
            0xde => self.size(2)?,
            0xdf => self.size(4)?,
            code => return Err(InvalidMessagePack::Code(code)),
        };
        if count.saturating_mul(2) > self.rest.len() { Err(InvalidMessagePack::End) } else { Ok(count) }
    }

    /// Reads a text or nil. What is no UTF-8 becomes U+FFFD, as in .NET.
    pub(super) fn text(&mut self) -> Result<Option<Cow<'a, str>>, InvalidMessagePack> {
        match self.peek()? {
            0xc0 => self.code().map(|_| None),
            0xa0..=0xbf | 0xd9..=0xdb => self.bytes().map(|text| Some(String::from_utf8_lossy(text))),
            code => Err(InvalidMessagePack::Code(code)),
        }
    }

    /// Reads a whole number of any width that is within the signed ones.
    pub(super) fn int(&mut self) -> Result<i64, InvalidMessagePack> {
        self.wide_int()?.try_into().map_err(|_| InvalidMessagePack::Overflow)
    }

    /// Reads a whole number of any width.
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

    /// Reads what is inside bytes or a text.
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

    /// Reads the type of an extension and its bytes.
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

    /// Steps over a value and keeps its bytes.
    pub(super) fn value(&mut self) -> Result<&'a [u8], InvalidMessagePack> {
        let length = value_len(self.rest)?;
        self.take(length)
    }

    /// The same; where there is no whole value, all that is left.
    pub(super) fn value_or_rest(&mut self) -> (&'a [u8], bool) {
        match self.value() {
            Ok(value) => (value, true),
            Err(_) => (std::mem::take(&mut self.rest), false),
        }
    }

    /// The code of what comes next.
    #[inline]
    pub(super) fn peek(&self) -> Result<u8, InvalidMessagePack> {
        self.rest.first().copied().ok_or(InvalidMessagePack::End)
    }

    fn code(&mut self) -> Result<u8, InvalidMessagePack> {
        let (&code, rest) = self.rest.split_first().ok_or(InvalidMessagePack::End)?;
        self.rest = rest;
        Ok(code)
    }

    fn size(&mut self, width: usize) -> Result<usize, InvalidMessagePack> {
        self.unsigned(width)?.try_into().map_err(|_| InvalidMessagePack::Overflow)
    }

    fn unsigned(&mut self, width: usize) -> Result<u64, InvalidMessagePack> {
        Ok(self.take(width)?.iter().fold(0, |number, &digit| number << 8 | u64::from(digit)))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], InvalidMessagePack> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(InvalidMessagePack::End)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], InvalidMessagePack> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(InvalidMessagePack::End)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// The headers of a message that was parsed, read once more.
#[derive(Clone, Debug)]
pub(in crate::protocol) struct MessagePackHeaderReader<'a> {
    reader: MessagePackReader<'a>,
    left: usize,
}

impl<'a> MessagePackHeaderReader<'a> {
    pub(in crate::protocol) fn new(bytes: &'a [u8]) -> Self {
        let mut reader = MessagePackReader::new(bytes);
        let left = reader.map_len().unwrap_or_default();
        Self { reader, left }
    }
}

impl<'a> Iterator for MessagePackHeaderReader<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let key = self.reader.text().ok().flatten()?;
        let value = self.reader.text().ok().flatten()?;
        Some((key, value))
    }
}
