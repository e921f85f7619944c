//! How .NET spells and compares names.

use std::borrow::Cow;

/// Whether C# could have such a name. One that it could not have was meant literally.
pub(super) fn is_csharp(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter == '_' || letter.is_alphanumeric())
}

/// The name that a C# developer would have given: `string_prop` is `StringProp`.
///
/// Words are split at `_` and begin with a capital; nothing else changes. Where underscores stand first, they and the
/// word behind them stay, as in C#'s `_stringProp`; so `id` and `_id` remain two names.
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

/// The name of a property in JSON, made of its name in C#: `StringProp` is `stringProp`, `URLValue` is `urlValue`.
///
/// Leading capitals become small, but for the one that begins the next word (`JsonNamingPolicy.CamelCase`).
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

/// Compares as `StringComparer.OrdinalIgnoreCase` does: letter by letter, without regard to language.
pub(super) fn eq_ignore_case(left: &str, right: &str) -> bool {
    if left.is_ascii() && right.is_ascii() {
        left.eq_ignore_ascii_case(right)
    } else {
        left.chars().map(upper).eq(right.chars().map(upper))
    }
}

/// The capital of a letter that has exactly one, else the letter.
fn upper(letter: char) -> char {
    match letter {
        // .NET leaves these alone: the dotless i and the long s, which are no other spellings of I and S.
        '\u{131}' | '\u{17f}' => letter,
        _ => only(letter.to_uppercase()).unwrap_or(letter),
    }
}

/// The small letter of a capital that has exactly one, else the letter.
fn lower(letter: char) -> char {
    only(letter.to_lowercase()).unwrap_or(letter)
}

fn only(mut mapped: impl Iterator<Item = char>) -> Option<char> {
    let first = mapped.next();
    first.filter(|_| mapped.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_names_become_names_of_csharp() {
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
    fn names_that_csharp_cannot_have_are_known() {
        for name in ["", "$type", "odata.id", "@id", "kebab-case", "two words", "$serde_json::private::RawValue"] {
            assert!(!is_csharp(name), "{name}");
        }
        for name in ["a", "_", "string_prop", "Größe2"] {
            assert!(is_csharp(name), "{name}");
        }
    }

    #[test]
    fn names_of_csharp_become_camel_case() {
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

    #[test]
    fn case_is_ignored_letter_by_letter() {
        assert!(eq_ignore_case("stringProp", "STRINGPROP"));
        assert!(eq_ignore_case("größe", "GRÖßE"));
        assert!(!eq_ignore_case("größe", "GRÖSSE"));
        assert!(!eq_ignore_case("name", "names"));
        assert!(!eq_ignore_case("tags", "tag\u{17f}"));
        assert!(!eq_ignore_case("friend", "fr\u{131}end"));
        assert!(!eq_ignore_case("name", "na\u{130}e"));
    }
}
