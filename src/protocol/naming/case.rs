//! Conversion of names into .NET's casing.

use std::borrow::Cow;

use crate::ordinal::upper;

/// Returns whether a name is a valid C# identifier. Other names are not converted.
pub(super) fn is_csharp(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter == '_' || letter.is_alphanumeric())
}

/// Converts a name into Pascal case: `string_prop` is `StringProp`.
///
/// The name is split into words at `_`, and the first letter of each word becomes upper case. The
/// other letters do not change. Leading underscores and the word after them are kept, as in C#'s
/// `_stringProp`, so that `id` and `_id` remain distinct.
pub(super) fn pascal(name: &str) -> Cow<'_, str> {
    let words = name.trim_start_matches('_');
    if words.is_empty() {
        return Cow::Borrowed(name);
    }
    let mut spelled = String::with_capacity(name.len());
    spelled.push_str(&name[..name.len() - words.len()]);
    for word in words.split('_') {
        let mut letters = word.chars();
        let first = letters.next();
        spelled.extend(if spelled.ends_with('_') { first } else { first.map(upper) });
        spelled.push_str(letters.as_str());
    }
    Cow::Owned(spelled)
}

/// Converts a C# name into camel case: `StringProp` is `stringProp`, `URLValue` is `urlValue`.
///
/// Leading upper-case letters become lower case, except the one that begins the next word
/// (`JsonNamingPolicy.CamelCase`).
pub(super) fn camel(name: &str) -> Cow<'_, str> {
    if !name.starts_with(char::is_uppercase) {
        return Cow::Borrowed(name);
    }
    let mut spelled = String::with_capacity(name.len());
    let mut letters = name.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let begins_next_word = at > 0 && letters.peek().is_some_and(|(_, next)| !next.is_uppercase());
        if !letter.is_uppercase() || begins_next_word {
            spelled.push_str(&name[at..]);
            break;
        }
        spelled.push(lower(letter));
    }
    Cow::Owned(spelled)
}

/// Returns the lower-case letter if there is exactly one, or the letter itself.
fn lower(letter: char) -> char {
    let mut lower = letter.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_names_become_pascal_case() {
        for (rust, csharp) in [
            ("name", "Name"),
            ("string_prop", "StringProp"),
            ("stringProp", "StringProp"),
            ("StringProp", "StringProp"),
            ("id", "Id"),
            ("ID", "ID"),
            ("URLValue", "URLValue"),
            ("type_", "Type"),
            ("line_1", "Line1"),
            ("two__words", "TwoWords"),
            ("_id", "_id"),
            ("_string_prop", "_stringProp"),
            ("__", "__"),
            ("größe_in_cm", "GrößeInCm"),
            ("élan", "Élan"),
            ("ßa", "ßa"),
        ] {
            assert_eq!(pascal(rust), csharp, "{rust}");
        }
    }

    #[test]
    fn names_that_are_no_csharp_identifiers_are_recognized() {
        for name in ["", "$type", "odata.id", "@id", "kebab-case", "two words", "$serde_json::private::RawValue"] {
            assert!(!is_csharp(name), "{name}");
        }
        for name in ["a", "_", "string_prop", "Größe2"] {
            assert!(is_csharp(name), "{name}");
        }
    }

    #[test]
    fn csharp_names_become_camel_case() {
        for (csharp, json) in [
            ("StringProp", "stringProp"),
            ("Name", "name"),
            ("ID", "id"),
            ("URLValue", "urlValue"),
            ("URL", "url"),
            ("IPhone", "iPhone"),
            ("IsCIA", "isCIA"),
            ("XMLHttpRequest", "xmlHttpRequest"),
            ("I", "i"),
            ("A1", "a1"),
            ("AB1", "aB1"),
            ("already", "already"),
            ("_Id", "_Id"),
            ("Élan", "élan"),
            ("", ""),
        ] {
            assert_eq!(camel(csharp), json, "{csharp}");
        }
    }
}
