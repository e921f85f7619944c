//! JSON objects whose order, spelling and number texts matter.

use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of a JSON object, in order, each with its text. A name may stand there twice.
///
/// Nothing for a text that is no object, or nested deeper than .NET's reader goes.
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

/// What kind of value a JSON text is.
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

/// The text of a JSON string; nothing for another value, or for half a surrogate pair.
pub(super) fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// The elements of a JSON array.
pub(super) fn elements(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

/// A whole number as .NET reads one: numbers with a fraction lose it, and texts of numbers count.
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
        #[expect(clippy::cast_possible_truncation, reason = "the range was checked, and the fraction is to go")]
        (-TWO_TO_63..TWO_TO_63).contains(&number).then_some(number as i64)
    })
}

/// The text of a number as .NET's invariant culture prints it: whole numbers of 64 bits as they are, others as the
/// shortest `double`.
pub(super) fn number_text(json: &str) -> String {
    if let Ok(whole) = json.parse::<i64>() {
        return whole.to_string();
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

/// One more than the greatest `i64`.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
