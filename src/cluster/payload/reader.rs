//! Reads payloads item by item.

use rmp::Marker;
use rmp::decode;

use super::error::PayloadError;

/// Reads the items of a payload in their order.
pub(super) struct PayloadReader<'a> {
    rest: &'a [u8],
}

impl<'a> PayloadReader<'a> {
    /// Reads the header of a payload: an array with at least `required` items. `name` is .NET's
    /// name of the payload in error texts. Returns the number of items.
    pub(super) fn begin(payload: &'a [u8], required: usize, name: &'static str) -> Result<(Self, usize), PayloadError> {
        let mut reader = Self { rest: payload };
        let items = decode::read_array_len(&mut reader.rest)?;
        let items = reader.check_count(items, 1)?;
        if items < required { Err(PayloadError::InsufficientItems(name)) } else { Ok((reader, items)) }
    }

    /// Reads an array of texts.
    pub(super) fn texts(&mut self) -> Result<Vec<&'a str>, PayloadError> {
        let count = decode::read_array_len(&mut self.rest)?;
        self.list(count, MIN_TEXT_BYTES, Self::text)
    }

    /// Reads a map from texts to binary values. Keys keep their order and their duplicates.
    pub(super) fn blobs(&mut self) -> Result<Vec<(&'a str, &'a [u8])>, PayloadError> {
        let count = decode::read_map_len(&mut self.rest)?;
        self.list(count, MIN_TEXT_BYTES + MIN_BLOB_BYTES, |reader| Ok((reader.text()?, reader.blob()?)))
    }

    pub(super) fn text(&mut self) -> Result<&'a str, PayloadError> {
        let length = decode::read_str_len(&mut self.rest)?;
        str::from_utf8(self.take(length)?).map_err(|_| PayloadError::InvalidUtf8)
    }

    /// Reads a text or nil.
    pub(super) fn text_or_nil(&mut self) -> Result<Option<&'a str>, PayloadError> {
        match self.peek()? {
            Marker::Null => {
                decode::read_nil(&mut self.rest)?;
                Ok(None)
            }
            _ => self.text().map(Some),
        }
    }

    pub(super) fn blob(&mut self) -> Result<&'a [u8], PayloadError> {
        let length = decode::read_bin_len(&mut self.rest)?;
        self.take(length)
    }

    /// Reads a .NET `int`, in any of MessagePack's forms.
    pub(super) fn int(&mut self) -> Result<i32, PayloadError> {
        Ok(decode::read_int(&mut self.rest)?)
    }

    pub(super) fn count(&mut self) -> Result<u64, PayloadError> {
        Ok(decode::read_int(&mut self.rest)?)
    }

    pub(super) fn bool(&mut self) -> Result<bool, PayloadError> {
        Ok(decode::read_bool(&mut self.rest)?)
    }

    /// Returns the code of the next item without reading it.
    pub(super) fn peek(&self) -> Result<Marker, PayloadError> {
        self.rest.first().map(|&code| Marker::from_u8(code)).ok_or(PayloadError::Truncated)
    }

    /// Reads `count` items, of which each takes at least `min_bytes`.
    fn list<T>(
        &mut self,
        count: u32,
        min_bytes: usize,
        read: impl Fn(&mut Self) -> Result<T, PayloadError>,
    ) -> Result<Vec<T>, PayloadError> {
        let count = self.check_count(count, min_bytes)?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }

    /// Checks that the payload is long enough for the items that a header claims, before any memory
    /// is allocated for them.
    fn check_count(&self, count: u32, min_bytes: usize) -> Result<usize, PayloadError> {
        usize::try_from(count).ok().filter(|count| *count <= self.rest.len() / min_bytes).ok_or(PayloadError::Truncated)
    }

    fn take(&mut self, length: u32) -> Result<&'a [u8], PayloadError> {
        let length = usize::try_from(length).map_err(|_| PayloadError::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(PayloadError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Size of an empty text.
const MIN_TEXT_BYTES: usize = 1;

/// Size of an empty binary value.
const MIN_BLOB_BYTES: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claimed_counts_beyond_the_payload_are_refused_before_any_item_is_read() {
        let mut reader = PayloadReader { rest: &[0xa0; 8] };
        for (count, min_bytes) in [(9, 1), (5, 2), (3, 3), (u32::MAX, 1), (u32::MAX, 3)] {
            let read = reader.list(count, min_bytes, |_| -> Result<(), _> { panic!("an item is read") });
            assert_eq!(read, Err(PayloadError::Truncated), "{count} items of {min_bytes} bytes");
        }
        assert_eq!(reader.list(8, 1, PayloadReader::text), Ok(vec![""; 8]));
    }

    #[test]
    fn memory_for_a_list_is_that_of_its_items() {
        let mut reader = PayloadReader { rest: &[0xa0; 5] };
        assert_eq!(reader.list(5, 1, PayloadReader::text).unwrap().capacity(), 5);
    }
}
