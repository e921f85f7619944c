//! Comparison without regard to case, as C#'s `StringComparison.OrdinalIgnoreCase`.

/// Whether two texts differ at most in case. The cost is that of their common beginning.
pub(crate) fn eq(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.chars().map(upper).eq(b.chars().map(upper))
}

/// The form in which two such texts are equal. It has as many characters as `text`.
pub(crate) fn fold(text: &str) -> String {
    text.chars().map(upper).collect()
}

/// The simple upper-case mapping of Unicode, with the exceptions of .NET (`dotnet: OrdinalCasing.Icu.cs`).
///
/// `macros/src/ordinal.rs` is a copy of this function: a macro cannot use the library that it is for.
pub(crate) fn upper(letter: char) -> char {
    let shifted = |distance| char::from_u32(u32::from(letter) + distance).unwrap_or(letter);
    match letter {
        _ if letter.is_ascii() => letter.to_ascii_uppercase(),
        // To .NET, the dotless i and the long s are not other spellings of I and S.
        '\u{131}' | '\u{17f}' => letter,
        // Greek letters with an iota below, of which `char::to_uppercase` makes two letters.
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

    /// ASP.NET Core 10 was asked about each of these letters, and answers the same, but for those of Unicode 17.
    #[test]
    fn upper_is_the_simple_mapping_of_unicode_with_two_exceptions() {
        let unicode = CaseMapper::new();
        let differs = |c: &char| upper(*c) != unicode.simple_uppercase(*c);
        // The crate may have a newer Unicode than the standard library, to which new capitals are no letters.
        let is_new = |c: &char| !unicode.simple_uppercase(*c).is_alphabetic();
        let differ: Vec<char> = (char::MIN..=char::MAX).filter(differs).filter(|c| !is_new(c)).collect();
        assert_eq!(differ, ['\u{131}', '\u{17f}']);
    }

    #[test]
    fn the_macros_have_the_same_mapping() {
        let differ: Vec<char> = (char::MIN..=char::MAX).filter(|&c| copy::upper(c) != upper(c)).collect();
        assert_eq!(differ, [char::MIN; 0]);
    }

    #[test]
    fn texts_are_equal_exactly_if_their_folded_forms_are() {
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
