//! Deserialization of JSON values.

use std::borrow::Cow;
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, Visitor};

use super::scanner::{InvalidJson, JsonScanner, JsonToken, NextToken};
use crate::protocol::error::{ProtocolError, ReadError};
use crate::protocol::format::{HubProtocol, HubProtocolKind, Naming};
use crate::protocol::naming::{self, buffered};
use crate::protocol::raw_arguments::{ArgumentsSeed, BindProgress, RawArguments, wrong_number, wrong_type};
use crate::protocol::raw_value::Position;

use super::MAX_PROPERTY_DEPTH;

/// Deserializes a value whose nesting depth has been checked.
pub(in crate::protocol) fn read<T: DeserializeOwned>(naming: Naming, bytes: &[u8]) -> Result<T, Position> {
    deserialize(naming, bytes, || Some(PhantomData))
        .map_err(|error| Position { line: error.line().saturating_sub(1), column: error.column() })
}

/// Returns whether the bytes are exactly one value.
pub(in crate::protocol) fn is_complete(bytes: &[u8]) -> bool {
    let mut scanner = JsonScanner::new(bytes);
    scanner.skip(MAX_PROPERTY_DEPTH).is_ok() && scanner.peek().is_none()
}

/// Returns the number of elements of an array, or 0 if it is malformed.
pub(in crate::protocol) fn list_len(bytes: &[u8]) -> usize {
    match validate_list(bytes) {
        ListCheck::Valid { len } | ListCheck::TrailingComma { len } => len,
        ListCheck::Malformed => 0,
    }
}

/// Binds the arguments of an existing method. `visitor` returns the visitor of each attempt; see
/// [`deserialize`].
pub(in crate::protocol) fn bind<V, T>(
    arguments: &RawArguments<'_>,
    expected: usize,
    mut visitor: impl FnMut() -> Option<V>,
) -> Result<T, ReadError>
where
    V: for<'de> Visitor<'de, Value = T>,
{
    let progress = Cell::default();
    let naming = arguments.protocol.naming();
    let bound =
        deserialize(naming, arguments.bytes, || visitor().map(|visitor| ArgumentsSeed::new(visitor, &progress)));
    match bound {
        Ok(bound) if progress.get().elements_read == expected => Ok(bound),
        Ok(_) => Err(bind_error(arguments, expected, progress.get(), true)),
        Err(_) => Err(bind_error(arguments, expected, progress.get(), false)),
    }
}

/// Returns the error of arguments that did not bind. Only this error path validates them as JSON.
#[cold]
fn bind_error(arguments: &RawArguments<'_>, expected: usize, progress: BindProgress, bound: bool) -> ReadError {
    match validate_list(arguments.bytes) {
        ListCheck::Valid { .. } if progress.elements_read != expected && (bound || progress.ended) => {
            ReadError::Mismatch(wrong_number(progress.elements_read, expected))
        }
        ListCheck::Valid { .. } => ReadError::Mismatch(wrong_type()),
        // Everything before the comma was bound, so ASP.NET Core fails only this invocation.
        ListCheck::TrailingComma { len } if arguments.trailing_comma_allowed && progress.elements_read == len => {
            ReadError::Mismatch(trailing_comma(arguments))
        }
        ListCheck::TrailingComma { .. } | ListCheck::Malformed => ReadError::Malformed(InvalidJson.into()),
    }
}

const DOT_NET: HubProtocol = HubProtocol::new(HubProtocolKind::Json, Naming::DotNet);

/// Deserializes a value with a seed, and once more if .NET accepts a form that `serde_json` or
/// derived code rejects. `seed` returns the seed of each attempt.
fn deserialize<S, T>(naming: Naming, bytes: &[u8], mut seed: impl FnMut() -> Option<S>) -> serde_json::Result<T>
where
    S: for<'de> DeserializeSeed<'de, Value = T>,
{
    let once = seed().ok_or_else(|| serde_json::Error::custom("missing seed"))?;
    match deserialize_once(naming, bytes, once) {
        Ok(value) => Ok(value),
        Err(error) => deserialize_retry(naming, bytes, seed, error),
    }
}

fn deserialize_once<'de, S: DeserializeSeed<'de>>(
    naming: Naming,
    bytes: &'de [u8],
    seed: S,
) -> serde_json::Result<S::Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = match naming {
        Naming::Serde => seed.deserialize(&mut deserializer),
        Naming::DotNet => naming::deserialize(seed, DOT_NET, &mut deserializer),
    }?;
    deserializer.end().map(|()| value)
}

#[cold]
fn deserialize_retry<S, T>(
    naming: Naming,
    bytes: &[u8],
    mut seed: impl FnMut() -> Option<S>,
    mut error: serde_json::Error,
) -> serde_json::Result<T>
where
    S: for<'de> DeserializeSeed<'de, Value = T>,
{
    let mut bytes = Cow::Borrowed(bytes);
    if let Some(without) = without_negative_zeros(&bytes) {
        bytes = Cow::Owned(without);
        let Some(again) = seed() else { return Err(error) };
        match deserialize_once(naming, &bytes, again) {
            Ok(value) => return Ok(value),
            Err(other) => error = other,
        }
    }
    if naming == Naming::DotNet && buffered::is_duplicate_field(&error) {
        let again = seed().ok_or(error)?;
        return buffered::deserialize(again, DOT_NET, &mut serde_json::Deserializer::from_slice(&bytes));
    }
    Err(error)
}

/// Result of validating a list of arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListCheck {
    Valid { len: usize },
    TrailingComma { len: usize },
    Malformed,
}

pub(super) fn validate_list(bytes: &[u8]) -> ListCheck {
    visit_list(bytes, |_| ())
}

/// Returns the ranges of the elements of an array, or none if it is malformed.
pub(in crate::protocol) fn list_elements(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut elements = Vec::new();
    match visit_list(bytes, |element| elements.push(element)) {
        ListCheck::Valid { .. } | ListCheck::TrailingComma { .. } => elements,
        ListCheck::Malformed => Vec::new(),
    }
}

fn visit_list(bytes: &[u8], mut visit: impl FnMut(Range<usize>)) -> ListCheck {
    let mut scanner = JsonScanner::new(bytes);
    if scanner.token() != Ok(JsonToken::Array) {
        return ListCheck::Malformed;
    }
    let mut len = 0;
    loop {
        match scanner.next(len == 0, b']') {
            Ok(NextToken::End) => return ListCheck::Valid { len },
            Ok(NextToken::Element) => {}
            // `next` stops at the closing bracket only after a trailing comma.
            Err(InvalidJson) if scanner.peek() == Some(b']') => return ListCheck::TrailingComma { len },
            Err(InvalidJson) => return ListCheck::Malformed,
        }
        let start = scanner.position();
        if scanner.skip(MAX_PROPERTY_DEPTH - 1).is_err() {
            return ListCheck::Malformed;
        }
        visit(start..scanner.position());
        len += 1;
    }
}

/// Replaces `-0` by ` 0`, because .NET reads `-0` as an integer and `serde_json` as a float.
/// Returns `None` if the value has no `-0`.
fn without_negative_zeros(bytes: &[u8]) -> Option<Vec<u8>> {
    if !memchr::memchr_iter(b'-', bytes).any(|at| is_negative_zero(&bytes[at..])) {
        return None;
    }
    let mut bytes = bytes.to_vec();
    let (mut at, mut in_string) = (0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => in_string = !in_string,
            b'\\' => at += 1,
            b'-' if !in_string && is_negative_zero(&bytes[at..]) => bytes[at] = b' ',
            _ => {}
        }
        at += 1;
    }
    Some(bytes)
}

/// Returns whether the bytes start with the integer `-0`.
fn is_negative_zero(number: &[u8]) -> bool {
    number.starts_with(b"-0") && !matches!(number.get(2), Some(b'.' | b'e' | b'E' | b'0'..=b'9'))
}

fn trailing_comma(arguments: &RawArguments<'_>) -> ProtocolError {
    let mut text = arguments.before.to_vec();
    text.extend_from_slice(arguments.bytes.strip_suffix(b"]").unwrap_or(arguments.bytes));
    let at = Position::end_of(&text);
    ProtocolError::new(
        "JsonReaderException",
        format!(
            "The JSON array contains a trailing comma at the end which is not supported in this mode. \
             Change the reader options. {at}"
        ),
    )
}
