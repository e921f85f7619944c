//! The headers of a message, read only where somebody asks for them.

use std::borrow::Cow;

use super::format::HubProtocolKind;
use super::json;
#[cfg(feature = "messagepack")]
use super::messagepack;

/// The headers of a call, such as `traceparent`: pairs of texts, still in their wire form.
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
    format: HubProtocolKind,
    /// The whole object or map; empty where there is none. It was checked when the message was parsed.
    bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    pub(super) fn new(format: HubProtocolKind, bytes: &'a [u8]) -> Self {
        Self { format, bytes }
    }

    /// The headers in the order in which they were sent.
    pub fn iter(self) -> HeaderIter<'a> {
        match self.format {
            HubProtocolKind::Json => HeaderIter(HeaderIterKind::Json(json::JsonHeaderReader::new(self.bytes))),
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => {
                HeaderIter(HeaderIterKind::MessagePack(messagepack::MessagePackHeaderReader::new(self.bytes)))
            }
        }
    }

    /// The value of a header; of two with one name the last counts.
    pub fn get(self, name: &str) -> Option<Cow<'a, str>> {
        self.iter().filter(|(key, _)| key == name).last().map(|(_, value)| value)
    }

    /// Whether there are no headers.
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

/// The headers of a call, one after the other.
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
