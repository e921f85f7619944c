//! .NET's names: a thin wrapper around any serde serializer or deserializer.
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
//! * Derived code refuses a field that comes twice; .NET takes the last. [`buffered`] reads such a value after all.
//!
//! Sources: System.Text.Json's `JsonNamingPolicy.CamelCase` and `PropertyNameCaseInsensitive`, which ASP.NET Core sets
//! (`aspnet: JsonHubProtocol.cs`), and MessagePack-CSharp's contractless resolver and enums as texts
//! (`aspnet: DefaultMessagePackHubProtocolWorker.cs`); in doubt, what a running server did.

mod access;
pub(super) mod buffered;
mod case;
mod deserializer;
mod enums;
mod fields;
mod serializer;
mod spellings;

#[cfg(test)]
mod tests;

use serde::de::{DeserializeSeed, Deserializer};
use serde::{Serialize, Serializer};

use self::deserializer::DotNetSeed;
use self::serializer::DotNet;
use super::Format;

/// Writes `value` with .NET's names; `serializer` writes `format`.
pub(super) fn serialize<T, S>(value: &T, format: Format, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Serialize + ?Sized,
    S: Serializer,
{
    DotNet::new(value, Rules::of(format)).serialize(serializer)
}

/// Reads what `seed` wants with .NET's names; `deserializer` reads `format`.
///
/// A value that [`buffered::is_duplicate_field`] says was refused can be read by [`buffered::deserialize`].
pub(super) fn deserialize<'de, S, D>(seed: S, format: Format, deserializer: D) -> Result<S::Value, D::Error>
where
    S: DeserializeSeed<'de>,
    D: Deserializer<'de>,
{
    DotNetSeed::new(seed, Rules::of(format)).deserialize(deserializer)
}

/// The rules that hold at one place of a value.
#[derive(Clone, Copy, Debug)]
struct Rules {
    format: Format,
    /// Whether this place is the key of a map; in JSON that is a text, whatever the type.
    key: bool,
}

impl Rules {
    const fn of(format: Format) -> Self {
        Self { format, key: false }
    }

    const fn for_key(self) -> Self {
        Self { key: true, ..self }
    }

    const fn is_json(self) -> bool {
        matches!(self.format, Format::Json)
    }

    /// Whether variants without data are numbers here, and not texts.
    const fn numbers_variants(self) -> bool {
        self.is_json() && !self.key
    }
}
