//! Headers of a message, decoded on demand.

use std::borrow::Cow;

use super::format::HubProtocolKind;
use super::json;
#[cfg(feature = "messagepack")]
use super::messagepack;

/// Headers of an invocation, such as `traceparent`: encoded pairs of strings, decoded on demand.
///
/// ```
/// use signalr::protocol::{HubProtocolKind, HubMessage, HubProtocol, Naming};
///
/// let protocol = HubProtocol::new(HubProtocolKind::Json, Naming::Serde);
/// let frame = br#"{"type":1,"target":"Add","arguments":[1,2],"headers":{"traceparent":"00-1"}}"#;
/// let Some(HubMessage::Invocation(call)) = protocol.parse(frame, |_| true).unwrap() else { panic!() };
/// assert_eq!(call.headers.get("traceparent").as_deref(), Some("00-1"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Headers<'a> {
    kind: HubProtocolKind,
    /// Encoded object or map, validated when the message was parsed; empty if there is none.
    bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    pub(super) fn new(kind: HubProtocolKind, bytes: &'a [u8]) -> Self {
        Self { kind, bytes }
    }

    /// Returns the headers in the order in which they were sent.
    pub fn iter(self) -> HeaderIter<'a> {
        match self.kind {
            HubProtocolKind::Json => HeaderIter(HeaderIterKind::Json(json::JsonHeaderReader::new(self.bytes))),
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => {
                HeaderIter(HeaderIterKind::MessagePack(messagepack::MessagePackHeaderReader::new(self.bytes)))
            }
        }
    }

    /// Returns the value of a header; the last one if the name occurs more than once.
    pub fn get(self, name: &str) -> Option<Cow<'a, str>> {
        self.iter().filter(|(key, _)| key == name).last().map(|(_, value)| value)
    }

    /// Returns whether there are no headers.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);
    type IntoIter = HeaderIter<'a>;

    fn into_iter(self) -> HeaderIter<'a> {
        self.iter()
    }
}

/// Iterator over the headers of an invocation.
///
/// ```
/// use signalr::protocol::{HubProtocolKind, HubMessage, HubProtocol, Naming};
///
/// let protocol = HubProtocol::new(HubProtocolKind::Json, Naming::Serde);
/// let frame = br#"{"type":1,"target":"Add","arguments":[1,2],"headers":{"traceparent":"00-1"}}"#;
/// let Some(HubMessage::Invocation(call)) = protocol.parse(frame, |_| true).unwrap() else { panic!() };
/// assert_eq!(call.headers.iter().count(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct HeaderIter<'a>(HeaderIterKind<'a>);

#[derive(Clone, Debug)]
enum HeaderIterKind<'a> {
    Json(json::JsonHeaderReader<'a>),
    #[cfg(feature = "messagepack")]
    MessagePack(messagepack::MessagePackHeaderReader<'a>),
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            HeaderIterKind::Json(headers) => headers.next(),
            #[cfg(feature = "messagepack")]
            HeaderIterKind::MessagePack(headers) => headers.next(),
        }
    }
}
