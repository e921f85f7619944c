//! Wrapper around serde serializers and deserializers that applies .NET's naming and selects the
//! forms of format-dependent values.
//!
//! JSON with serde's names needs no wrapper. MessagePack always has one, because dates and similar
//! values have another form in MessagePack than in JSON; see [`FORMAT_DEPENDENT`].
//!
//! With `Naming::DotNet`, this module does what an ASP.NET Core server does with plain types:
//!
//! | | JSON | MessagePack |
//! |---|---|---|
//! | fields of structs, written | camel case: `string_prop` is `stringProp` | Pascal case: `StringProp` |
//! | fields of structs, read | camel case in any case; others are skipped | Pascal case, case-sensitive; others are skipped |
//! | variants without data, written | index from 0, as a number | name |
//! | variants without data, read | number | string: name, or index in digits; surrounding white space is ignored |
//! | variants without data as keys of maps | name; read in any case or as digits | name; read like values |
//! | other variants | `{"Variant": content}`, as in serde | `{"Variant": content}`, as in serde |
//! | `char`, one UTF-16 code unit in C# | string of one character up to U+FFFF | number |
//! | integers of 128 bits | number | within 64 bits: integer; beyond: error |
//!
//! The name of a field on the wire is derived from its serde name, including `serde(rename)`. A
//! name that is not a valid C# identifier (`$type`, `odata.id`) is not changed. Keys of maps are
//! never renamed, which includes the fields of `serde(flatten)`, because serde serializes them as
//! map entries. Structs are read from maps only, not from lists.
//!
//! # Limitations of serde
//!
//! * The index of a variant is its position among the variants: serde does not expose discriminants
//!   such as `Red = 5`. A number without a variant is an error unless a variant is marked
//!   `serde(other)`. Variants are not flags: `"Red, Blue"` is an error.
//! * Where serde buffers a value before its type is known (`untagged`, `tag = ".."`, `flatten`),
//!   serde itself reads the buffer: with its own names for fields, and with strings for variants
//!   without data. In JSON, such a type is read only if `rename_all` gives its fields camel case,
//!   and enums in it need a `Deserialize` implementation that accepts numbers. In MessagePack, a
//!   `char` in it cannot be read.
//! * The tag of `tag = "..", content = ".."` is a variant without data and therefore a number in
//!   JSON. Fields in the braces of such a variant have serde's names, and a `char` in them is a
//!   string in MessagePack. The fields of a struct in a newtype variant follow the rules.
//! * Derived code rejects a field that occurs twice, whereas .NET uses the last one. [`buffered`]
//!   reads such a value.
//!
//! Sources: System.Text.Json's `JsonNamingPolicy.CamelCase` and `PropertyNameCaseInsensitive`,
//! which ASP.NET Core sets (`aspnet: JsonHubProtocol.cs`), and MessagePack-CSharp's contractless
//! resolver with enums as strings (`aspnet: DefaultMessagePackHubProtocolWorker.cs`). Where they
//! leave a doubt, the behavior of a running server decides.

mod access;
pub(super) mod buffered;
mod case;
mod chars;
mod deserializer;
mod enums;
mod fields;
mod name_cache;
mod serializer;

#[cfg(test)]
mod tests;

use serde::de::{DeserializeSeed, Deserializer};
use serde::{Serialize, Serializer};

use self::deserializer::WireSeed;
use self::serializer::Wire;
use super::{HubProtocol, HubProtocolKind, Naming};

/// Serializes `value` with a serializer of `protocol`.
pub(super) fn serialize<T, S>(value: &T, protocol: HubProtocol, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Serialize + ?Sized,
    S: Serializer,
{
    Wire::new(value, NamingRules::of(protocol)).serialize(serializer)
}

/// Deserializes a value with `seed` from a deserializer of `protocol`.
///
/// With .NET's names, [`buffered::deserialize`] can read a value whose error is
/// [`buffered::is_duplicate_field`].
pub(super) fn deserialize<'de, S, D>(seed: S, protocol: HubProtocol, deserializer: D) -> Result<S::Value, D::Error>
where
    S: DeserializeSeed<'de>,
    D: Deserializer<'de>,
{
    WireSeed::new(seed, NamingRules::of(protocol)).deserialize(deserializer)
}

/// Name of newtypes around values whose form in MessagePack differs from that in JSON.
///
/// [`DateTime`](super::values::DateTime) and similar types use it, and other types can. Such a type
/// calls `serialize_newtype_struct` and `deserialize_newtype_struct` with this name and selects its
/// form inside the newtype by `is_human_readable`, which is false for MessagePack, and true for
/// JSON and for formats that do not recognize the name. Outside such a newtype, `is_human_readable`
/// is true in both hub protocols, so that types such as UUIDs are strings in both.
///
/// ```
/// use serde::ser::{Serialize, Serializer};
/// use signalr::dotnet::{FORMAT_DEPENDENT, Naming};
/// use signalr::protocol::{HubProtocol, HubProtocolKind};
///
/// /// A colour: `"#ff0000"` in JSON, a number in MessagePack.
/// #[derive(Debug, PartialEq)]
/// struct Colour(u32);
///
/// impl Serialize for Colour {
///     fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
///         struct Form(u32);
///         impl Serialize for Form {
///             fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
///                 if serializer.is_human_readable() {
///                     serializer.collect_str(&format_args!("#{:06x}", self.0))
///                 } else {
///                     serializer.serialize_u32(self.0)
///                 }
///             }
///         }
///         serializer.serialize_newtype_struct(FORMAT_DEPENDENT, &Form(self.0))
///     }
/// }
///
/// let mut out = Vec::new();
/// HubProtocol::new(HubProtocolKind::Json, Naming::Serde).write_value(&mut out, &Colour(0xff0000))?;
/// assert_eq!(out, br##""#ff0000""##);
/// # #[cfg(feature = "messagepack")] {
/// out.clear();
/// HubProtocol::new(HubProtocolKind::MessagePack, Naming::Serde).write_value(&mut out, &Colour(0xff0000))?;
/// assert_eq!(out, b"\xce\x00\xff\x00\x00");
/// # }
/// # Ok::<(), signalr::protocol::WriteError>(())
/// ```
pub const FORMAT_DEPENDENT: &str = "$signalr::TwoForms";

/// Name of newtypes that represent MessagePack extensions, around the type and the bytes of the
/// extension (`rmp_serde::MSGPACK_EXT_STRUCT_NAME`).
pub(super) const EXTENSION: &str = "_ExtStruct";

/// Rules for one position in a value.
#[derive(Clone, Copy, Debug)]
struct NamingRules {
    protocol: HubProtocol,
    /// Whether the position is the key of a map. In JSON, keys of all types are strings.
    key: bool,
    /// Whether the position is inside a format-dependent value in MessagePack.
    binary: bool,
}

impl NamingRules {
    const fn of(protocol: HubProtocol) -> Self {
        Self { protocol, key: false, binary: false }
    }

    const fn for_key(self) -> Self {
        Self { key: true, ..self }
    }

    /// Returns the rules inside a newtype.
    fn inside(self, newtype: &'static str) -> Self {
        Self { binary: self.binary || (!self.is_json() && newtype == FORMAT_DEPENDENT), ..self }
    }

    const fn is_json(self) -> bool {
        matches!(self.protocol.kind(), HubProtocolKind::Json)
    }

    /// Returns whether names, enums and chars are .NET's.
    const fn is_dot_net(self) -> bool {
        matches!(self.protocol.naming(), Naming::DotNet)
    }

    /// Returns whether variants without data are numbers and not strings at this position.
    const fn numbers_variants(self) -> bool {
        self.is_dot_net() && self.is_json() && !self.key
    }

    /// Returns whether chars are numbers and not strings.
    const fn numbers_chars(self) -> bool {
        self.is_dot_net() && !self.is_json()
    }
}
