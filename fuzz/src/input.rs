//! Layout of inputs: a byte of options, the lengths of chunks, and a stream of bytes.

/// Input of most targets: one byte of options, one byte whose lower four bits count the chunk
/// lengths, these lengths of one byte each, and the stream of bytes that the target reads.
pub(crate) struct Input<'a> {
    pub(crate) options: u8,
    lengths: &'a [u8],
    pub(crate) stream: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let (options, rest) = bytes.split_first().map_or((0, bytes), |(options, rest)| (*options, rest));
        let (count, rest) = rest.split_first().map_or((0, rest), |(count, rest)| (usize::from(count % 16), rest));
        let (lengths, stream) = rest.split_at(count.min(rest.len()));
        Self { options, lengths, stream }
    }

    pub(crate) fn has(&self, option: u8) -> bool {
        self.options & option != 0
    }

    /// Splits bytes into at most `max` chunks, whose lengths repeat. The last chunk takes the rest.
    pub(crate) fn chunks<'b>(&self, mut bytes: &'b [u8], max: usize) -> Vec<&'b [u8]> {
        let mut chunks = Vec::new();
        for &code in self.lengths.iter().cycle() {
            if bytes.is_empty() || chunks.len() + 1 >= max {
                break;
            }
            let (chunk, rest) = bytes.split_at(length(code).min(bytes.len()));
            chunks.push(chunk);
            bytes = rest;
        }
        chunks.push(bytes);
        chunks
    }
}

/// Returns a length of 1 to 128 bytes, or a multiple of 64 up to 8 KiB.
fn length(code: u8) -> usize {
    match usize::from(code) {
        small @ 0..128 => small + 1,
        large => (large - 127) * 64,
    }
}

/// Adds length prefixes to MessagePack messages that are separated by 0xC1, a code that MessagePack
/// does not use. Mutations of a separated stream are still messages, whereas mutations of prefixed
/// messages rarely are.
pub(crate) fn framed(stream: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    for message in stream.split(|byte| *byte == 0xc1) {
        let mut length = message.len();
        while length > 0x7f {
            framed.push(length as u8 | 0x80);
            length >>= 7;
        }
        framed.push(length as u8);
        framed.extend_from_slice(message);
    }
    framed
}
