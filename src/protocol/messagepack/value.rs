//! Deserialization of MessagePack values.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

use serde::de::value::Error;
use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, Visitor};

use crate::protocol::error::{ProtocolError, ReadError};
use crate::protocol::format::{HubProtocol, HubProtocolKind, Naming};
use crate::protocol::naming::{self, buffered};
use crate::protocol::raw_arguments::{ArgumentsSeed, RawArguments, wrong_number, wrong_type};
use crate::protocol::raw_value::Position;

use super::deserializer::Deserializer;
use super::reader::MessagePackReader;
use super::scan::value_len;

/// Deserializes a complete value, whose lengths have been checked.
pub(in crate::protocol) fn read<T: DeserializeOwned>(naming: Naming, bytes: &[u8]) -> Result<T, Position> {
    deserialize(naming, bytes, || Some(PhantomData)).map_err(|_| Position::default())
}

/// Returns whether the bytes are exactly one value.
pub(in crate::protocol) fn is_complete(bytes: &[u8]) -> bool {
    value_len(bytes) == Ok(bytes.len())
}

/// Returns the number of elements of an array, or 0 if the value is not an array.
pub(in crate::protocol) fn list_len(bytes: &[u8]) -> usize {
    MessagePackReader::new(bytes).array_len().unwrap_or_default()
}

/// Returns the ranges of the elements of an array, up to the first incomplete element.
pub(in crate::protocol) fn list_elements(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut reader = MessagePackReader::new(bytes);
    let len = reader.array_len().unwrap_or_default();
    let mut element = || {
        let start = bytes.len() - reader.remaining().len();
        reader.value().ok().map(|value| start..start + value.len())
    };
    (0..len).map_while(|_| element()).collect()
}

/// Binds the arguments of an existing method. Their number is compared before any of them is
/// deserialized. `visitor` returns the visitor of each attempt; see [`deserialize`].
pub(in crate::protocol) fn bind<V, T>(
    arguments: &RawArguments<'_>,
    expected: usize,
    mut visitor: impl FnMut() -> Option<V>,
) -> Result<T, ReadError>
where
    V: for<'de> Visitor<'de, Value = T>,
{
    let given = MessagePackReader::new(arguments.bytes).array_len().map_err(|_| ReadError::Mismatch(not_an_array()))?;
    if given != expected {
        return Err(ReadError::Mismatch(wrong_number(given, expected)));
    }
    if !arguments.complete {
        return Err(ReadError::Mismatch(wrong_type()));
    }
    let progress = Cell::default();
    let naming = arguments.protocol.naming();
    deserialize(naming, arguments.bytes, || visitor().map(|v| ArgumentsSeed::new(v, &progress)))
        .map_err(|_| ReadError::Mismatch(wrong_type()))
}

fn not_an_array() -> ProtocolError {
    ProtocolError::invalid_data("Reading array length for 'arguments' failed.")
}

/// Deserializes a value with a seed, and once more if a member occurs twice and naming is .NET's.
/// `seed` returns the seed of each attempt.
fn deserialize<'de, S: DeserializeSeed<'de>>(
    naming: Naming,
    bytes: &'de [u8],
    mut seed: impl FnMut() -> Option<S>,
) -> Result<S::Value, Error> {
    let once = seed().ok_or_else(|| Error::custom("missing seed"))?;
    let protocol = HubProtocol::new(HubProtocolKind::MessagePack, naming);
    match naming::deserialize(once, protocol, &mut Deserializer::new(bytes)) {
        Err(error) if naming == Naming::DotNet && buffered::is_duplicate_field(&error) => {
            let again = seed().ok_or(error)?;
            buffered::deserialize(again, protocol, &mut Deserializer::new(bytes))
        }
        value => value,
    }
}
