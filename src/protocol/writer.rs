//! The writers: each appends one message with its framing.

use serde::Serialize;

use super::arguments::Arguments;
use super::error::WriteError;
use super::format::{HubProtocol, HubProtocolKind};
use super::json::write as json;
#[cfg(feature = "messagepack")]
use super::messagepack::write as messagepack;

/// Picks the writer of the format.
macro_rules! by_format {
    ($protocol:expr, $writer:ident($($argument:expr),* $(,)?)) => {
        match $protocol.kind() {
            HubProtocolKind::Json => json::$writer($($argument),*),
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => messagepack::$writer($($argument),*),
        }
    };
}

/// Writing. Each writer appends one whole message to `out`; one that fails leaves `out` as it was.
impl HubProtocol {
    /// Appends a call; without an id it asks for no answer.
    ///
    /// # Errors
    ///
    /// An argument cannot be written.
    pub fn write_invocation<A: Arguments + ?Sized>(
        self,
        out: &mut Vec<u8>,
        id: Option<&str>,
        target: &str,
        arguments: &A,
    ) -> Result<(), WriteError> {
        self.with_headers(&[]).write_invocation(out, id, target, arguments, None)
    }

    /// Appends a call that awaits a stream of results.
    ///
    /// # Errors
    ///
    /// An argument cannot be written.
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
    /// The item cannot be written.
    pub fn write_stream_item<T: Serialize + ?Sized>(
        self,
        out: &mut Vec<u8>,
        id: &str,
        item: &T,
    ) -> Result<(), WriteError> {
        self.with_headers(&[]).write_stream_item(out, id, item)
    }

    /// Appends the result of a call. That of a call without a result is `&()`, which is null on the wire.
    ///
    /// # Errors
    ///
    /// The result cannot be written.
    pub fn write_result<T: Serialize + ?Sized>(
        self,
        out: &mut Vec<u8>,
        id: &str,
        result: &T,
    ) -> Result<(), WriteError> {
        self.with_headers(&[]).write_result(out, id, result)
    }

    /// Appends a result that is in its wire form already, such as that of a client on another server.
    pub fn write_raw_result(self, out: &mut Vec<u8>, id: &str, result: &[u8]) {
        by_format!(self, raw_result(out, id, result));
    }

    /// Appends the failure of a call or of a stream.
    pub fn write_error(self, out: &mut Vec<u8>, id: &str, error: &str) {
        self.with_headers(&[]).write_error(out, id, error);
    }

    /// Appends an end with neither result nor error, which is that of a stream.
    pub fn write_completion(self, out: &mut Vec<u8>, id: &str) {
        self.with_headers(&[]).write_completion(out, id);
    }

    /// Appends the request to stop a call.
    pub fn write_cancel(self, out: &mut Vec<u8>, id: &str) {
        self.with_headers(&[]).write_cancel(out, id);
    }

    /// Appends a sign of life.
    pub fn write_ping(self, out: &mut Vec<u8>) {
        by_format!(self, ping(out));
    }

    /// Appends the end of the connection.
    pub fn write_close(self, out: &mut Vec<u8>, error: Option<&str>, allow_reconnect: bool) {
        by_format!(self, close(out, error, allow_reconnect));
    }

    /// Appends the acknowledgement of all messages up to one (stateful reconnect).
    pub fn write_ack(self, out: &mut Vec<u8>, sequence_id: i64) {
        by_format!(self, sequence(out, 8, sequence_id));
    }

    /// Appends the number of the message that comes next (stateful reconnect).
    pub fn write_sequence(self, out: &mut Vec<u8>, sequence_id: i64) {
        by_format!(self, sequence(out, 9, sequence_id));
    }

    /// Appends a value alone, in its wire form and without framing.
    ///
    /// # Errors
    ///
    /// The value cannot be written.
    pub fn write_value<T: Serialize + ?Sized>(self, out: &mut Vec<u8>, value: &T) -> Result<(), WriteError> {
        undone_on_error(out, |out| by_format!(self, value(out, self.naming(), value)))
    }

    /// The same writers with headers on each message.
    pub fn with_headers<'h>(self, headers: &'h [(&'h str, &'h str)]) -> WithHeaders<'h> {
        WithHeaders { protocol: self, headers }
    }
}

/// Writers of messages with headers. A server writes none; clients put their trace context there.
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
    /// Appends a call, and names the streams that follow it.
    ///
    /// # Errors
    ///
    /// An argument cannot be written.
    pub fn write_invocation<A: Arguments + ?Sized>(
        self,
        out: &mut Vec<u8>,
        id: Option<&str>,
        target: &str,
        arguments: &A,
        stream_ids: Option<&[&str]>,
    ) -> Result<(), WriteError> {
        let call = InvocationFields { kind: 1, id: id.filter(|id| !id.is_empty()), target, stream_ids };
        self.write_call(out, &call, arguments)
    }

    /// Appends a call that awaits a stream of results, and names the streams that follow it.
    ///
    /// # Errors
    ///
    /// An argument cannot be written.
    pub fn write_stream_invocation<A: Arguments + ?Sized>(
        self,
        out: &mut Vec<u8>,
        id: &str,
        target: &str,
        arguments: &A,
        stream_ids: Option<&[&str]>,
    ) -> Result<(), WriteError> {
        self.write_call(out, &InvocationFields { kind: 4, id: Some(id), target, stream_ids }, arguments)
    }

    fn write_call<A: Arguments + ?Sized>(
        self,
        out: &mut Vec<u8>,
        call: &InvocationFields<'_>,
        arguments: &A,
    ) -> Result<(), WriteError> {
        undone_on_error(out, |out| {
            by_format!(self.protocol, call(out, self.protocol.naming(), self.headers, call, arguments))
        })
    }

    /// Appends an item of a stream.
    ///
    /// # Errors
    ///
    /// The item cannot be written.
    pub fn write_stream_item<T: Serialize + ?Sized>(
        self,
        out: &mut Vec<u8>,
        id: &str,
        item: &T,
    ) -> Result<(), WriteError> {
        undone_on_error(out, |out| by_format!(self.protocol, item(out, self.protocol.naming(), self.headers, id, item)))
    }

    /// Appends the result of a call.
    ///
    /// # Errors
    ///
    /// The result cannot be written.
    pub fn write_result<T: Serialize + ?Sized>(
        self,
        out: &mut Vec<u8>,
        id: &str,
        result: &T,
    ) -> Result<(), WriteError> {
        undone_on_error(out, |out| {
            by_format!(self.protocol, result(out, self.protocol.naming(), self.headers, id, result))
        })
    }

    /// Appends the failure of a call or of a stream.
    pub fn write_error(self, out: &mut Vec<u8>, id: &str, error: &str) {
        by_format!(self.protocol, completion(out, self.headers, id, Some(error)));
    }

    /// Appends an end with neither result nor error.
    pub fn write_completion(self, out: &mut Vec<u8>, id: &str) {
        by_format!(self.protocol, completion(out, self.headers, id, None));
    }

    /// Appends the request to stop a call.
    pub fn write_cancel(self, out: &mut Vec<u8>, id: &str) {
        by_format!(self.protocol, cancel(out, self.headers, id));
    }
}

/// The parts of a call but for its arguments.
pub(super) struct InvocationFields<'a> {
    pub(super) kind: u8,
    pub(super) id: Option<&'a str>,
    pub(super) target: &'a str,
    pub(super) stream_ids: Option<&'a [&'a str]>,
}

fn undone_on_error(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let start = out.len();
    write(out).inspect_err(|_| out.truncate(start))
}
