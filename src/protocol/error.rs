//! What goes wrong between bytes and messages, in ASP.NET Core's words.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// A message breaks the protocol.
///
/// Clients see the name of the .NET exception and its text where detailed errors are on, so both are those that
/// ASP.NET Core has for the same fault.
///
/// ```
/// use signalr::protocol::{HubProtocolKind, HubProtocol, Naming};
///
/// let broken = HubProtocol::new(HubProtocolKind::Json, Naming::Serde).parse(b"[]", |_| true).unwrap_err();
/// assert_eq!(broken.type_name(), "InvalidDataException");
/// assert_eq!(broken.message(), "Unexpected JSON Token Type 'Array'. Expected a JSON Object.");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError {
    type_name: &'static str,
    message: Cow<'static, str>,
}

impl ProtocolError {
    /// Creates an error from the short name of a .NET exception and its text.
    pub fn new(type_name: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { type_name, message: message.into() }
    }

    /// An `InvalidDataException`, which is what most faults are.
    pub(crate) fn invalid_data(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("InvalidDataException", message)
    }

    /// A stream item for a stream that nobody opened (`aspnet: StreamTracker.cs`).
    pub fn unknown_stream(id: &str) -> Self {
        Self::new("KeyNotFoundException", format!("No stream with id '{id}' could be found."))
    }

    /// The short name of the .NET exception, such as `InvalidDataException`.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// The text of the exception.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ProtocolError {}

/// A value of a message could not be read.
///
/// ```
/// use signalr::protocol::{HubProtocolKind, HubProtocol, Naming, ReadError};
///
/// let protocol = HubProtocol::new(HubProtocolKind::Json, Naming::Serde);
/// assert!(matches!(protocol.read_value::<u8>(b"300"), Err(ReadError::Mismatch(_))));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The message itself is broken: the sender's fault, and the end of the connection.
    #[error(transparent)]
    Malformed(ProtocolError),
    /// The value does not fit what is asked for: it fails this call alone.
    #[error(transparent)]
    Mismatch(ProtocolError),
}

impl ReadError {
    /// What is wrong, whoever has to bear it.
    pub fn into_inner(self) -> ProtocolError {
        match self {
            Self::Malformed(error) | Self::Mismatch(error) => error,
        }
    }
}

/// A value could not be written; the fault lies with the value, never with the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteError(ProtocolError);

impl WriteError {
    pub(crate) fn new(error: ProtocolError) -> Self {
        Self(error)
    }

    /// The short name of the .NET exception that ASP.NET Core has for it.
    pub fn type_name(&self) -> &'static str {
        self.0.type_name()
    }

    /// The same as a [`ProtocolError`], which is how it ends a connection.
    pub fn into_inner(self) -> ProtocolError {
        self.0
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for WriteError {}
