//! Types for what serde has no word for: .NET's bytes, dates, spans, decimals, ids and objects.
//!
//! | here | C# | JSON | MessagePack |
//! |---|---|---|---|
//! | [`Binary`] | `byte[]` | base64 text | `bin` |
//! | [`DateTime`] | `DateTime` | `"2024-02-29T12:34:56.789Z"` | timestamp (extension -1) |
//! | [`DateTimeOffset`] | `DateTimeOffset` | `"2024-02-29T12:34:56+02:00"` | list of the clock's timestamp and the offset in minutes |
//! | [`TimeSpan`] | `TimeSpan` | `"1.02:03:04.0050000"` | number of ticks of 100 ns |
//! | [`Decimal`] | `decimal` | number, with all digits | text |
//! | [`Guid`] | `Guid` | text | text |
//! | [`Value`] | `object` | anything | anything |
//!
//! They are what goes over the wire and no more: conversions lead to and from the types of `std`, and of the crates
//! `chrono`, `time`, `jiff`, `rust_decimal` and `uuid` behind features of those names.
//!
//! Sources: `System.Text.Json` and MessagePack-CSharp 2.5, as a running ASP.NET Core server answers them.

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

/// .NET's unit of time: 100 nanoseconds.
const TICKS_PER_SECOND: i64 = 10_000_000;
const TICKS_PER_MINUTE: i64 = 60 * TICKS_PER_SECOND;
const TICKS_PER_DAY: i64 = 24 * 60 * TICKS_PER_MINUTE;
const NANOSECONDS_PER_TICK: u32 = 100;

/// The last tick of the year 9999; the first one is 0, at the start of the year 1.
const LAST_TICK: i64 = 3_155_378_975_999_999_999;

/// 1970-01-01.
const UNIX_EPOCH: i64 = 621_355_968_000_000_000;
