//! Tests of the wrapper with both hub protocols.

mod chars;
mod duplicate_members;
mod enums;
mod fields;
mod round_trip;
mod serde_types;

use std::fmt::Debug;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::buffered::is_duplicate_field;
use super::{NamingRules, Wire, WireSeed, buffered};
#[cfg(feature = "messagepack")]
use crate::protocol::messagepack::Deserializer as MessagePack;
use crate::protocol::{HubProtocol, HubProtocolKind, Naming};

const FORMATS: &[HubProtocolKind] = &[
    HubProtocolKind::Json,
    #[cfg(feature = "messagepack")]
    HubProtocolKind::MessagePack,
];

/// Type of most test values, with the defaults of a C# class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Person {
    name: Option<String>,
    age: i32,
    favourite: Colour,
    home_town: String,
    tags: Option<Vec<Option<String>>>,
    friend: Option<Box<Self>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Colour {
    #[default]
    Red,
    Green,
    Blue,
}

fn person(name: &str) -> Person {
    Person { name: Some(name.to_owned()), ..Person::default() }
}

/// Returns the written value, decoded as JSON.
fn written<T: Serialize + ?Sized>(format: HubProtocolKind, value: &T) -> Value {
    plain(format, &bytes(format, value))
}

fn bytes<T: Serialize + ?Sized>(format: HubProtocolKind, value: &T) -> Vec<u8> {
    encode(format, &Wire::new(value, rules(format)))
}

fn dot_net(format: HubProtocolKind) -> HubProtocol {
    HubProtocol::new(format, Naming::DotNet)
}

fn rules(format: HubProtocolKind) -> NamingRules {
    NamingRules::of(dot_net(format))
}

/// Serializes a value without .NET's naming.
fn encode<T: Serialize + ?Sized>(format: HubProtocolKind, value: &T) -> Vec<u8> {
    match format {
        HubProtocolKind::Json => serde_json::to_vec(value).unwrap(),
        #[cfg(feature = "messagepack")]
        HubProtocolKind::MessagePack => {
            let mut bytes = Vec::new();
            let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable();
            value.serialize(&mut serializer).unwrap();
            bytes
        }
    }
}

fn plain(format: HubProtocolKind, bytes: &[u8]) -> Value {
    decode(format, bytes, PhantomData).unwrap()
}

/// Encodes `value` without .NET's naming and reads it.
fn read<T: DeserializeOwned>(format: HubProtocolKind, value: &Value) -> Result<T, String> {
    read_bytes(format, &encode(format, value))
}

fn read_bytes<T: DeserializeOwned>(format: HubProtocolKind, bytes: &[u8]) -> Result<T, String> {
    decode(format, bytes, WireSeed::new(PhantomData, rules(format)))
}

/// Reads with a second attempt if a member occurs twice.
fn read_twice<T: DeserializeOwned>(format: HubProtocolKind, bytes: &[u8]) -> Result<T, String> {
    match read_bytes(format, bytes) {
        Err(error) if is_duplicate_field(&error) => read_buffered(format, bytes),
        first => first,
    }
}

fn read_buffered<T: DeserializeOwned>(format: HubProtocolKind, bytes: &[u8]) -> Result<T, String> {
    decode(format, bytes, Buffered(PhantomData::<T>, format))
}

struct Buffered<S>(S, HubProtocolKind);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Buffered<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        buffered::deserialize(self.0, dot_net(self.1), deserializer)
    }
}

fn decode<'de, S: DeserializeSeed<'de>>(
    format: HubProtocolKind,
    bytes: &'de [u8],
    seed: S,
) -> Result<S::Value, String> {
    match format {
        HubProtocolKind::Json => {
            let mut deserializer = serde_json::Deserializer::from_slice(bytes);
            let value = seed.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
            deserializer.end().map_err(|error| error.to_string())?;
            Ok(value)
        }
        #[cfg(feature = "messagepack")]
        HubProtocolKind::MessagePack => {
            seed.deserialize(&mut MessagePack::new(bytes)).map_err(|error| error.to_string())
        }
    }
}

/// Asserts that `value` is written as `wire` and read back from it.
#[track_caller]
fn there_and_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    format: HubProtocolKind,
    value: &T,
    wire: &Value,
) {
    assert_eq!(&written(format, value), wire, "{format:?}");
    let bytes = bytes(format, value);
    assert_eq!(read_bytes::<T>(format, &bytes).as_ref(), Ok(value), "{format:?}");
    assert_eq!(read_buffered::<T>(format, &bytes).as_ref(), Ok(value), "{format:?}, buffered");
}
