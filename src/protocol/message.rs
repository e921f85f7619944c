//! Hub messages, borrowed from the frames they came in.

use std::borrow::Cow;

use super::headers::Headers;
use super::raw_arguments::RawArguments;
use super::raw_value::RawValue;

/// One message of the hub protocol (`HubProtocol.md § Overview`).
///
/// Texts are borrowed from the frame unless they were written with escapes, and values stay in their wire form.
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
    /// A call, streaming or not.
    Invocation(InvocationMessage<'a>),
    /// An item of a stream.
    StreamItem {
        /// The stream: the id of its invocation, or one of the stream ids of an invocation.
        id: Cow<'a, str>,
        /// The item.
        item: RawValue<'a>,
        /// Whether the item came before the id. Then an unknown id is not ignored, but ends the connection, with
        /// [`unknown_stream`](super::ProtocolError::unknown_stream) (`aspnet: JsonHubProtocol.cs`).
        item_first: bool,
    },
    /// The end of a call or of a stream.
    Completion {
        /// The call or the stream.
        id: Cow<'a, str>,
        /// The result. `Some` holds null where a null was sent, `None` means that there was none.
        result: Option<RawValue<'a>>,
        /// Why it failed; never together with a result.
        error: Option<Cow<'a, str>>,
    },
    /// The request to stop a call.
    CancelInvocation {
        /// The call.
        id: Cow<'a, str>,
    },
    /// A sign of life.
    Ping,
    /// The end of the connection.
    Close {
        /// Why, if it did not go well.
        error: Option<Cow<'a, str>>,
        /// Whether the client may connect again by itself.
        allow_reconnect: bool,
    },
    /// All messages up to this one have arrived (stateful reconnect).
    Ack {
        /// The last message that arrived.
        sequence_id: i64,
    },
    /// The number of the message that comes next (stateful reconnect).
    Sequence {
        /// Its number.
        sequence_id: i64,
    },
}

impl HubMessage<'_> {
    /// The ids that it names: of calls, and of streams.
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

/// A call of a method.
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
    /// The id to answer to; `None`, which stands for an empty one, too, asks for no answer.
    pub id: Option<Cow<'a, str>>,
    /// The method, as the caller spells it.
    pub target: Cow<'a, str>,
    /// The arguments.
    pub arguments: RawArguments<'a>,
    /// The streams that the caller sends beside the arguments.
    pub stream_ids: Vec<Cow<'a, str>>,
    /// Whether the caller awaits a stream of results.
    pub streaming: bool,
    /// The headers.
    pub headers: Headers<'a>,
}
