//! Connection ids, which are public, and connection tokens, which are secret.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// 128 random bits, as in ASP.NET Core (`aspnet: HttpConnectionManager.MakeNewConnectionId`).
const RANDOM_BYTES: usize = 16;

/// Length of these bytes in base64url without padding. Clients put tokens into URLs without
/// escaping them.
const TEXT_LENGTH: usize = 22;

/// The public id of a connection, by which it can be sent messages (C#: `Context.ConnectionId`).
///
/// The id is no secret: it does not allow a client to act as the connection, unless the connection
/// was opened with negotiate version 0 or without negotiate, where id and token are equal.
///
/// ```
/// # use std::collections::HashMap;
/// # use signalr::{Caller, ConnectionId, Hub};
/// fn remember<H: Hub>(caller: &Caller<H>, names: &mut HashMap<ConnectionId, String>) {
///     names.insert(caller.connection_id(), caller.user().name().unwrap_or("anonymous").to_owned());
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(RandomText);

/// The secret by which requests of a client name its connection. Its holder can act as the client,
/// so it is never printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionToken(RandomText);

/// Text stored inline, so that ids and tokens are copied and compared without heap access.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct RandomText([u8; TEXT_LENGTH]);

impl ConnectionId {
    /// # Panics
    ///
    /// If the operating system provides no random bytes.
    pub(crate) fn random() -> Self {
        Self(RandomText::random())
    }

    /// Returns `None` for a text of another length or alphabet.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        RandomText::parse(text).map(Self)
    }

    /// Returns the id as text: 22 ASCII letters, digits, `-` and `_`.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Serializes the id as a string.
impl serde::Serialize for ConnectionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl ConnectionToken {
    /// # Panics
    ///
    /// If the operating system provides no random bytes.
    pub(crate) fn random() -> Self {
        Self(RandomText::random())
    }

    /// Returns the token of a connection whose token equals its id: negotiate version 0, and
    /// WebSockets without negotiate.
    pub(crate) fn from_id(id: ConnectionId) -> Self {
        Self(id.0)
    }

    /// Returns `None` for a text of another length or alphabet.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        RandomText::parse(text).map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl RandomText {
    fn random() -> Self {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).expect("the operating system provides random bytes");
        let mut text = [0; TEXT_LENGTH];
        let written = URL_SAFE_NO_PAD.encode_slice(random, &mut text);
        debug_assert_eq!(written, Ok(TEXT_LENGTH));
        Self(text)
    }

    fn parse(text: &str) -> Option<Self> {
        let text: [u8; TEXT_LENGTH] = text.as_bytes().try_into().ok()?;
        text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')).then_some(Self(text))
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base64url is ASCII")
    }
}

impl AsRef<str> for ConnectionId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ConnectionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_22_characters_of_base64url_over_16_bytes() {
        let id = ConnectionId::random();
        assert_eq!(URL_SAFE_NO_PAD.decode(id.as_str()).unwrap().len(), RANDOM_BYTES);
        assert_eq!(id.to_string(), id.as_str());
        assert_eq!(format!("{id:?}"), id.as_str());
        assert_eq!(size_of::<ConnectionId>(), TEXT_LENGTH);
        assert_eq!(size_of::<ConnectionToken>(), TEXT_LENGTH);
    }

    #[test]
    fn ids_and_tokens_are_unique() {
        let ids: HashSet<_> = (0..1000).map(|_| ConnectionId::random()).collect();
        let tokens: HashSet<_> = (0..1000).map(|_| ConnectionToken::random()).collect();
        assert_eq!((ids.len(), tokens.len()), (1000, 1000));
    }

    #[test]
    fn parsed_tokens_equal_the_original() {
        let token = ConnectionToken::random();
        assert_eq!(ConnectionToken::parse(token.as_str()), Some(token));
        let id = ConnectionId::random();
        assert_eq!(ConnectionId::parse(id.as_ref()), Some(id));
        assert_eq!(ConnectionToken::from_id(id).as_str(), id.as_str());
    }

    #[test]
    fn texts_of_another_length_or_alphabet_are_rejected() {
        for text in [
            "",
            "abc",
            "AAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAA+",
            "AAAAAAAAAAAAAAAAAAAAA/",
            "AAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAA,AAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAA\u{e9}",
        ] {
            assert_eq!(ConnectionToken::parse(text), None, "{text}");
            assert_eq!(ConnectionId::parse(text), None, "{text}");
        }
        assert!(ConnectionToken::parse("-_AAAAAAAAAAAAAAAAAAzZ09").is_none());
        assert!(ConnectionToken::parse("-_AAAAAAAAAAAAAAAAzZ09").is_some());
    }

    #[test]
    fn tokens_are_case_sensitive() {
        assert_ne!(ConnectionToken::parse("AAAAAAAAAAAAAAAAAAAAAA"), ConnectionToken::parse("AAAAAAAAAAAAAAAAAAAAAa"));
    }

    #[test]
    fn debug_output_omits_the_token() {
        assert_eq!(format!("{:?}", ConnectionToken::random()), "…");
    }
}
