//! The hub protocol: messages, their two formats, framing and the handshake.
//!
//! Everything here is pure. Bytes go in, borrowed messages come out; values go in, framed bytes come out. There is no
//! IO, no task and no hub. A connection needs four things of it, in this order:
//!
//! 1. [`handshake`] finds and reads the request that a client sends first, and writes the answer.
//! 2. A [`Framer`] cuts what arrives into messages and holds them to the size limit.
//! 3. [`HubProtocol::parse`] reads one message. Arguments, items and results stay in their wire form, as
//!    [`RawArguments`] and [`RawValue`], until somebody knows their type.
//! 4. The writers of [`HubProtocol`] append whole, framed messages to a buffer.
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
//! let frame = framer.next(&mut input).unwrap().expect("a whole message");
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
