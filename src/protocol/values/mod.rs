//! .NET's bytes, dates, time spans, decimals, GUIDs and objects, which serde has no types for.
//!
//! | here | C# | JSON | MessagePack |
//! |---|---|---|---|
//! | [`Binary`] | `byte[]` | base64 string | `bin` |
//! | [`DateTime`] | `DateTime` | `"2024-02-29T12:34:56.789Z"` | timestamp (extension -1) |
//! | [`DateTimeOffset`] | `DateTimeOffset` | `"2024-02-29T12:34:56+02:00"` | array of the local timestamp and the offset in minutes |
//! | [`TimeSpan`] | `TimeSpan` | `"1.02:03:04.0050000"` | number of ticks of 100 ns |
//! | [`Decimal`] | `decimal` | number, with all digits | string |
//! | [`Guid`] | `Guid` | string | string |
//! | [`Value`] | `object` | anything | anything |
//!
//! The types represent values on the wire and offer no arithmetic. They convert to and from the
//! types of `std` and, with features of the same names, of the crates `chrono`, `time`, `jiff`,
//! `rust_decimal` and `uuid`.
//!
//! Sources: `System.Text.Json` and MessagePack-CSharp 2.5, observed on a running ASP.NET Core
//! server.

mod calendar;
mod format_dependent;
mod iso;
mod raw_json;
mod timestamp;

mod binary;
pub use binary::Binary;

mod date_time;
pub use date_time::{DateTime, DateTimeKind};

mod date_time_offset;
pub use date_time_offset::DateTimeOffset;

mod decimal;
pub use decimal::Decimal;

mod dynamic;
pub use dynamic::{Number, Value};

mod error;
pub use error::ValueError;

mod guid;
pub use guid::Guid;

mod time_span;
pub use time_span::TimeSpan;

mod convert;
mod system_time;

#[cfg(test)]
mod tests;

/// Number of ticks in a second. A tick, .NET's unit of time, is 100 nanoseconds.
const TICKS_PER_SECOND: i64 = 10_000_000;
const TICKS_PER_MINUTE: i64 = 60 * TICKS_PER_SECOND;
const TICKS_PER_DAY: i64 = 24 * 60 * TICKS_PER_MINUTE;
const NANOSECONDS_PER_TICK: u32 = 100;

/// Last tick of the year 9999. Tick 0 is the start of the year 1.
const LAST_TICK: i64 = 3_155_378_975_999_999_999;

/// Tick of 1970-01-01T00:00:00.
const UNIX_EPOCH: i64 = 621_355_968_000_000_000;
