//! How targets read their input: a byte of options, how the rest is cut, and the rest.

/// An input of most targets: one byte of options, one whose lower four bits count the lengths of
/// pieces, those lengths of one byte each, and the stream of bytes that the target reads.
pub(crate) struct Input<'a> {
    pub(crate) options: u8,
    cuts: &'a [u8],
    pub(crate) stream: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let (options, rest) = bytes.split_first().map_or((0, bytes), |(options, rest)| (*options, rest));
        let (count, rest) = rest.split_first().map_or((0, rest), |(count, rest)| (usize::from(count % 16), rest));
        let (cuts, stream) = rest.split_at(count.min(rest.len()));
        Self { options, cuts, stream }
    }

    pub(crate) fn has(&self, option: u8) -> bool {
        self.options & option != 0
    }

    /// Cuts bytes into pieces; the lengths are used again and again. At most `max` pieces, the last
    /// of which is the rest.
    pub(crate) fn pieces<'b>(&self, mut bytes: &'b [u8], max: usize) -> Vec<&'b [u8]> {
        let mut pieces = Vec::new();
        for &cut in self.cuts.iter().cycle() {
            if bytes.is_empty() || pieces.len() + 1 >= max {
                break;
            }
            let (piece, rest) = bytes.split_at(length(cut).min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        pieces.push(bytes);
        pieces
    }
}

/// 1 to 128 bytes, and then multiples of 64 up to 8 KiB.
fn length(cut: u8) -> usize {
    match usize::from(cut) {
        small @ 0..128 => small + 1,
        large => (large - 127) * 64,
    }
}

/// Frames the messages of a MessagePack stream that are separated by 0xC1, a code that MessagePack
/// never uses. Mutations of such a stream stay messages, which those behind a prefix with their
/// length do not.
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
