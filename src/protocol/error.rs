//! Errors of parsing and writing messages, with ASP.NET Core's texts.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// Violation of the hub protocol.
///
/// With detailed errors enabled, clients receive the name of the .NET exception and its text. Both
/// are therefore those of ASP.NET Core for the same fault.
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

    /// Creates an `InvalidDataException`, the most common kind.
    pub(crate) fn invalid_data(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("InvalidDataException", message)
    }

    /// Creates the error of a stream item for an unknown stream (`aspnet: StreamTracker.cs`).
    pub fn unknown_stream(id: &str) -> Self {
        Self::new("KeyNotFoundException", format!("No stream with id '{id}' could be found."))
    }

    /// Returns the short name of the .NET exception, such as `InvalidDataException`.
    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// Returns the text of the exception.
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

/// Failure to read a value of a message.
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
    /// The message is malformed. The error ends the connection.
    #[error(transparent)]
    Malformed(ProtocolError),
    /// The value does not have the requested type. The error fails only the invocation or stream
    /// that the value belongs to.
    #[error(transparent)]
    Mismatch(ProtocolError),
}

impl ReadError {
    /// Returns the error of either variant.
    pub fn into_inner(self) -> ProtocolError {
        match self {
            Self::Malformed(error) | Self::Mismatch(error) => error,
        }
    }
}

/// Failure to serialize a value, caused by the value and not by the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteError(ProtocolError);

impl WriteError {
    pub(crate) fn new(error: ProtocolError) -> Self {
        Self(error)
    }

    /// Returns the short name of the .NET exception that ASP.NET Core throws for the same fault.
    pub fn type_name(&self) -> &'static str {
        self.0.type_name()
    }

    /// Converts the error into the [`ProtocolError`] that ends the connection.
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
