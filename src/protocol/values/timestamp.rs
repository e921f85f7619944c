//! MessagePack's timestamp, the extension of type -1.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

use crate::protocol::naming::EXTENSION;

use super::date_time::{ticks_from_unix, ticks_to_unix};

/// Point in time in MessagePack, whose range exceeds .NET's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
}

impl Timestamp {
    /// Creates a timestamp from ticks in UTC.
    pub(super) fn of(ticks: i64) -> Self {
        let (seconds, nanoseconds) = ticks_to_unix(ticks);
        Self { seconds, nanoseconds }
    }

    /// Returns the ticks in UTC since the year 1. Nanoseconds beyond a second are added, as in
    /// .NET.
    pub(super) fn ticks(self) -> Option<i64> {
        ticks_from_unix(self.seconds, self.nanoseconds)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(match *bytes {
            [a, b, c, d] => Self { seconds: u32::from_be_bytes([a, b, c, d]).into(), nanoseconds: 0 },
            [_, _, _, _, _, _, _, _] => {
                let both = u64::from_be_bytes(bytes.try_into().ok()?);
                let seconds = i64::try_from(both & MAX_PACKED_SECONDS).ok()?;
                Self { seconds, nanoseconds: u32::try_from(both >> PACKED_BITS).ok()? }
            }
            _ => {
                let (nanoseconds, seconds) = bytes.split_first_chunk()?;
                Self {
                    seconds: i64::from_be_bytes(seconds.try_into().ok()?),
                    nanoseconds: u32::from_be_bytes(*nanoseconds),
                }
            }
        })
    }
}

/// Number of bits of the seconds in the 64-bit form, which also contains nanoseconds.
const PACKED_BITS: u32 = 34;
const MAX_PACKED_SECONDS: u64 = (1 << PACKED_BITS) - 1;

pub(super) const TYPE: i8 = -1;

/// Writes the shortest of the three forms that can represent the timestamp.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let packed = u64::try_from(self.seconds).ok().filter(|&seconds| seconds <= MAX_PACKED_SECONDS);
        let mut whole = [0; 12];
        let bytes = match (packed, u32::try_from(self.seconds)) {
            (_, Ok(seconds)) if self.nanoseconds == 0 => fill(&mut whole, &seconds.to_be_bytes()),
            (Some(seconds), _) => {
                let both = u64::from(self.nanoseconds) << PACKED_BITS | seconds;
                fill(&mut whole, &both.to_be_bytes())
            }
            _ => {
                let (nanoseconds, seconds) = whole.split_at_mut(4);
                nanoseconds.copy_from_slice(&self.nanoseconds.to_be_bytes());
                seconds.copy_from_slice(&self.seconds.to_be_bytes());
                &whole
            }
        };
        serializer.serialize_newtype_struct(EXTENSION, &(TYPE, Bytes(bytes)))
    }
}

fn fill<'a>(whole: &'a mut [u8; 12], bytes: &[u8]) -> &'a [u8] {
    let (start, _) = whole.split_at_mut(bytes.len());
    start.copy_from_slice(bytes);
    start
}

struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Extension)
    }
}

/// Visits an extension, which deserializers pass as a newtype.
struct Extension;

impl<'de> Visitor<'de> for Extension {
    type Value = Timestamp;

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Timestamp, D::Error> {
        deserializer.deserialize_any(Content)
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a timestamp")
    }
}

/// Visits the type and the bytes of an extension.
pub(super) struct Content;

impl<'de> Visitor<'de> for Content {
    type Value = Timestamp;

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Timestamp, A::Error> {
        let kind: i8 = parts.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let FromBytes(timestamp) = parts.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
        if kind == TYPE {
            Ok(timestamp)
        } else {
            Err(de::Error::invalid_value(de::Unexpected::Signed(kind.into()), &self))
        }
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a timestamp")
    }
}

struct FromBytes(Timestamp);

impl<'de> Deserialize<'de> for FromBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;

        impl Visitor<'_> for BytesVisitor {
            type Value = FromBytes;

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<FromBytes, E> {
                let timestamp = Timestamp::from_bytes(bytes);
                timestamp.map(FromBytes).ok_or_else(|| E::invalid_length(bytes.len(), &self))
            }

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("4, 8 or 12 bytes")
            }
        }

        // Not `deserialize_bytes`, which accepts a string in JSON.
        deserializer.deserialize_any(BytesVisitor)
    }
}
