//! Arguments of an invocation in their wire form.

use std::cell::Cell;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::error::{ProtocolError, ReadError};
use super::format::{HubProtocol, HubProtocolKind};
use super::json;
#[cfg(feature = "messagepack")]
use super::messagepack;

/// Encoded arguments of an invocation.
///
/// ```
/// use signalr::protocol::{HubProtocolKind, HubMessage, HubProtocol, Naming};
///
/// let protocol = HubProtocol::new(HubProtocolKind::Json, Naming::Serde);
/// let frame = br#"{"type":1,"target":"Add","arguments":[1,2],"headers":{"traceparent":"00-1"}}"#;
/// let Some(HubMessage::Invocation(call)) = protocol.parse(frame, |_| true).unwrap() else { panic!() };
/// assert_eq!((call.arguments.len(), call.arguments.as_bytes()), (2, &b"[1,2]"[..]));
/// ```
#[derive(Clone, PartialEq)]
pub struct RawArguments<'a> {
    pub(super) protocol: HubProtocol,
    /// Bytes of the frame before the arguments, from which JSON error texts count; empty in
    /// MessagePack.
    pub(super) before: &'a [u8],
    pub(super) bytes: &'a [u8],
    /// Whether a trailing comma fails only the invocation and not the connection. ASP.NET Core does
    /// this in JSON if the list follows the name of an existing method.
    pub(super) trailing_comma_allowed: bool,
    /// Whether the list is complete. The parser checks that in MessagePack only.
    pub(super) complete: bool,
    pub(super) deferred: Option<Box<DeferredChecks<'a>>>,
}

/// Checks that follow binding. Almost no invocation has any, hence the box.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct DeferredChecks<'a> {
    /// Argument lists before the last one, which is the one that is bound.
    pub(super) earlier: Vec<&'a [u8]>,
    /// Error of the message, which ASP.NET Core finds only after the arguments were bound.
    pub(super) error: Option<ProtocolError>,
}

impl<'a> RawArguments<'a> {
    /// Returns the bytes of the list as they were sent.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the number of arguments, or 0 if the list is malformed.
    pub fn len(&self) -> usize {
        match self.protocol.kind() {
            HubProtocolKind::Json => json::list_len(self.bytes),
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => messagepack::list_len(self.bytes),
        }
    }

    /// Returns whether there are no arguments.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Binds all arguments in one pass: `visitor.visit_seq` takes exactly `expected` elements.
    ///
    /// # Errors
    ///
    /// Returns [`ReadError::Mismatch`] if the number of arguments differs from `expected` or an
    /// argument has the wrong type, and [`ReadError::Malformed`] if the message is malformed, in
    /// the arguments or after them.
    pub fn bind<V, T>(&self, expected: usize, visitor: V) -> Result<T, ReadError>
    where
        V: for<'de> Visitor<'de, Value = T>,
    {
        let mut visitor = Some(visitor);
        self.bind_with_visitors(expected, || visitor.take())
    }

    /// Binds all arguments like [`bind`](Self::bind), with a second pass if the first one fails
    /// because of a duplicate member.
    ///
    /// With [`Naming::DotNet`], the last of two members of one name counts, for which the arguments
    /// are read once more. `visitor` returns the visitor of each pass.
    ///
    /// [`Naming::DotNet`]: super::Naming::DotNet
    ///
    /// # Errors
    ///
    /// Returns the errors of [`bind`](Self::bind).
    pub fn bind_with<V, T>(&self, expected: usize, mut visitor: impl FnMut() -> V) -> Result<T, ReadError>
    where
        V: for<'de> Visitor<'de, Value = T>,
    {
        self.bind_with_visitors(expected, || Some(visitor()))
    }

    fn bind_with_visitors<V, T>(&self, expected: usize, visitor: impl FnMut() -> Option<V>) -> Result<T, ReadError>
    where
        V: for<'de> Visitor<'de, Value = T>,
    {
        let bound = match self.protocol.kind() {
            HubProtocolKind::Json => json::bind(self, expected, visitor)?,
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => messagepack::bind(self, expected, visitor)?,
        };
        match &self.deferred {
            None => Ok(bound),
            Some(deferred) => deferred.check(expected).map(|()| bound),
        }
    }
}

/// Encoded arguments that outlive their frame and are read one by one.
pub(crate) struct KeptArguments {
    protocol: HubProtocol,
    bytes: Box<[u8]>,
    /// Ranges of the arguments, computed at most once because the client chooses their number.
    elements: OnceLock<Vec<Range<usize>>>,
}

impl RawArguments<'_> {
    pub(crate) fn to_kept(&self) -> KeptArguments {
        KeptArguments { protocol: self.protocol, bytes: self.bytes.into(), elements: OnceLock::new() }
    }
}

impl KeptArguments {
    pub(crate) fn len(&self) -> usize {
        self.elements().len()
    }

    /// Deserializes the argument at index `at`.
    pub(crate) fn read<T: DeserializeOwned>(&self, at: usize) -> Option<T> {
        let element = self.elements().get(at)?.clone();
        self.protocol.read_complete(&self.bytes[element]).ok()
    }

    fn elements(&self) -> &[Range<usize>] {
        self.elements.get_or_init(|| match self.protocol.kind() {
            HubProtocolKind::Json => json::list_elements(&self.bytes),
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => messagepack::list_elements(&self.bytes),
        })
    }
}

/// Shows only the size, because values are confidential.
impl fmt::Debug for KeptArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeptArguments({} bytes)", self.bytes.len())
    }
}

impl fmt::Debug for RawArguments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawArguments({} bytes)", self.bytes.len())
    }
}

impl DeferredChecks<'_> {
    /// Checks the number of arguments in earlier lists, which ASP.NET Core binds as well
    /// (`aspnet: JsonHubProtocol.cs`). Their types are not checked.
    fn check(&self, expected: usize) -> Result<(), ReadError> {
        for bytes in &self.earlier {
            let given = json::list_len(bytes);
            if given != expected {
                return Err(ReadError::Mismatch(wrong_number(given, expected)));
            }
        }
        self.error.clone().map_or(Ok(()), |error| Err(ReadError::Malformed(error)))
    }
}

pub(super) fn wrong_number(given: usize, expected: usize) -> ProtocolError {
    ProtocolError::invalid_data(format!("Invocation provides {given} argument(s) but target expects {expected}."))
}

pub(super) fn wrong_type() -> ProtocolError {
    ProtocolError::invalid_data(
        "Error binding arguments. Make sure that the types of the provided values match the types of the hub method being invoked.",
    )
}

/// Seed that deserializes a list with a visitor and counts its elements.
pub(super) struct ArgumentsSeed<'t, V> {
    visitor: V,
    progress: &'t Cell<BindProgress>,
}

/// Progress of binding, kept for error texts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BindProgress {
    /// Number of elements that were read.
    pub(super) elements_read: usize,
    /// Whether the end of the list was reached.
    pub(super) ended: bool,
}

impl<'t, V> ArgumentsSeed<'t, V> {
    pub(super) fn new(visitor: V, progress: &'t Cell<BindProgress>) -> Self {
        progress.set(BindProgress::default());
        Self { visitor, progress }
    }
}

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for ArgumentsSeed<'_, V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for ArgumentsSeed<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<V::Value, A::Error> {
        let mut list = CountedSeed { list, progress: self.progress };
        let bound = self.visitor.visit_seq(&mut list)?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(bound)
    }
}

/// Sequence that counts the elements taken from it.
struct CountedSeed<'t, A> {
    list: A,
    progress: &'t Cell<BindProgress>,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for CountedSeed<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let BindProgress { elements_read, ended } = self.progress.get();
        if ended {
            return Ok(None);
        }
        let element = self.list.next_element_seed(seed)?;
        self.progress.set(match element {
            Some(_) => BindProgress { elements_read: elements_read + 1, ended },
            None => BindProgress { elements_read, ended: true },
        });
        Ok(element)
    }

    fn size_hint(&self) -> Option<usize> {
        self.list.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HubMessage, Naming};
    use super::*;

    fn kept(protocol: HubProtocol, frame: &[u8]) -> KeptArguments {
        match protocol.parse(frame, |_| true) {
            Ok(Some(HubMessage::Invocation(call))) => call.arguments.to_kept(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn kept_arguments_are_read_one_by_one() {
        for &format in HubProtocolKind::ALL {
            let protocol = HubProtocol::new(format, Naming::Serde);
            let mut message = Vec::new();
            protocol.write_invocation(&mut message, None, "M", &(1, "two", None::<u8>, [4, 5])).unwrap();
            let mut framer = super::super::Framer::new(format, None);
            let kept = kept(protocol, framer.next(&mut &message[..]).unwrap().unwrap());
            assert_eq!(kept.len(), 4);
            assert_eq!(kept.read::<u8>(0), Some(1));
            assert_eq!(kept.read::<u8>(0), Some(1), "read a second time");
            assert_eq!(kept.read::<String>(1).as_deref(), Some("two"));
            assert_eq!(kept.read::<u8>(1), None);
            assert_eq!(kept.read::<Option<u8>>(2), Some(None));
            assert_eq!(kept.read::<u8>(2), None);
            assert_eq!(kept.read::<[u8; 2]>(3), Some([4, 5]));
            assert_eq!(kept.read::<u8>(4), None);
            assert_eq!(kept.read::<u8>(usize::MAX), None);
        }
    }

    #[test]
    fn malformed_lists_yield_no_arguments() {
        let protocol = HubProtocol::new(HubProtocolKind::Json, Naming::Serde);
        for list in ["[1,,2]", "[1 2]", "[1,tru]", "[1,\"\\x\"]"] {
            let kept = kept(protocol, format!(r#"{{"type":1,"target":"M","arguments":{list}}}"#).as_bytes());
            assert_eq!(kept.read::<u8>(0), None, "{list}");
        }
    }
}
