//! The names that .NET has for the types of Rust.

use std::any::type_name;
use std::borrow::Cow;

/// The short name of the .NET type that stands for `T`, as error texts show it: `Int32` for `i32`, `String` for
/// `String`; for a type of one's own, its name without the path.
pub fn short_type_name<T: ?Sized>() -> Cow<'static, str> {
    let name = type_name::<T>();
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
        "core::option::Option" => return "Nullable`1".into(),
        "alloc::vec::Vec" => return "List`1".into(),
        "std::collections::hash::map::HashMap" | "alloc::collections::btree::map::BTreeMap" => {
            return "Dictionary`2".into();
        }
        "serde_json::value::Value" => "Object",
        "uuid::Uuid" => "Guid",
        _ if name.ends_with("::format::Binary") => "Byte[]",
        _ => base.rsplit("::").next().unwrap_or(base),
    };
    match parameters {
        None => short.into(),
        Some(parameters) => format!("{short}`{}", arity(parameters)).into(),
    }
}

/// The same with its namespace, where .NET has one for it: `System.Int32`.
pub(super) fn full_type_name<T: ?Sized>() -> Cow<'static, str> {
    let name = short_type_name::<T>();
    match &*name {
        "Boolean" | "Char" | "Byte" | "SByte" | "Int16" | "UInt16" | "Int32" | "UInt32" | "Int64" | "UInt64"
        | "Single" | "Double" | "String" | "Object" | "Guid" | "Byte[]" | "DateTime" | "DateTimeOffset"
        | "TimeSpan" | "Decimal" => format!("System.{name}").into(),
        _ => name,
    }
}

/// How many type parameters stand behind the first `<`.
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
    fn types_go_by_their_names_in_dotnet() {
        assert_eq!(short_type_name::<i32>(), "Int32");
        assert_eq!(short_type_name::<String>(), "String");
        assert_eq!(short_type_name::<Vec<String>>(), "List`1");
        assert_eq!(short_type_name::<Person>(), "Person");
        assert_eq!(short_type_name::<Pair<Vec<(i32, i32)>, String>>(), "Pair`2");
        assert_eq!(short_type_name::<crate::protocol::Binary>(), "Byte[]");
    }
}
