//! Incremental UTF-8 validation.

/// Validates the text of one message. Stores only the beginning of an incomplete character.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8Validator {
    cut: [u8; 3],
    cut_len: u8,
}

impl Utf8Validator {
    /// Validates the next part of the text, which may end within a character.
    pub(super) fn push(&mut self, mut piece: &[u8]) -> bool {
        while self.cut_len > 0 {
            let Some((byte, rest)) = piece.split_first() else { return true };
            let cut_len = usize::from(self.cut_len);
            let mut character = [0; 4];
            character[..cut_len].copy_from_slice(&self.cut[..cut_len]);
            character[cut_len] = *byte;
            if !self.check(&character[..=cut_len]) {
                return false;
            }
            piece = rest;
        }
        self.check(piece)
    }

    /// Whether the text ends at a character boundary.
    pub(super) fn is_whole(self) -> bool {
        self.cut_len == 0
    }

    /// Validates `piece` and stores an incomplete character at its end: at most 3 bytes, because 4
    /// bytes are complete or invalid.
    fn check(&mut self, piece: &[u8]) -> bool {
        let cut = match std::str::from_utf8(piece) {
            Ok(_) => &[],
            Err(error) if error.error_len().is_none() => &piece[error.valid_up_to()..],
            Err(_) => return false,
        };
        self.cut[..cut.len()].copy_from_slice(cut);
        self.cut_len = u8::try_from(cut.len()).unwrap_or_default();
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns whether the parts are valid, and whether they end at a character boundary.
    fn read(pieces: &[&[u8]]) -> (bool, bool) {
        let mut text = Utf8Validator::default();
        (pieces.iter().all(|piece| text.push(piece)), text.is_whole())
    }

    #[test]
    fn characters_may_span_parts() {
        let text = "aé€😀\u{d7ff}\u{e000}\u{10ffff}z".as_bytes();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(read(&pieces), (true, true), "{first} {second}");
            }
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(read(&bytes), (true, true));
    }

    #[test]
    fn text_must_not_end_within_a_character() {
        for cut in ["\u{e9}", "€", "😀"].map(str::as_bytes) {
            for length in 1..cut.len() {
                assert_eq!(read(&[&cut[..length]]), (true, false));
                assert!(!read(&[&cut[..length], b"a"]).0);
            }
        }
    }

    #[test]
    fn invalid_utf8_is_rejected() {
        let bad: [&[u8]; 8] =
            [b"\xff", b"\x80", b"\xc0\xaf", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf5", b"a\xc3("];
        for bytes in bad {
            for at in 0..=bytes.len() {
                assert!(!read(&[&bytes[..at], &bytes[at..]]).0, "{bytes:x?} {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn incremental_validation_agrees_with_std(
            pieces in prop::collection::vec(
                prop::collection::vec(prop::sample::select(b"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xed".as_slice()), 0..5),
                0..5,
            )
        ) {
            let whole = pieces.concat();
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let (is_valid, is_whole) = read(&pieces);
            match std::str::from_utf8(&whole) {
                Ok(_) => prop_assert_eq!((is_valid, is_whole), (true, true)),
                Err(error) => {
                    prop_assert_eq!(is_valid, error.error_len().is_none());
                    prop_assert!(!(is_valid && is_whole));
                }
            }
        }
    }
}
