//! Hub messages that borrow from their frames.

use std::borrow::Cow;

use super::headers::Headers;
use super::raw_arguments::RawArguments;
use super::raw_value::RawValue;

/// One message of the hub protocol (`HubProtocol.md § Overview`).
///
/// Strings borrow from the frame unless they contain escape sequences. Values stay encoded.
///
/// ```
/// use signalr::protocol::{HubProtocolKind, HubMessage, HubProtocol, Naming};
///
/// let close = HubProtocol::new(HubProtocolKind::Json, Naming::Serde).parse(br#"{"type":7,"error":"bye"}"#, |_| true);
/// assert!(matches!(close, Ok(Some(HubMessage::Close { error: Some(error), .. })) if error == "bye"));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum HubMessage<'a> {
    /// Invocation of a method. [`streaming`](InvocationMessage::streaming) distinguishes
    /// `StreamInvocation` from `Invocation`.
    Invocation(InvocationMessage<'a>),
    /// Item of a stream.
    StreamItem {
        /// Id of the stream: an invocation id, or one of the stream ids of an invocation.
        id: Cow<'a, str>,
        /// The item.
        item: RawValue<'a>,
        /// Whether the item precedes the id in the message. An unknown id then ends the connection
        /// with [`unknown_stream`](super::ProtocolError::unknown_stream) instead of being ignored
        /// (`aspnet: JsonHubProtocol.cs`).
        item_first: bool,
    },
    /// End of an invocation or of a stream.
    Completion {
        /// Invocation id or stream id.
        id: Cow<'a, str>,
        /// Result. An explicit null is `Some`; `None` means that the message has no result.
        result: Option<RawValue<'a>>,
        /// Error text of a failure; never present together with a result.
        error: Option<Cow<'a, str>>,
    },
    /// Request to cancel an invocation.
    CancelInvocation {
        /// Invocation id.
        id: Cow<'a, str>,
    },
    /// Keep-alive message without content.
    Ping,
    /// Last message of a connection.
    Close {
        /// Error text, if the connection ends because of an error.
        error: Option<Cow<'a, str>>,
        /// Whether the client may reconnect automatically.
        allow_reconnect: bool,
    },
    /// Acknowledgement of all messages up to a sequence id (stateful reconnect).
    Ack {
        /// Sequence id of the last message that was received.
        sequence_id: i64,
    },
    /// Sequence id of the next message (stateful reconnect).
    Sequence {
        /// Sequence id.
        sequence_id: i64,
    },
}

impl HubMessage<'_> {
    /// Returns the invocation and stream ids in the message.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        let (id, stream_ids) = match self {
            Self::Invocation(call) => (call.id.as_deref(), &call.stream_ids[..]),
            Self::StreamItem { id, .. } | Self::Completion { id, .. } | Self::CancelInvocation { id } => {
                (Some(&**id), &[][..])
            }
            Self::Ping | Self::Close { .. } | Self::Ack { .. } | Self::Sequence { .. } => (None, &[][..]),
        };
        id.into_iter().chain(stream_ids.iter().map(|id| &**id))
    }
}

/// Invocation of a method.
///
/// ```
/// use signalr::protocol::{HubProtocolKind, HubMessage, HubProtocol, Naming};
///
/// let protocol = HubProtocol::new(HubProtocolKind::Json, Naming::Serde);
/// let frame = br#"{"type":1,"target":"Add","arguments":[1,2],"headers":{"traceparent":"00-1"}}"#;
/// let Some(HubMessage::Invocation(call)) = protocol.parse(frame, |_| true).unwrap() else { panic!() };
/// assert_eq!((&*call.target, call.id, call.streaming), ("Add", None, false));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct InvocationMessage<'a> {
    /// Invocation id of the completion. `None`, also for an empty id, requests no completion.
    pub id: Option<Cow<'a, str>>,
    /// Name of the method as the sender spells it.
    pub target: Cow<'a, str>,
    /// Encoded arguments.
    pub arguments: RawArguments<'a>,
    /// Ids of the streams that the sender uploads with the invocation.
    pub stream_ids: Vec<Cow<'a, str>>,
    /// Whether the sender expects a stream of items.
    pub streaming: bool,
    /// Headers, such as `traceparent`.
    pub headers: Headers<'a>,
}
