//! Replays recorded transcripts of ASP.NET Core SignalR against a server.
//!
//! A transcript in `fixtures/transcripts/AREA/NAME.json` is one exchange: the actions of the
//! [`Runner`] on the wire, and the reactions that it expects. Nothing here depends on the `signalr`
//! crate, so the transcripts can be replayed against any server:
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
