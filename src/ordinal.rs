//! Case-insensitive comparison, as in C#'s `StringComparison.OrdinalIgnoreCase`.

/// Whether two texts are equal but for case. Stops at the first difference.
pub(crate) fn eq(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.chars().map(upper).eq(b.chars().map(upper))
}

/// Maps texts that are [equal](eq) to the same text, which has as many characters as `text`.
pub(crate) fn fold(text: &str) -> String {
    text.chars().map(upper).collect()
}

/// The simple upper-case mapping of Unicode, with the exceptions of .NET
/// (`dotnet: OrdinalCasing.Icu.cs`).
///
/// `macros/src/ordinal.rs` is a copy of this function, since the macros cannot depend on this
/// crate.
pub(crate) fn upper(letter: char) -> char {
    let shifted = |distance| char::from_u32(u32::from(letter) + distance).unwrap_or(letter);
    match letter {
        _ if letter.is_ascii() => letter.to_ascii_uppercase(),
        // .NET does not map the dotless i to I, nor the long s to S.
        '\u{131}' | '\u{17f}' => letter,
        // Greek letters with an iota subscript, which `char::to_uppercase` maps to two letters.
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => shifted(8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => shifted(9),
        _ => {
            let mut upper = letter.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(upper), None) => upper,
                _ => letter,
            }
        }
    }
}

#[cfg(test)]
#[path = "../macros/src/ordinal.rs"]
mod copy;

#[cfg(test)]
mod tests {
    use icu_casemap::CaseMapper;

    use super::*;

    /// ASP.NET Core 10 maps each of these letters likewise, except for those new in Unicode 17.
    #[test]
    fn upper_is_the_simple_unicode_mapping_with_two_exceptions() {
        let unicode = CaseMapper::new();
        let differs = |c: &char| upper(*c) != unicode.simple_uppercase(*c);
        // `icu_casemap` may implement a newer Unicode version than the standard library, for which
        // its new capitals are not letters.
        let is_new = |c: &char| !unicode.simple_uppercase(*c).is_alphabetic();
        let differ: Vec<char> = (char::MIN..=char::MAX).filter(differs).filter(|c| !is_new(c)).collect();
        assert_eq!(differ, ['\u{131}', '\u{17f}']);
    }

    #[test]
    fn macros_use_the_same_mapping() {
        let differ: Vec<char> = (char::MIN..=char::MAX).filter(|&c| copy::upper(c) != upper(c)).collect();
        assert_eq!(differ, [char::MIN; 0]);
    }

    #[test]
    fn texts_are_equal_if_and_only_if_their_folded_forms_are() {
        for (a, b, equal) in [
            ("subscribeToWard", "SUBSCRIBETOWARD", true),
            ("größe", "GRÖßE", true),
            ("größe", "GRÖSSE", false),
            ("ῳ", "ῼ", true),
            ("𐐨", "𐐀", true),
            ("tags", "tag\u{17f}", false),
            ("friend", "fr\u{131}end", false),
            ("name", "na\u{130}e", false),
            ("k", "\u{212a}", false),
            ("name", "names", false),
            ("", "", true),
        ] {
            assert_eq!(eq(a, b), equal, "{a} {b}");
            assert_eq!(fold(a) == fold(b), equal, "{a} {b}");
            assert_eq!(fold(a).chars().count(), a.chars().count());
        }
    }
}
