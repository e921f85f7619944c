//! Reading of JSON objects that keeps the order and the text of their members.

use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// Returns the members of a JSON object in order, each with the text of its value. Names may
/// repeat.
///
/// `None` for JSON that is invalid, not an object, or nested deeper than the reader of .NET allows.
pub(super) fn members(json: &[u8]) -> Option<Vec<(String, &RawValue)>> {
    if nests_deeper_than(json, MAX_DEPTH) {
        return None;
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    let members = reader.deserialize_map(ObjectMembers).ok()?;
    reader.end().ok()?;
    Some(members)
}

struct ObjectMembers;

impl<'de> Visitor<'de> for ObjectMembers {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

/// Kind of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonKind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

pub(super) fn kind(value: &RawValue) -> JsonKind {
    match value.get().as_bytes().first() {
        Some(b'"') => JsonKind::String,
        Some(b'[') => JsonKind::Array,
        Some(b'{') => JsonKind::Object,
        Some(b't' | b'f') => JsonKind::Bool,
        Some(b'n') => JsonKind::Null,
        _ => JsonKind::Number,
    }
}

/// Returns the content of a JSON string; `None` for another value or an unpaired surrogate.
pub(super) fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// Returns the elements of a JSON array; `None` for another value.
pub(super) fn elements(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

/// Returns an integer as .NET reads it: fractions are truncated, and numeric strings are accepted.
pub(super) fn integer(value: &RawValue) -> Option<i64> {
    let owned;
    let text = match kind(value) {
        JsonKind::Number => value.get(),
        JsonKind::String => {
            owned = string(value)?;
            owned.trim()
        }
        _ => return None,
    };
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        // The bounds are powers of two, which f64 holds exactly; NaN is in no range.
        #[expect(clippy::cast_possible_truncation, reason = "range checked; fractions are truncated")]
        (-TWO_TO_63..TWO_TO_63).contains(&number).then_some(number as i64)
    })
}

/// Formats a number as .NET does in the invariant culture: 64-bit integers unchanged, others as the
/// shortest `double`.
pub(super) fn number_text(json: &str) -> String {
    if let Ok(integer) = json.parse::<i64>() {
        return integer.to_string();
    }
    match json.parse::<f64>() {
        Ok(number) if number.is_finite() => double_text(number),
        Ok(number) if number < 0.0 => "-Infinity".into(),
        _ => "Infinity".into(),
    }
}

fn double_text(number: f64) -> String {
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..17).contains(&exponent) {
        return number.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}E{sign}{:02}", exponent.unsigned_abs())
}

/// Counts brackets outside strings, without recursion.
fn nests_deeper_than(json: &[u8], limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// `JsonReaderOptions.MaxDepth` of .NET.
const MAX_DEPTH: usize = 64;

/// `i64::MAX` + 1, as a `double`.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
