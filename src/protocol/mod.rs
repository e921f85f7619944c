//! The hub protocol: messages, their encodings, framing and the handshake.
//!
//! This module performs no IO, starts no tasks and depends on no hub. It parses bytes into messages
//! that borrow from them, and encodes values into framed bytes. A connection uses four parts, in
//! this order:
//!
//! 1. [`handshake`] finds and parses the handshake request, the first message of a client, and
//!    writes the response.
//! 2. A [`Framer`] splits the input into messages and enforces the size limit.
//! 3. [`HubProtocol::parse`] parses one message. Arguments, stream items and results stay encoded,
//!    as [`RawArguments`] and [`RawValue`], until their types are known.
//! 4. The `write_*` methods of [`HubProtocol`] append complete, framed messages to a buffer.
//!
//! ```
//! use signalr::protocol::{HubProtocolKind, Framer, HubMessage, HubProtocol, Naming};
//!
//! let protocol = HubProtocol::new(HubProtocolKind::Json, Naming::Serde);
//! let mut sent = Vec::new();
//! protocol.write_invocation(&mut sent, Some("1"), "Add", &(1, 2)).unwrap();
//!
//! let mut framer = Framer::new(HubProtocolKind::Json, Some(32 * 1024));
//! let mut input = &sent[..];
//! let frame = framer.next(&mut input).unwrap().expect("a complete message");
//! let Some(HubMessage::Invocation(call)) = protocol.parse(frame, |_| true).unwrap() else { panic!("an invocation") };
//! assert_eq!(call.target, "Add");
//! assert_eq!(call.arguments.len(), 2);
//! ```

mod arguments;
pub use arguments::Arguments;

mod error;
pub use error::{ProtocolError, ReadError, WriteError};

mod format;
pub use format::{HubProtocol, HubProtocolKind, Naming};

mod frame;
pub use frame::Framer;

pub mod handshake;

mod headers;
pub use headers::{HeaderIter, Headers};

mod message;
pub use message::{HubMessage, InvocationMessage};

pub(crate) mod naming;

mod raw_arguments;
pub(crate) use raw_arguments::KeptArguments;
pub use raw_arguments::RawArguments;

mod raw_value;
pub use raw_value::RawValue;

mod type_name;
pub use type_name::short_type_name;

pub(crate) mod values;

mod writer;
pub use writer::WithHeaders;

mod json;
#[cfg(feature = "messagepack")]
mod messagepack;

#[cfg(test)]
mod tests;
