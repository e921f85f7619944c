//! Reading values.

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

/// Reads a value that is whole, so that none of its lengths lies.
pub(in crate::protocol) fn read<T: DeserializeOwned>(naming: Naming, bytes: &[u8]) -> Result<T, Position> {
    deserialize(naming, bytes, || Some(PhantomData)).map_err(|_| Position::default())
}

/// Whether the bytes are a value and nothing else.
pub(in crate::protocol) fn is_whole(bytes: &[u8]) -> bool {
    value_len(bytes) == Ok(bytes.len())
}

/// The number of elements of a list; 0 where it is none.
pub(in crate::protocol) fn list_len(bytes: &[u8]) -> usize {
    MessagePackReader::new(bytes).array_len().unwrap_or_default()
}

/// The places of the elements of a list, as far as it is whole.
pub(in crate::protocol) fn list_elements(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut reader = MessagePackReader::new(bytes);
    let len = reader.array_len().unwrap_or_default();
    let mut element = || {
        let start = bytes.len() - reader.rest().len();
        reader.value().ok().map(|value| start..start + value.len())
    };
    (0..len).map_while(|_| element()).collect()
}

/// Binds the arguments of a known method; their number is compared before one of them is read. `visitor` is asked for a
/// second one where .NET's names need a second attempt.
pub(in crate::protocol) fn bind<V, T>(
    arguments: &RawArguments<'_>,
    expected: usize,
    mut visitor: impl FnMut() -> Option<V>,
) -> Result<T, ReadError>
where
    V: for<'de> Visitor<'de, Value = T>,
{
    let given = MessagePackReader::new(arguments.bytes).array_len().map_err(|_| ReadError::Mismatch(no_list()))?;
    if given != expected {
        return Err(ReadError::Mismatch(wrong_number(given, expected)));
    }
    if !arguments.sound {
        return Err(ReadError::Mismatch(wrong_type()));
    }
    let tally = Cell::default();
    let naming = arguments.protocol.naming();
    deserialize(naming, arguments.bytes, || visitor().map(|v| ArgumentsSeed::new(v, &tally)))
        .map_err(|_| ReadError::Mismatch(wrong_type()))
}

fn no_list() -> ProtocolError {
    ProtocolError::invalid_data("Reading array length for 'arguments' failed.")
}

/// Reads a value through a seed, and through another one where the last of two members has to count.
fn deserialize<'de, S: DeserializeSeed<'de>>(
    naming: Naming,
    bytes: &'de [u8],
    mut seed: impl FnMut() -> Option<S>,
) -> Result<S::Value, Error> {
    let once = seed().ok_or_else(|| Error::custom("no seed to read with"))?;
    let protocol = HubProtocol::new(HubProtocolKind::MessagePack, naming);
    match naming::deserialize(once, protocol, &mut Deserializer::new(bytes)) {
        Err(error) if naming == Naming::DotNet && buffered::is_duplicate_field(&error) => {
            let again = seed().ok_or(error)?;
            buffered::deserialize(again, protocol, &mut Deserializer::new(bytes))
        }
        value => value,
    }
}
