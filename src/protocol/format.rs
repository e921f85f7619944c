//! The hub protocols and the naming of members.

use serde::de::DeserializeOwned;

use super::error::{ProtocolError, ReadError};
use super::json;
use super::message::HubMessage;
#[cfg(feature = "messagepack")]
use super::messagepack;
use super::raw_value::{Position, RawValue, Role};

/// Encoding of the messages of a connection, selected by the handshake.
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
    /// `json`: text. Each message ends with the record separator 0x1E.
    Json,
    /// `messagepack`: binary. Each message is preceded by its length.
    #[cfg(feature = "messagepack")]
    MessagePack,
}

impl HubProtocolKind {
    /// All hub protocols, in the order in which ASP.NET Core registers them.
    pub const ALL: &'static [Self] = &[
        Self::Json,
        #[cfg(feature = "messagepack")]
        Self::MessagePack,
    ];

    /// Returns the name that the handshake uses: `json` or `messagepack`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            #[cfg(feature = "messagepack")]
            Self::MessagePack => "messagepack",
        }
    }

    /// Returns the hub protocol with a name, ignoring ASCII case
    /// (`aspnet: DefaultHubProtocolResolver.cs`).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// Returns whether messages are binary. Server-Sent Events carry text only.
    pub fn is_binary(self) -> bool {
        match self {
            Self::Json => false,
            #[cfg(feature = "messagepack")]
            Self::MessagePack => true,
        }
    }
}

/// Naming of struct fields and enum variants on the wire.
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
    /// Names as serde has them.
    #[default]
    Serde,
    /// Names as ASP.NET Core has them.
    ///
    /// Fields are camel case in JSON, where they are read in any case, and Pascal case in
    /// MessagePack. Enums without data are their index in JSON and their name in MessagePack. A
    /// `char` is one UTF-16 code unit: a string in JSON, a number in MessagePack. Writing a `char`
    /// beyond U+FFFF fails, and so does writing an integer beyond 64 bits in MessagePack.
    DotNet,
}

/// Hub protocol and member naming, on which reading and writing messages depend.
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
    kind: HubProtocolKind,
    naming: Naming,
}

impl HubProtocol {
    /// Combines a hub protocol and a naming.
    pub const fn new(kind: HubProtocolKind, naming: Naming) -> Self {
        Self { kind, naming }
    }

    /// Returns which hub protocol this is.
    pub const fn kind(self) -> HubProtocolKind {
        self.kind
    }

    /// Returns the naming of fields and variants.
    pub const fn naming(self) -> Naming {
        self.naming
    }
}

/// Parsing of messages and values.
impl HubProtocol {
    /// Parses one message; `frame` is the message without its framing.
    ///
    /// `method_exists` returns whether the hub has a method: some faults end the connection only if
    /// the method exists, others only if it does not. `Ok(None)` is a message of an unknown type,
    /// which the caller ignores because later versions of the protocol may add types.
    ///
    /// # Errors
    ///
    /// Returns an error if the message is malformed. The caller then closes the connection.
    pub fn parse<'a>(
        self,
        frame: &'a [u8],
        method_exists: impl Fn(&str) -> bool,
    ) -> Result<Option<HubMessage<'a>>, ProtocolError> {
        match self.kind {
            HubProtocolKind::Json => json::parse(self, frame, &method_exists),
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => messagepack::parse(self, frame, &method_exists),
        }
    }

    /// Deserializes one encoded value without framing.
    ///
    /// # Errors
    ///
    /// Returns [`ReadError::Mismatch`] if the bytes are not exactly one value or the value is not a
    /// `T`.
    pub fn read_value<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, ReadError> {
        let complete = match self.kind {
            HubProtocolKind::Json => json::is_complete(bytes),
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => messagepack::is_complete(bytes),
        };
        RawValue::new(self, Role::Result, bytes, complete).read()
    }

    /// Deserializes a value that is known to be complete.
    pub(super) fn read_complete<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, Position> {
        match self.kind {
            HubProtocolKind::Json => json::read(self.naming, bytes),
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => messagepack::read(self.naming, bytes),
        }
    }
}
