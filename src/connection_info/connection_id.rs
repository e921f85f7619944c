//! How connections are named: the public id and the secret token.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// 128 random bits, as ASP.NET draws them (`aspnet: HttpConnectionManager.MakeNewConnectionId`).
const RANDOM_BYTES: usize = 16;

/// The same in base64url without padding: clients put tokens into URLs without encoding them.
const TEXT_LENGTH: usize = 22;

/// The public name of a connection, by which others send to it (C#: `Context.ConnectionId`).
///
/// It is no secret: knowing it lets nobody act as the connection, unless its client negotiated version 0 or not at all.
///
/// ```
/// # use std::collections::HashMap;
/// # use signalr::{Caller, ConnectionId, Hub};
/// fn remember<H: Hub>(caller: &Caller<H>, names: &mut HashMap<ConnectionId, String>) {
///     names.insert(caller.connection_id(), caller.user().name().unwrap_or("nobody").to_owned());
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(RandomText);

/// What a client shows to reach its connection; whoever knows it can act as the client, so it is never printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionToken(RandomText);

/// The text itself, kept inline: names are copied and compared without touching the heap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct RandomText([u8; TEXT_LENGTH]);

impl ConnectionId {
    /// # Panics
    ///
    /// If the operating system has no random bytes to give.
    pub(crate) fn random() -> Self {
        Self(RandomText::random())
    }

    /// Any other length or alphabet names no connection.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        RandomText::parse(text).map(Self)
    }

    /// The id as text: 22 letters, digits, `-` and `_`.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// As text.
impl serde::Serialize for ConnectionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl ConnectionToken {
    /// # Panics
    ///
    /// If the operating system has no random bytes to give.
    pub(crate) fn random() -> Self {
        Self(RandomText::random())
    }

    /// Where clients know no token apart from the id: negotiate version 0, and WebSockets without negotiate.
    pub(crate) fn from_id(id: ConnectionId) -> Self {
        Self(id.0)
    }

    /// Any other length or alphabet is the token of no connection.
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
        getrandom::fill(&mut random).expect("the operating system gives random bytes");
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
    fn no_two_are_alike() {
        let ids: HashSet<_> = (0..1000).map(|_| ConnectionId::random()).collect();
        let tokens: HashSet<_> = (0..1000).map(|_| ConnectionToken::random()).collect();
        assert_eq!((ids.len(), tokens.len()), (1000, 1000));
    }

    #[test]
    fn a_token_is_parsed_as_it_was_given() {
        let token = ConnectionToken::random();
        assert_eq!(ConnectionToken::parse(token.as_str()), Some(token));
        let id = ConnectionId::random();
        assert_eq!(ConnectionId::parse(id.as_ref()), Some(id));
        assert_eq!(ConnectionToken::from_id(id).as_str(), id.as_str());
    }

    #[test]
    fn other_lengths_and_letters_are_unknown() {
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
    fn tokens_differ_by_case() {
        assert_ne!(ConnectionToken::parse("AAAAAAAAAAAAAAAAAAAAAA"), ConnectionToken::parse("AAAAAAAAAAAAAAAAAAAAAa"));
    }

    #[test]
    fn a_token_is_never_printed() {
        assert_eq!(format!("{:?}", ConnectionToken::random()), "…");
    }
}
