//! Writers, each of which appends one message with its framing.

use serde::Serialize;

use super::arguments::Arguments;
use super::error::WriteError;
use super::format::{HubProtocol, HubProtocolKind};
use super::json::write as json;
#[cfg(feature = "messagepack")]
use super::messagepack::write as messagepack;

/// Calls the writer of the hub protocol.
macro_rules! by_kind {
    ($protocol:expr, $writer:ident($($argument:expr),* $(,)?)) => {
        match $protocol.kind() {
            HubProtocolKind::Json => json::$writer($($argument),*),
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => messagepack::$writer($($argument),*),
        }
    };
}

/// Serialization of messages and values. Each method appends one complete message to `out`, or
/// leaves `out` unchanged if it fails.
impl HubProtocol {
    /// Appends an invocation. Without an id, it requests no completion.
    ///
    /// # Errors
    ///
    /// Returns an error if an argument cannot be serialized.
    pub fn write_invocation<A: Arguments + ?Sized>(
        self,
        out: &mut Vec<u8>,
        id: Option<&str>,
        target: &str,
        arguments: &A,
    ) -> Result<(), WriteError> {
        self.with_headers(&[]).write_invocation(out, id, target, arguments, None)
    }

    /// Appends an invocation that requests a stream of items.
    ///
    /// # Errors
    ///
    /// Returns an error if an argument cannot be serialized.
    pub fn write_stream_invocation<A: Arguments + ?Sized>(
        self,
        out: &mut Vec<u8>,
        id: &str,
        target: &str,
        arguments: &A,
    ) -> Result<(), WriteError> {
        self.with_headers(&[]).write_stream_invocation(out, id, target, arguments, None)
    }

    /// Appends an item of a stream.
    ///
    /// # Errors
    ///
    /// Returns an error if the item cannot be serialized.
    pub fn write_stream_item<T: Serialize + ?Sized>(
        self,
        out: &mut Vec<u8>,
        id: &str,
        item: &T,
    ) -> Result<(), WriteError> {
        self.with_headers(&[]).write_stream_item(out, id, item)
    }

    /// Appends a completion with a result. A method without a result has the result `&()`, which is
    /// null on the wire.
    ///
    /// # Errors
    ///
    /// Returns an error if the result cannot be serialized.
    pub fn write_result<T: Serialize + ?Sized>(
        self,
        out: &mut Vec<u8>,
        id: &str,
        result: &T,
    ) -> Result<(), WriteError> {
        self.with_headers(&[]).write_result(out, id, result)
    }

    /// Appends a completion with a result that is encoded already, such as that of a client on
    /// another server.
    pub fn write_raw_result(self, out: &mut Vec<u8>, id: &str, result: &[u8]) {
        by_kind!(self, raw_result(out, id, result));
    }

    /// Appends a completion with an error, of an invocation or of a stream.
    pub fn write_error(self, out: &mut Vec<u8>, id: &str, error: &str) {
        self.with_headers(&[]).write_error(out, id, error);
    }

    /// Appends a completion with neither result nor error, which ends a stream.
    pub fn write_completion(self, out: &mut Vec<u8>, id: &str) {
        self.with_headers(&[]).write_completion(out, id);
    }

    /// Appends the request to cancel an invocation.
    pub fn write_cancel(self, out: &mut Vec<u8>, id: &str) {
        self.with_headers(&[]).write_cancel(out, id);
    }

    /// Appends a ping.
    pub fn write_ping(self, out: &mut Vec<u8>) {
        by_kind!(self, ping(out));
    }

    /// Appends a Close message.
    pub fn write_close(self, out: &mut Vec<u8>, error: Option<&str>, allow_reconnect: bool) {
        by_kind!(self, close(out, error, allow_reconnect));
    }

    /// Appends the acknowledgement of all messages up to a sequence id (stateful reconnect).
    pub fn write_ack(self, out: &mut Vec<u8>, sequence_id: i64) {
        by_kind!(self, sequence(out, 8, sequence_id));
    }

    /// Appends the sequence id of the next message (stateful reconnect).
    pub fn write_sequence(self, out: &mut Vec<u8>, sequence_id: i64) {
        by_kind!(self, sequence(out, 9, sequence_id));
    }

    /// Appends an encoded value without framing.
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be serialized.
    pub fn write_value<T: Serialize + ?Sized>(self, out: &mut Vec<u8>, value: &T) -> Result<(), WriteError> {
        truncate_on_error(out, |out| by_kind!(self, value(out, self.naming(), value)))
    }

    /// Returns writers that add headers to each message.
    pub fn with_headers<'h>(self, headers: &'h [(&'h str, &'h str)]) -> WithHeaders<'h> {
        WithHeaders { protocol: self, headers }
    }
}

/// Writers of messages with headers. A server writes no headers; clients send their trace context
/// in them.
///
/// ```
/// use signalr::protocol::{HubProtocolKind, HubProtocol, Naming};
///
/// let protocol = HubProtocol::new(HubProtocolKind::Json, Naming::Serde);
/// let mut out = Vec::new();
/// protocol.with_headers(&[("traceparent", "00-1")]).write_invocation(&mut out, None, "Go", &(), None).unwrap();
/// assert_eq!(out, b"{\"type\":1,\"headers\":{\"traceparent\":\"00-1\"},\"target\":\"Go\",\"arguments\":[]}\x1e");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WithHeaders<'h> {
    protocol: HubProtocol,
    headers: &'h [(&'h str, &'h str)],
}

impl WithHeaders<'_> {
    /// Appends an invocation and the ids of the streams that are uploaded with it.
    ///
    /// # Errors
    ///
    /// Returns an error if an argument cannot be serialized.
    pub fn write_invocation<A: Arguments + ?Sized>(
        self,
        out: &mut Vec<u8>,
        id: Option<&str>,
        target: &str,
        arguments: &A,
        stream_ids: Option<&[&str]>,
    ) -> Result<(), WriteError> {
        let invocation = InvocationFields { kind: 1, id: id.filter(|id| !id.is_empty()), target, stream_ids };
        self.write_fields(out, &invocation, arguments)
    }

    /// Appends an invocation that requests a stream of items, and the ids of the streams that are
    /// uploaded with it.
    ///
    /// # Errors
    ///
    /// Returns an error if an argument cannot be serialized.
    pub fn write_stream_invocation<A: Arguments + ?Sized>(
        self,
        out: &mut Vec<u8>,
        id: &str,
        target: &str,
        arguments: &A,
        stream_ids: Option<&[&str]>,
    ) -> Result<(), WriteError> {
        self.write_fields(out, &InvocationFields { kind: 4, id: Some(id), target, stream_ids }, arguments)
    }

    fn write_fields<A: Arguments + ?Sized>(
        self,
        out: &mut Vec<u8>,
        invocation: &InvocationFields<'_>,
        arguments: &A,
    ) -> Result<(), WriteError> {
        truncate_on_error(out, |out| {
            by_kind!(self.protocol, invocation(out, self.protocol.naming(), self.headers, invocation, arguments))
        })
    }

    /// Appends an item of a stream.
    ///
    /// # Errors
    ///
    /// Returns an error if the item cannot be serialized.
    pub fn write_stream_item<T: Serialize + ?Sized>(
        self,
        out: &mut Vec<u8>,
        id: &str,
        item: &T,
    ) -> Result<(), WriteError> {
        truncate_on_error(out, |out| by_kind!(self.protocol, item(out, self.protocol.naming(), self.headers, id, item)))
    }

    /// Appends a completion with a result.
    ///
    /// # Errors
    ///
    /// Returns an error if the result cannot be serialized.
    pub fn write_result<T: Serialize + ?Sized>(
        self,
        out: &mut Vec<u8>,
        id: &str,
        result: &T,
    ) -> Result<(), WriteError> {
        truncate_on_error(out, |out| {
            by_kind!(self.protocol, result(out, self.protocol.naming(), self.headers, id, result))
        })
    }

    /// Appends a completion with an error, of an invocation or of a stream.
    pub fn write_error(self, out: &mut Vec<u8>, id: &str, error: &str) {
        by_kind!(self.protocol, completion(out, self.headers, id, Some(error)));
    }

    /// Appends a completion with neither result nor error.
    pub fn write_completion(self, out: &mut Vec<u8>, id: &str) {
        by_kind!(self.protocol, completion(out, self.headers, id, None));
    }

    /// Appends the request to cancel an invocation.
    pub fn write_cancel(self, out: &mut Vec<u8>, id: &str) {
        by_kind!(self.protocol, cancel(out, self.headers, id));
    }
}

/// Fields of an invocation except its arguments.
pub(super) struct InvocationFields<'a> {
    pub(super) kind: u8,
    pub(super) id: Option<&'a str>,
    pub(super) target: &'a str,
    pub(super) stream_ids: Option<&'a [&'a str]>,
}

fn truncate_on_error(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let start = out.len();
    write(out).inspect_err(|_| out.truncate(start))
}
