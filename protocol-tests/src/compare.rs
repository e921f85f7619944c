//! Compares what a server sent with the transcript.

use std::fmt;

use serde_json::{Map, Value};

use crate::bindings::{Bindings, sole_placeholder};

/// Difference between a server and a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Index of the event in the transcript, from 0.
    pub event: usize,
    /// Description of the difference, with its path in the event.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {}", self.event, self.what)
    }
}

/// Compares the fields of an expectation. If a value in `expected` is a single unbound `${name}`,
/// binds the name to the actual value.
///
/// JSON is compared as values: the order of keys does not matter, and numbers are equal if they are
/// equal as doubles.
pub(crate) fn compare(
    expected: &Map<String, Value>,
    actual: &Map<String, Value>,
    bindings: &mut Bindings,
) -> Vec<String> {
    let mut comparison = Comparison { bindings, path: String::new(), differences: Vec::new() };
    comparison.objects(expected, actual);
    comparison.differences
}

/// Prints a value for a difference, truncated if it is long.
pub(crate) fn truncated(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

struct Comparison<'a> {
    bindings: &'a mut Bindings,
    path: String,
    differences: Vec<String>,
}

impl Comparison<'_> {
    fn values(&mut self, expected: &Value, actual: &Value) {
        match (expected, actual) {
            (Value::Object(expected), Value::Object(actual)) => self.objects(expected, actual),
            (Value::Array(expected), Value::Array(actual)) => self.arrays(expected, actual),
            (Value::String(expected), _) => self.text(expected, actual),
            (Value::Number(want), Value::Number(got)) if want.as_f64() == got.as_f64() => {}
            (Value::Null | Value::Bool(_), _) if expected == actual => {}
            _ => self.differ(format_args!("want {} got {}", truncated(expected), truncated(actual))),
        }
    }

    fn objects(&mut self, expected: &Map<String, Value>, actual: &Map<String, Value>) {
        for (key, value) in expected {
            self.field(key, Some(value), actual.get(key));
        }
        for (key, value) in actual.iter().filter(|(key, _)| !expected.contains_key(*key)) {
            self.field(key, None, Some(value));
        }
    }

    fn arrays(&mut self, expected: &[Value], actual: &[Value]) {
        for index in 0..expected.len().max(actual.len()) {
            self.field(&index.to_string(), expected.get(index), actual.get(index));
        }
    }

    fn field(&mut self, key: &str, expected: Option<&Value>, actual: Option<&Value>) {
        let above = self.path.len();
        self.path.push('.');
        self.path.push_str(key);
        match (expected, actual) {
            // `Vary` is for caches, and no response of a hub may be cached.
            _ if self.path == ".headers.vary" => {}
            (Some(expected), Some(actual)) => self.values(expected, actual),
            (Some(expected), None) => self.differ(format_args!("missing, want {}", truncated(expected))),
            (None, Some(actual)) => self.differ(format_args!("unexpected {}", truncated(actual))),
            (None, None) => {}
        }
        self.path.truncate(above);
    }

    fn text(&mut self, expected: &str, actual: &Value) {
        if let Some(name) = sole_placeholder(expected)
            && self.bindings.get(name).is_none()
        {
            match actual {
                Value::String(value) if !value.is_empty() => self.bindings.bind(name, value.clone()),
                _ => self.differ(format_args!("want a value for {expected}, got {}", truncated(actual))),
            }
            return;
        }
        let expected = Value::String(self.bindings.fill(expected));
        if expected != *actual {
            self.differ(format_args!("want {} got {}", truncated(&expected), truncated(actual)));
        }
    }

    fn differ(&mut self, how: fmt::Arguments<'_>) {
        self.differences.push(format!("{}: {how}", self.path));
    }
}

/// Number of characters of a value in a difference; enough for any ordinary message.
const MAX_SHOWN_CHARACTERS: usize = 400;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differences(expected: Value, actual: Value) -> Vec<String> {
        differences_with(&mut Bindings::default(), expected, actual)
    }

    fn differences_with(bindings: &mut Bindings, expected: Value, actual: Value) -> Vec<String> {
        let (Value::Object(expected), Value::Object(actual)) = (expected, actual) else {
            panic!("both values are objects")
        };
        compare(&expected, &actual, bindings)
    }

    #[test]
    fn order_of_keys_does_not_matter() {
        let expected = serde_json::from_str(r#"{"a":1,"b":[true,null,"x",{"c":2.5}]}"#).unwrap();
        let actual = serde_json::from_str(r#"{"b":[true,null,"\u0078",{"c":2.50}],"a":1}"#).unwrap();
        assert_eq!(differences(expected, actual), [""; 0]);
    }

    #[test]
    fn numbers_are_compared_as_doubles() {
        let expected = json!({ "whole": 1, "long": 9_223_372_036_854_776_000_u64, "half": 0.5 });
        let actual = json!({ "whole": 1.0, "long": i64::MAX, "half": 0.25 });
        assert_eq!(differences(expected, actual), [".half: want 0.5 got 0.25"]);
    }

    #[test]
    fn missing_and_unexpected_fields_differ() {
        let found = differences(json!({ "json": { "result": null } }), json!({ "json": { "error": "x" } }));
        assert_eq!(found, [".json.result: missing, want null", ".json.error: unexpected \"x\""]);
    }

    #[test]
    fn null_differs_from_an_absent_field_and_from_false() {
        assert_eq!(differences(json!({ "a": null }), json!({})), [".a: missing, want null"]);
        assert_eq!(differences(json!({ "a": null }), json!({ "a": false })), [".a: want null got false"]);
    }

    #[test]
    fn text_differs_from_a_number_with_the_same_digits() {
        assert_eq!(differences(json!({ "a": "1" }), json!({ "a": 1 })), [".a: want \"1\" got 1"]);
        assert_eq!(differences(json!({ "a": 1 }), json!({ "a": "1" })), [".a: want 1 got \"1\""]);
    }

    #[test]
    fn arrays_of_different_lengths_differ() {
        assert_eq!(differences(json!({ "a": [1, 2] }), json!({ "a": [1] })), [".a.1: missing, want 2"]);
        assert_eq!(differences(json!({ "a": [1] }), json!({ "a": [1, 2] })), [".a.1: unexpected 2"]);
        assert_eq!(differences(json!({ "a": [] }), json!({ "a": {} })), [".a: want [] got {}"]);
    }

    #[test]
    fn bound_names_keep_their_value() {
        let mut bindings = Bindings::default();
        let bind = differences_with(&mut bindings, json!({ "id": "${a}" }), json!({ "id": "7" }));
        let same = differences_with(&mut bindings, json!({ "text": "<${a}>" }), json!({ "text": "<7>" }));
        let other = differences_with(&mut bindings, json!({ "id": "${a}" }), json!({ "id": "8" }));
        assert_eq!((bind.len(), same.len()), (0, 0));
        assert_eq!(other, [".id: want \"7\" got \"8\""]);
    }

    #[test]
    fn names_are_bound_to_nonempty_text_only() {
        for value in [json!(null), json!(7), json!("")] {
            let mut bindings = Bindings::default();
            let found = differences_with(&mut bindings, json!({ "id": "${a}" }), json!({ "id": value }));
            assert_eq!(found.len(), 1, "{value}");
            assert_eq!(bindings.get("a"), None);
        }
    }

    #[test]
    fn vary_is_ignored_as_a_header_only() {
        assert_eq!(differences(json!({ "headers": {} }), json!({ "headers": { "vary": "Origin" } })), [""; 0]);
        assert_eq!(differences(json!({}), json!({ "vary": 1 })), [".vary: unexpected 1"]);
    }

    #[test]
    fn long_values_are_truncated() {
        let text = truncated(&json!("é".repeat(1000)));
        assert!(text.ends_with("… (2002 bytes)"), "{text}");
    }
}
