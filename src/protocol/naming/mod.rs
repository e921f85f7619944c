//! A thin wrapper around any serde serializer or deserializer, which knows the format and the naming: .NET's names, and
//! values that have two forms.
//!
//! JSON with serde's names needs no wrapper. Around MessagePack there is always one, since dates and the like have
//! another form there than in texts; see [`FORMAT_DEPENDENT`].
//!
//! What `Naming::DotNet` promises, and what this module does, is what an ASP.NET Core server does with plain types:
//!
//! | | JSON | MessagePack |
//! |---|---|---|
//! | fields of structs, written | camel case: `string_prop` is `stringProp` | Pascal case: `StringProp` |
//! | fields of structs, read | the same in any case; others are skipped | exactly that; others are skipped |
//! | variants without data, written | their index from 0, as a number | their name |
//! | variants without data, read | a number | a text: their name, or their index in digits; blanks around are fine |
//! | as keys of maps | their name; read in any case, or as digits | their name; read as values are |
//! | other variants | `{"Variant": content}`, as serde has it | the same |
//! | `char`, which is one UTF-16 unit in C# | a text of one character up to U+FFFF | its number |
//! | integers beyond 64 bits | a number | those within 64 bits; others are an error |
//!
//! A field's name on the wire comes from the name that serde has for it, so a `serde(rename)` is spelled again by the
//! same rules; a name that could not be one in C# (`$type`, `odata.id`) stays as it is. Keys of maps are never renamed:
//! not even those of `serde(flatten)`, which serde enters as a map. Structs are read from maps only, not from lists.
//!
//! # What serde does not show
//!
//! * The index of a variant is its place among the variants; `Red = 5` is invisible to serde, and a number that no
//!   variant has is refused unless one is marked `serde(other)`. Variants are no flags: `"Red, Blue"` is refused.
//! * Where serde buffers a value before it knows its type (`untagged`, `tag = ".."`, `flatten`), it reads the buffer by
//!   itself: with its own names for fields, and with texts for variants without data. So what such a type holds is read
//!   in JSON only if `rename_all` gives it camel case, and enums in it need a `Deserialize` that takes numbers.
//! * The tag of `tag = "..", content = ".."` is a variant without data, so a number in JSON. Fields in the braces of
//!   such a variant are read with serde's names; those of a struct of its own are not.
//!   The same goes for a `char` in MessagePack.
//! * Derived code refuses a field that comes twice; .NET takes the last. [`buffered`] reads such a value after all.
//!
//! Sources: System.Text.Json's `JsonNamingPolicy.CamelCase` and `PropertyNameCaseInsensitive`, which ASP.NET Core sets
//! (`aspnet: JsonHubProtocol.cs`), and MessagePack-CSharp's contractless resolver and enums as texts
//! (`aspnet: DefaultMessagePackHubProtocolWorker.cs`); in doubt, what a running server did.

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

/// Writes `value`; `serializer` writes the format of `protocol`.
pub(super) fn serialize<T, S>(value: &T, protocol: HubProtocol, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Serialize + ?Sized,
    S: Serializer,
{
    Wire::new(value, NamingRules::of(protocol)).serialize(serializer)
}

/// Reads what `seed` wants; `deserializer` reads the format of `protocol`.
///
/// With .NET's names, a value that [`buffered::is_duplicate_field`] says was refused can be read by
/// [`buffered::deserialize`].
pub(super) fn deserialize<'de, S, D>(seed: S, protocol: HubProtocol, deserializer: D) -> Result<S::Value, D::Error>
where
    S: DeserializeSeed<'de>,
    D: Deserializer<'de>,
{
    WireSeed::new(seed, NamingRules::of(protocol)).deserialize(deserializer)
}

/// The name of newtypes around values that have one form in JSON and another one in MessagePack.
///
/// [`DateTime`](super::values::DateTime) and its like are made so, and types of one's own can be. Such a type goes through
/// `serialize_newtype_struct` and `deserialize_newtype_struct` with this name, and picks its form inside of it, by
/// `is_human_readable`: yes for JSON and all that knows nothing of this name, no for MessagePack. Everywhere else both
/// formats say yes to that question, as ids and the like want to be texts in both.
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

/// How an extension of MessagePack is asked for and written: a newtype of this name around its type and its bytes
/// (`rmp_serde::MSGPACK_EXT_STRUCT_NAME`).
pub(super) const EXTENSION: &str = "_ExtStruct";

/// The rules that hold at one place of a value.
#[derive(Clone, Copy, Debug)]
struct NamingRules {
    protocol: HubProtocol,
    /// Whether this place is the key of a map; in JSON that is a text, whatever the type.
    key: bool,
    /// Whether this place is inside a value that has two forms, and is to take that of MessagePack.
    binary: bool,
}

impl NamingRules {
    const fn of(protocol: HubProtocol) -> Self {
        Self { protocol, key: false, binary: false }
    }

    const fn for_key(self) -> Self {
        Self { key: true, ..self }
    }

    /// The rules inside a newtype.
    fn inside(self, newtype: &'static str) -> Self {
        Self { binary: self.binary || (!self.is_json() && newtype == FORMAT_DEPENDENT), ..self }
    }

    const fn is_json(self) -> bool {
        matches!(self.protocol.kind(), HubProtocolKind::Json)
    }

    /// Whether names, enums and chars are .NET's.
    const fn is_dot_net(self) -> bool {
        matches!(self.protocol.naming(), Naming::DotNet)
    }

    /// Whether variants without data are numbers here, and not texts.
    const fn numbers_variants(self) -> bool {
        self.is_dot_net() && self.is_json() && !self.key
    }

    /// Whether chars are numbers here, and not texts.
    const fn numbers_chars(self) -> bool {
        self.is_dot_net() && !self.is_json()
    }
}
