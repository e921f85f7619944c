//! Subjects of channels.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Prefix of all subjects of a backplane.
#[derive(Clone, Debug)]
pub(super) struct Prefix(Box<str>);

impl Prefix {
    /// Returns `None` unless `prefix` consists of tokens of ASCII letters, digits, `_` and `-`,
    /// separated by dots.
    pub(super) fn parse(prefix: &str) -> Option<Self> {
        let is_token = |token: &str| {
            !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        };
        let is_valid = prefix.len() <= MAX_PREFIX_BYTES && prefix.split('.').all(is_token);
        is_valid.then(|| Self(prefix.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the subject of a channel.
    ///
    /// Subjects consist of tokens, and `*`, `>` and whitespace have a meaning in them, so names are
    /// encoded in base64url. A server closes the connection when a line of the protocol is longer
    /// than 4 KiB, so long names are replaced by their hash.
    pub(super) fn channel(&self, channel: &str) -> String {
        match channel.len() {
            // No token may be empty, and base64url has no `=`.
            0 => format!("{}.=", self.0),
            1..=MAX_ENCODED_CHANNEL_BYTES => format!("{}.{}", self.0, URL_SAFE_NO_PAD.encode(channel)),
            _ => format!("{}.sha256.{}", self.0, URL_SAFE_NO_PAD.encode(Sha256::digest(channel))),
        }
    }

    /// Returns a subject that no channel has, and no other connection.
    pub(super) fn echo(&self) -> String {
        let mut random = [0; 16];
        getrandom::fill(&mut random).expect("the operating system provides random bytes");
        format!("{}.echo.{}", self.0, URL_SAFE_NO_PAD.encode(random))
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("signalr".into())
    }
}

const MAX_PREFIX_BYTES: usize = 100;

/// Longer names than applications use; about 700 bytes in base64url.
const MAX_ENCODED_CHANNEL_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::Prefix;

    #[test]
    fn subjects_have_a_safe_alphabet() {
        let prefix = Prefix::parse("chat.prod").unwrap();
        assert_eq!(prefix.channel("Chat:group:*.>"), "chat.prod.Q2hhdDpncm91cDoqLj4");
        assert_eq!(prefix.channel("é?~"), "chat.prod.w6k_fg");
        assert_eq!(prefix.channel(""), "chat.prod.=");
    }

    #[test]
    fn subjects_of_long_channels_fit_a_line_of_the_protocol() {
        let prefix = Prefix::parse(&"p".repeat(100)).unwrap();
        let longest = prefix.channel(&"x".repeat(512));
        let hashed = [prefix.channel(&"x".repeat(513)), prefix.channel(&"x".repeat(100_000))];
        assert!(longest.len() < 1024 && hashed.iter().all(|subject| subject.len() < 1024));
        assert_ne!(hashed[0], hashed[1]);
    }

    #[test]
    fn prefixes_are_tokens_separated_by_dots() {
        for prefix in ["signalr", "a.b-c.D_1"] {
            assert_eq!(Prefix::parse(prefix).unwrap().as_str(), prefix);
        }
        for prefix in ["", ".", "a.", ".a", "a..b", "a b", "a.*", ">", "é", "a\r\nb", &"p".repeat(101)] {
            assert!(Prefix::parse(prefix).is_none(), "{prefix:?}");
        }
    }
}
