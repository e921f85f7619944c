//! The two formats, and how values are written in them.

use serde::de::DeserializeOwned;

use super::error::{ProtocolError, ReadError};
use super::json;
use super::message::HubMessage;
#[cfg(feature = "messagepack")]
use super::messagepack;
use super::raw_value::{Position, RawValue, Role};

/// The format of a connection's messages, agreed on in the handshake.
///
/// ```
/// use signalr::HubProtocolKind;
///
/// assert_eq!(HubProtocolKind::Json.name(), "json");
/// assert!(!HubProtocolKind::Json.is_binary());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HubProtocolKind {
    /// `json`: text; each message is ended by the record separator 0x1E.
    Json,
    /// `messagepack`: binary; each message follows its length.
    #[cfg(feature = "messagepack")]
    MessagePack,
}

impl HubProtocolKind {
    /// Every format there is, in the order in which ASP.NET Core registers them.
    pub const ALL: &'static [Self] = &[
        Self::Json,
        #[cfg(feature = "messagepack")]
        Self::MessagePack,
    ];

    /// The name in the handshake.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            #[cfg(feature = "messagepack")]
            Self::MessagePack => "messagepack",
        }
    }

    /// Finds a format by its name; case does not matter (`aspnet: DefaultHubProtocolResolver.cs`).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|format| format.name().eq_ignore_ascii_case(name))
    }

    /// Whether messages are bytes, which not every transport can carry, and not text.
    pub fn is_binary(self) -> bool {
        match self {
            Self::Json => false,
            #[cfg(feature = "messagepack")]
            Self::MessagePack => true,
        }
    }
}

/// How the names of struct fields and the variants of enums are spelled on the wire.
///
/// ```
/// use signalr::dotnet::Naming;
/// use signalr::{SignalR, hub};
///
/// struct Beds;
///
/// #[hub]
/// impl Beds {}
///
/// let signalr = SignalR::builder().naming(Naming::DotNet).hub("/beds", Beds).build()?;
/// # Ok::<_, signalr::hosting::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Naming {
    /// As serde has them.
    #[default]
    Serde,
    /// As ASP.NET Core has them: fields in camel case in JSON, where any case is read, and in Pascal case in
    /// MessagePack; enums without data are their number in JSON and their name in MessagePack. A `char` is one UTF-16
    /// unit: a text in JSON, a number in MessagePack. One beyond U+FFFF, and an integer beyond 64 bits in MessagePack,
    /// cannot be written.
    DotNet,
}

/// A format together with the spelling of names: all that reading and writing messages depends on.
///
/// ```
/// use signalr::protocol::{HubProtocolKind, HubMessage, HubProtocol, Naming};
///
/// let protocol = HubProtocol::new(HubProtocolKind::Json, Naming::Serde);
/// let mut out = Vec::new();
/// protocol.write_invocation(&mut out, Some("1"), "Add", &(1, 2)).unwrap();
/// assert_eq!(out, b"{\"type\":1,\"invocationId\":\"1\",\"target\":\"Add\",\"arguments\":[1,2]}\x1e");
/// assert_eq!(protocol.parse(br#"{"type":6}"#, |_| true), Ok(Some(HubMessage::Ping)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HubProtocol {
    format: HubProtocolKind,
    naming: Naming,
}

impl HubProtocol {
    /// Puts a format and a spelling together.
    pub const fn new(format: HubProtocolKind, naming: Naming) -> Self {
        Self { format, naming }
    }

    /// The format.
    pub const fn kind(self) -> HubProtocolKind {
        self.format
    }

    /// The spelling of names.
    pub const fn naming(self) -> Naming {
        self.naming
    }
}

/// Reading.
impl HubProtocol {
    /// Parses one message; `frame` is the message without its framing.
    ///
    /// `knows_method` tells whether the hub has a method: some faults end the connection only where the method exists,
    /// others only where it does not. `Ok(None)` is a message of an unknown type, which is to be skipped: later
    /// versions of the protocol may have more of them.
    ///
    /// # Errors
    ///
    /// The message is broken, and the connection is to be closed.
    pub fn parse<'a>(
        self,
        frame: &'a [u8],
        knows_method: impl Fn(&str) -> bool,
    ) -> Result<Option<HubMessage<'a>>, ProtocolError> {
        match self.format {
            HubProtocolKind::Json => json::parse(self, frame, &knows_method),
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => messagepack::parse(self, frame, &knows_method),
        }
    }

    /// Reads a value that stands alone, in its wire form and without framing.
    ///
    /// # Errors
    ///
    /// [`ReadError::Mismatch`]: it is no `T`.
    pub fn read_value<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, ReadError> {
        let whole = match self.format {
            HubProtocolKind::Json => json::is_whole(bytes),
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => messagepack::is_whole(bytes),
        };
        RawValue::new(self, Role::Result, bytes, whole).read()
    }

    /// Reads a value that was found to be whole.
    pub(super) fn read_whole<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, Position> {
        match self.format {
            HubProtocolKind::Json => json::read(self.naming, bytes),
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => messagepack::read(self.naming, bytes),
        }
    }
}
