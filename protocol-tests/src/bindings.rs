//! Values of the placeholders `${name}`.

use std::collections::HashMap;

/// Values of the names that are bound so far.
#[derive(Debug, Default)]
pub(crate) struct Bindings(HashMap<String, String>);

impl Bindings {
    /// Returns the value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Binds a name.
    pub(crate) fn bind(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    /// Replaces every bound `${name}` in `text`. Unbound ones stay.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, name, after)) = next_placeholder(rest) {
            filled.push_str(before);
            match self.get(name) {
                Some(value) => filled.push_str(value),
                None => filled.push_str(&rest[before.len()..rest.len() - after.len()]),
            }
            rest = after;
        }
        filled + rest
    }
}

/// Returns the name if `text` is one `${name}` and nothing else.
pub(crate) fn sole_placeholder(text: &str) -> Option<&str> {
    match next_placeholder(text) {
        Some(("", name, "")) => Some(name),
        _ => None,
    }
}

/// Finds the first `${name}` in a text. Returns the text before it, the name, and the text after
/// it.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("${")?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(name: &str, value: &str) -> Bindings {
        let mut bindings = Bindings::default();
        bindings.bind(name, value.to_owned());
        bindings
    }

    #[test]
    fn bound_names_are_replaced() {
        assert_eq!(bound("a.id", "7").fill("<${a.id}|${a.id}>"), "<7|7>");
    }

    #[test]
    fn unbound_names_stay() {
        assert_eq!(bound("a", "7").fill("x ${b} ${a} y"), "x ${b} 7 y");
    }

    #[test]
    fn replaced_text_is_not_replaced_again() {
        assert_eq!(bound("a", "${a}").fill("${a}"), "${a}");
    }

    #[test]
    fn unfinished_placeholder_stays() {
        assert_eq!(bound("a", "7").fill("{$a ${a"), "{$a ${a");
    }

    #[test]
    fn sole_placeholder_is_the_whole_text() {
        assert_eq!(sole_placeholder("${a.id}"), Some("a.id"));
        assert_eq!(sole_placeholder("${a}."), None);
        assert_eq!(sole_placeholder(" ${a}"), None);
        assert_eq!(sole_placeholder("a"), None);
    }
}
