//! Reading what surrounds values, as MessagePack-CSharp's `MessagePackReader` does.

use std::borrow::Cow;

use super::scan::{Fault, value_len};

/// Reads one item after the other.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads the head of an array. There must be a byte for each of its elements.
    pub(super) fn array_len(&mut self) -> Result<usize, Fault> {
        let count = match self.code()? {
            code @ 0x90..=0x9f => usize::from(code & 0x0f),
            0xdc => self.size(2)?,
            0xdd => self.size(4)?,
            code => return Err(Fault::Code(code)),
        };
        if count > self.rest.len() { Err(Fault::End) } else { Ok(count) }
    }

    /// Reads the head of a map. There must be two bytes for each of its entries.
    pub(super) fn map_len(&mut self) -> Result<usize, Fault> {
        let count = match self.code()? {
            code @ 0x80..=0x8f => usize::from(code & 0x0f),
            0xde => self.size(2)?,
            0xdf => self.size(4)?,
            code => return Err(Fault::Code(code)),
        };
        if count.saturating_mul(2) > self.rest.len() { Err(Fault::End) } else { Ok(count) }
    }

    /// Reads a text or nil. What is no UTF-8 becomes U+FFFD, as in .NET.
    pub(super) fn text(&mut self) -> Result<Option<Cow<'a, str>>, Fault> {
        let length = match self.code()? {
            0xc0 => return Ok(None),
            code @ 0xa0..=0xbf => usize::from(code & 0x1f),
            0xd9 => self.size(1)?,
            0xda => self.size(2)?,
            0xdb => self.size(4)?,
            code => return Err(Fault::Code(code)),
        };
        self.take(length).map(|text| Some(String::from_utf8_lossy(text)))
    }

    /// Reads a whole number of any width.
    pub(super) fn int(&mut self) -> Result<i64, Fault> {
        let code = self.code()?;
        match code {
            0x00..=0x7f => Ok(code.into()),
            0xe0..=0xff => Ok(code.cast_signed().into()),
            0xcc..=0xcf => {
                let number = self.unsigned(1 << (code - 0xcc))?;
                number.try_into().map_err(|_| Fault::Overflow)
            }
            0xd0..=0xd3 => {
                let width = 1_u32 << (code - 0xd0);
                let unused = 64 - 8 * width;
                // Shifting to the top and back again spreads the sign.
                Ok((self.unsigned(width as usize)? << unused).cast_signed() >> unused)
            }
            _ => Err(Fault::Code(code)),
        }
    }

    pub(super) fn boolean(&mut self) -> Result<bool, Fault> {
        match self.code()? {
            0xc2 => Ok(false),
            0xc3 => Ok(true),
            code => Err(Fault::Code(code)),
        }
    }

    /// Steps over a value and keeps its bytes.
    pub(super) fn value(&mut self) -> Result<&'a [u8], Fault> {
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

    fn code(&mut self) -> Result<u8, Fault> {
        let (&code, rest) = self.rest.split_first().ok_or(Fault::End)?;
        self.rest = rest;
        Ok(code)
    }

    fn size(&mut self, width: usize) -> Result<usize, Fault> {
        self.unsigned(width)?.try_into().map_err(|_| Fault::Overflow)
    }

    fn unsigned(&mut self, width: usize) -> Result<u64, Fault> {
        Ok(self.take(width)?.iter().fold(0, |number, &digit| number << 8 | u64::from(digit)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Fault::End)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// The headers of a message that was parsed, read once more.
#[derive(Clone, Debug)]
pub(in crate::protocol) struct HeaderReader<'a> {
    reader: Reader<'a>,
    left: usize,
}

impl<'a> HeaderReader<'a> {
    pub(in crate::protocol) fn new(bytes: &'a [u8]) -> Self {
        let mut reader = Reader::new(bytes);
        let left = reader.map_len().unwrap_or_default();
        Self { reader, left }
    }
}

impl<'a> Iterator for HeaderReader<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let key = self.reader.text().ok().flatten()?;
        let value = self.reader.text().ok().flatten()?;
        Some((key, value))
    }
}
