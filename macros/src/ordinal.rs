//! Case-insensitive comparison of names, as in the server.

/// Copy of `upper` in `src/ordinal.rs` of the `signalr` crate, whose tests compare the two.
pub(crate) fn upper(letter: char) -> char {
    let shifted = |distance| char::from_u32(u32::from(letter) + distance).unwrap_or(letter);
    match letter {
        '\u{131}' | '\u{17f}' => letter,
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
