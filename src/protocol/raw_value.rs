//! Encoded values whose types are not known yet.

use std::fmt;

use serde::de::DeserializeOwned;

use super::error::{ProtocolError, ReadError};
use super::format::{HubProtocol, HubProtocolKind};
use super::type_name::full_type_name;
#[cfg(feature = "messagepack")]
use super::type_name::short_type_name;

/// Encoded value, a slice of the frame that it was received in.
///
/// ```
/// use signalr::protocol::{HubProtocolKind, HubMessage, HubProtocol, Naming};
///
/// let protocol = HubProtocol::new(HubProtocolKind::Json, Naming::Serde);
/// let frame = br#"{"type":2,"invocationId":"1","item":7}"#;
/// let Some(HubMessage::StreamItem { item, .. }) = protocol.parse(frame, |_| true).unwrap() else { panic!() };
/// assert_eq!(item.read::<u8>().unwrap(), 7);
/// ```
#[derive(Clone, Copy, PartialEq)]
pub struct RawValue<'a> {
    protocol: HubProtocol,
    role: Role,
    bytes: &'a [u8],
    /// Whether the bytes are a complete value, as far as the parser has checked them.
    complete: bool,
}

/// Kind of a value, which some error texts contain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Role {
    Item,
    Result,
}

impl<'a> RawValue<'a> {
    pub(super) fn new(protocol: HubProtocol, role: Role, bytes: &'a [u8], complete: bool) -> Self {
        Self { protocol, role, bytes, complete }
    }

    /// Returns the bytes as they were sent.
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the hub protocol and the naming of the value.
    pub fn protocol(self) -> HubProtocol {
        self.protocol
    }

    /// Deserializes the value.
    ///
    /// # Errors
    ///
    /// Returns [`ReadError::Mismatch`] if the value is not a `T`.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, ReadError> {
        let value = if self.complete { self.protocol.read_complete(self.bytes) } else { Err(Position::default()) };
        value.map_err(|at| ReadError::Mismatch(self.mismatch::<T>(at)))
    }

    /// Returns the error of `System.Text.Json` or of `aspnet: MessagePackHubProtocolWorker.cs`.
    fn mismatch<T>(self, at: Position) -> ProtocolError {
        match self.protocol.kind() {
            HubProtocolKind::Json => {
                let expected = full_type_name::<T>();
                let text = format!("The JSON value could not be converted to {expected}. Path: $ | {at}");
                ProtocolError::new("JsonException", text)
            }
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => {
                let expected = short_type_name::<T>();
                let field = match self.role {
                    Role::Item => "item",
                    Role::Result => "argument",
                };
                ProtocolError::invalid_data(format!(
                    "Deserializing object of the `{expected}` type for '{field}' failed."
                ))
            }
        }
    }
}

/// Shows only the size, because values are confidential.
impl fmt::Debug for RawValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawValue({} bytes)", self.bytes.len())
    }
}

/// Position of an error in a JSON text, in lines and bytes counted from 0.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Position {
    /// Returns the position after a text.
    pub(super) fn end_of(text: &[u8]) -> Self {
        let line = memchr::memchr_iter(b'\n', text).count();
        let column = text.len() - memchr::memrchr(b'\n', text).map_or(0, |newline| newline + 1);
        Self { line, column }
    }
}

/// Shows the position as the error texts of `System.Text.Json` do.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LineNumber: {} | BytePositionInLine: {}.", self.line, self.column)
    }
}
