//! Holds a SignalR server to recorded transcripts of ASP.NET Core.
//!
//! A transcript in `fixtures/transcripts/AREA/NAME.json` is one exchange: what the [`Runner`] does on the wire, and what
//! it must see there. Nothing here knows the `signalr` crate, so any server can be held to them:
//!
//! ```text
//! cargo run -p protocol-tests -- http://127.0.0.1:5000 '^invoke/'
//! ```

mod bindings;
mod compare;
mod host;
mod msgpack;
mod parallel;
mod runner;
mod splitter;
mod token;
mod transcript;
mod wire;

pub use compare::Difference;
pub use host::{Host, HostError};
pub use parallel::{Outcome, run_all};
pub use runner::{Runner, Timeouts};
pub use token::{Algorithm, TokenRequest};
pub use transcript::{
    Action, Body, ClientRequest, Event, Expectation, ExpectationKind, HeaderLines, Mode, ReadError, Transcript,
};
pub use wire::{BadAddress, Server};
