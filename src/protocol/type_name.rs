//! .NET's names of Rust types.

use std::any::type_name;
use std::borrow::Cow;

/// Returns the short name of the .NET type that corresponds to `T`, as error texts show it.
///
/// `i32` is `Int32`, and a user-defined type has its own name without the path. `Option<T>` is
/// ``Nullable`1`` if `T` is a value type in .NET. Otherwise it has the name of `T`: a string that may be null is a `String`.
pub fn short_type_name<T: ?Sized>() -> Cow<'static, str> {
    short(type_name::<T>())
}

fn short(name: &'static str) -> Cow<'static, str> {
    if let Some(inner) = optional(name) {
        let inner = short(inner);
        return if is_value(&inner) { "Nullable`1".into() } else { inner };
    }
    let (base, parameters) = name.split_once('<').map_or((name, None), |(base, parameters)| (base, Some(parameters)));
    let short = match base {
        "bool" => "Boolean",
        "char" => "Char",
        "u8" => "Byte",
        "i8" => "SByte",
        "i16" => "Int16",
        "u16" => "UInt16",
        "i32" => "Int32",
        "u32" => "UInt32",
        "i64" | "isize" => "Int64",
        "u64" | "usize" => "UInt64",
        "f32" => "Single",
        "f64" => "Double",
        "alloc::string::String" => "String",
        "alloc::vec::Vec" => return "List`1".into(),
        "std::collections::hash::map::HashMap" | "alloc::collections::btree::map::BTreeMap" => {
            return "Dictionary`2".into();
        }
        "serde_json::value::Value" => "Object",
        "uuid::Uuid" => "Guid",
        _ if name.ends_with("::binary::Binary") => "Byte[]",
        _ if name.ends_with("::dynamic::value::Value") => "Object",
        _ => base.rsplit("::").next().unwrap_or(base),
    };
    match parameters {
        None => short.into(),
        Some(parameters) => format!("{short}`{}", arity(parameters)).into(),
    }
}

/// Returns the name with its namespace if .NET has one for it: `System.Int32`.
pub(super) fn full_type_name<T: ?Sized>() -> Cow<'static, str> {
    full(type_name::<T>())
}

fn full(name: &'static str) -> Cow<'static, str> {
    if let Some(inner) = optional(name) {
        let inner_name = full(inner);
        return if is_value(&short(inner)) { format!("System.Nullable`1[{inner_name}]").into() } else { inner_name };
    }
    let name = short(name);
    match &*name {
        "String" | "Object" | "Byte[]" => format!("System.{name}").into(),
        value if is_value(value) => format!("System.{value}").into(),
        _ => name,
    }
}

/// Returns the name of the type inside an `Option`.
fn optional(name: &'static str) -> Option<&'static str> {
    name.strip_prefix("core::option::Option<")?.strip_suffix('>')
}

/// Returns whether a name is that of a .NET value type, which is never null.
fn is_value(name: &str) -> bool {
    matches!(
        name,
        "Boolean"
            | "Char"
            | "Byte"
            | "SByte"
            | "Int16"
            | "UInt16"
            | "Int32"
            | "UInt32"
            | "Int64"
            | "UInt64"
            | "Single"
            | "Double"
            | "Guid"
            | "DateTime"
            | "DateTimeOffset"
            | "TimeSpan"
            | "Decimal"
    )
}

/// Returns the number of type parameters after the first `<`.
fn arity(parameters: &str) -> usize {
    let mut depth = 0_usize;
    1 + parameters
        .chars()
        .filter(|c| {
            match c {
                '<' | '(' | '[' => depth += 1,
                '>' | ')' | ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            *c == ',' && depth == 0
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Person;
    struct Pair<A, B>(std::marker::PhantomData<(A, B)>);

    #[test]
    fn types_have_the_names_of_dotnet() {
        assert_eq!(short_type_name::<i32>(), "Int32");
        assert_eq!(short_type_name::<String>(), "String");
        assert_eq!(short_type_name::<Vec<String>>(), "List`1");
        assert_eq!(short_type_name::<Person>(), "Person");
        assert_eq!(short_type_name::<Pair<Vec<(i32, i32)>, String>>(), "Pair`2");
        assert_eq!(short_type_name::<crate::protocol::values::Binary>(), "Byte[]");
        assert_eq!(full_type_name::<crate::protocol::values::Value>(), "System.Object");
        assert_eq!(full_type_name::<i32>(), "System.Int32");
        assert_eq!(full_type_name::<Person>(), "Person");
    }

    #[test]
    fn options_of_reference_types_have_the_name_of_their_type() {
        assert_eq!(short_type_name::<Option<i32>>(), "Nullable`1");
        assert_eq!(full_type_name::<Option<i32>>(), "System.Nullable`1[System.Int32]");
        assert_eq!(short_type_name::<Option<String>>(), "String");
        assert_eq!(full_type_name::<Option<String>>(), "System.String");
        assert_eq!(short_type_name::<Option<Vec<Option<i32>>>>(), "List`1");
        assert_eq!(short_type_name::<Option<Person>>(), "Person");
    }
}
