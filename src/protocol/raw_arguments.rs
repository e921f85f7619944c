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

/// The arguments of a call in their wire form.
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
    /// JSON: what stands before them in the frame. Some texts count bytes from there.
    pub(super) before: &'a [u8],
    pub(super) bytes: &'a [u8],
    /// JSON: the method was known when they were read, where ASP.NET Core forgives a trailing comma.
    /// MessagePack: they are whole.
    pub(super) sound: bool,
    pub(super) rest: Option<Box<DeferredChecks<'a>>>,
}

/// What else decides whether a call can be made; hardly any call has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct DeferredChecks<'a> {
    /// Lists that were given before the one that counts.
    pub(super) earlier: Vec<&'a [u8]>,
    /// What is wrong with the message if the arguments are fine: ASP.NET Core finds it out later than a failure to
    /// bind.
    pub(super) error: Option<ProtocolError>,
}

impl<'a> RawArguments<'a> {
    /// The bytes of the whole list, as they were sent.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The number of arguments; 0 where the list is broken.
    pub fn len(&self) -> usize {
        match self.protocol.kind() {
            HubProtocolKind::Json => json::list_len(self.bytes),
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => messagepack::list_len(self.bytes),
        }
    }

    /// Whether there are no arguments.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Binds all arguments in one pass: `visitor.visit_seq` takes `expected` elements, and no more.
    ///
    /// # Errors
    ///
    /// [`ReadError::Mismatch`]: there are more or fewer arguments, or one does not fit. [`ReadError::Malformed`]: the
    /// message is broken, in the arguments or behind them.
    pub fn bind<V, T>(&self, expected: usize, visitor: V) -> Result<T, ReadError>
    where
        V: for<'de> Visitor<'de, Value = T>,
    {
        let mut visitor = Some(visitor);
        self.bind_again(expected, || visitor.take())
    }

    /// The same, but `visitor` may be asked for a second visitor: with [`Naming::DotNet`] of two members of one name
    /// the last counts, for which the arguments are read once more.
    ///
    /// [`Naming::DotNet`]: super::Naming::DotNet
    ///
    /// # Errors
    ///
    /// Those of [`bind`](Self::bind).
    pub fn bind_with<V, T>(&self, expected: usize, mut visitor: impl FnMut() -> V) -> Result<T, ReadError>
    where
        V: for<'de> Visitor<'de, Value = T>,
    {
        self.bind_again(expected, || Some(visitor()))
    }

    fn bind_again<V, T>(&self, expected: usize, visitor: impl FnMut() -> Option<V>) -> Result<T, ReadError>
    where
        V: for<'de> Visitor<'de, Value = T>,
    {
        let bound = match self.protocol.kind() {
            HubProtocolKind::Json => json::bind(self, expected, visitor)?,
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => messagepack::bind(self, expected, visitor)?,
        };
        match &self.rest {
            None => Ok(bound),
            Some(rest) => rest.check(expected).map(|()| bound),
        }
    }
}

/// A list of arguments that outlives its frame, to be read one by one.
pub(crate) struct KeptArguments {
    protocol: HubProtocol,
    bytes: Box<[u8]>,
    /// Their places, looked for once: the client chooses how many there are.
    elements: OnceLock<Vec<Range<usize>>>,
}

impl RawArguments<'_> {
    pub(crate) fn keep(&self) -> KeptArguments {
        KeptArguments { protocol: self.protocol, bytes: self.bytes.into(), elements: OnceLock::new() }
    }
}

impl KeptArguments {
    pub(crate) fn len(&self) -> usize {
        self.elements().len()
    }

    /// The argument at `at`, counted from 0.
    pub(crate) fn read<T: DeserializeOwned>(&self, at: usize) -> Option<T> {
        let element = self.elements().get(at)?.clone();
        self.protocol.read_whole(&self.bytes[element]).ok()
    }

    fn elements(&self) -> &[Range<usize>] {
        self.elements.get_or_init(|| match self.protocol.kind() {
            HubProtocolKind::Json => json::list_elements(&self.bytes),
            #[cfg(feature = "messagepack")]
            HubProtocolKind::MessagePack => messagepack::list_elements(&self.bytes),
        })
    }
}

/// Shows the size alone, since values are nobody's business.
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
    /// A list that was given before must have bound as well (`aspnet: JsonHubProtocol.cs`). Its number of arguments is
    /// all that is looked at here.
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

/// Binds a list through a visitor, and counts.
pub(super) struct ArgumentsSeed<'t, V> {
    visitor: V,
    tally: &'t Cell<BindProgress>,
}

/// How far binding came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BindProgress {
    /// The elements that were read.
    pub(super) given: usize,
    /// Whether the end of the list was seen.
    pub(super) ended: bool,
}

impl<'t, V> ArgumentsSeed<'t, V> {
    pub(super) fn new(visitor: V, tally: &'t Cell<BindProgress>) -> Self {
        tally.set(BindProgress::default());
        Self { visitor, tally }
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
        let mut list = CountedSeed { list, tally: self.tally };
        let bound = self.visitor.visit_seq(&mut list)?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(bound)
    }
}

/// A list that counts the elements taken from it.
struct CountedSeed<'t, A> {
    list: A,
    tally: &'t Cell<BindProgress>,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for CountedSeed<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let BindProgress { given, ended } = self.tally.get();
        if ended {
            return Ok(None);
        }
        let element = self.list.next_element_seed(seed)?;
        self.tally.set(match element {
            Some(_) => BindProgress { given: given + 1, ended },
            None => BindProgress { given, ended: true },
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
            Ok(Some(HubMessage::Invocation(call))) => call.arguments.keep(),
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
            assert_eq!(kept.read::<u8>(0), Some(1), "as often as one likes");
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
    fn nothing_is_read_of_a_broken_list() {
        let protocol = HubProtocol::new(HubProtocolKind::Json, Naming::Serde);
        for list in ["[1,,2]", "[1 2]", "[1,tru]", "[1,\"\\x\"]"] {
            let kept = kept(protocol, format!(r#"{{"type":1,"target":"M","arguments":{list}}}"#).as_bytes());
            assert_eq!(kept.read::<u8>(0), None, "{list}");
        }
    }
}
