//! Writes payloads item by item, in the shortest forms, as MessagePack-CSharp's
//! `MessagePackWriter`.

use std::fmt;

use rmp::encode;

/// Writes the items of a payload in their order.
pub(super) struct PayloadWriter {
    out: Vec<u8>,
}

impl PayloadWriter {
    /// Writes the header of a payload with `items` items. `capacity` is that of the buffer, in
    /// bytes.
    pub(super) fn begin(items: usize, capacity: usize) -> Self {
        let mut writer = Self { out: Vec::with_capacity(capacity) };
        writer.array(items);
        writer
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }

    pub(super) fn texts(&mut self, texts: &[&str]) {
        self.array(texts.len());
        for text in texts {
            self.text(text);
        }
    }

    /// Writes a map from texts to binary values.
    pub(super) fn blobs(&mut self, blobs: &[(&str, &[u8])]) {
        written(encode::write_map_len(&mut self.out, length(blobs.len())));
        for (name, blob) in blobs {
            self.text(name);
            self.blob(blob);
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        written(encode::write_str_len(&mut self.out, length(text.len())));
        self.out.extend_from_slice(text.as_bytes());
    }

    pub(super) fn text_or_nil(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => written(encode::write_nil(&mut self.out)),
        }
    }

    pub(super) fn blob(&mut self, blob: &[u8]) {
        written(encode::write_bin_len(&mut self.out, length(blob.len())));
        self.out.extend_from_slice(blob);
    }

    pub(super) fn int(&mut self, int: i32) {
        written(encode::write_sint(&mut self.out, int.into()));
    }

    pub(super) fn count(&mut self, count: u64) {
        written(encode::write_uint(&mut self.out, count));
    }

    pub(super) fn bool(&mut self, value: bool) {
        written(encode::write_bool(&mut self.out, value));
    }

    fn array(&mut self, items: usize) {
        written(encode::write_array_len(&mut self.out, length(items)));
    }
}

fn written<T, E: fmt::Debug>(result: Result<T, E>) {
    result.expect("writing to a vector does not fail");
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("a payload has less than 4 GiB")
}

/// Size of the longest header of an item.
pub(super) const MAX_HEADER_BYTES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(write: impl FnOnce(&mut PayloadWriter)) -> Vec<u8> {
        let mut writer = PayloadWriter { out: Vec::new() };
        write(&mut writer);
        writer.finish()
    }

    #[test]
    fn integers_take_the_shortest_form() {
        for (int, bytes) in [
            (0, &[0x00][..]),
            (127, &[0x7f]),
            (128, &[0xcc, 0x80]),
            (255, &[0xcc, 0xff]),
            (256, &[0xcd, 0x01, 0x00]),
            (65_535, &[0xcd, 0xff, 0xff]),
            (65_536, &[0xce, 0x00, 0x01, 0x00, 0x00]),
            (i32::MAX, &[0xce, 0x7f, 0xff, 0xff, 0xff]),
            (-1, &[0xff]),
            (-32, &[0xe0]),
            (-33, &[0xd0, 0xdf]),
            (-128, &[0xd0, 0x80]),
            (-129, &[0xd1, 0xff, 0x7f]),
            (-32_768, &[0xd1, 0x80, 0x00]),
            (-32_769, &[0xd2, 0xff, 0xff, 0x7f, 0xff]),
            (i32::MIN, &[0xd2, 0x80, 0x00, 0x00, 0x00]),
        ] {
            assert_eq!(bytes_of(|writer| writer.int(int)), bytes, "{int}");
            if let Ok(count) = u64::try_from(int) {
                assert_eq!(bytes_of(|writer| writer.count(count)), bytes, "{count}");
            }
        }
        assert_eq!(bytes_of(|writer| writer.count(1 << 32)), [0xcf, 0, 0, 0, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn headers_take_the_shortest_form() {
        let start = |bytes: Vec<u8>, header: &[u8]| assert_eq!(bytes[..header.len()], *header);
        for (length, header) in [
            (0, &[0xa0][..]),
            (31, &[0xbf]),
            (32, &[0xd9, 0x20]),
            (255, &[0xd9, 0xff]),
            (256, &[0xda, 0x01, 0x00]),
            (65_535, &[0xda, 0xff, 0xff]),
            (65_536, &[0xdb, 0x00, 0x01, 0x00, 0x00]),
        ] {
            start(bytes_of(|writer| writer.text(&"x".repeat(length))), header);
        }
        for (length, header) in [
            (0, &[0xc4, 0x00][..]),
            (255, &[0xc4, 0xff]),
            (256, &[0xc5, 0x01, 0x00]),
            (65_536, &[0xc6, 0x00, 0x01, 0x00, 0x00]),
        ] {
            start(bytes_of(|writer| writer.blob(&vec![0; length])), header);
        }
        for (length, header) in
            [(0, &[0x90][..]), (15, &[0x9f]), (16, &[0xdc, 0x00, 0x10]), (65_536, &[0xdd, 0x00, 0x01, 0x00, 0x00])]
        {
            start(bytes_of(|writer| writer.texts(&vec![""; length])), header);
        }
        for (length, header) in [(0, &[0x80][..]), (15, &[0x8f]), (16, &[0xde, 0x00, 0x10])] {
            start(bytes_of(|writer| writer.blobs(&vec![("", &[][..]); length])), header);
        }
    }
}
