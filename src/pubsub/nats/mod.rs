//! Servers of this crate on one NATS (feature `nats`).
//!
//! | file | content |
//! |---|---|
//! | `options.rs` | servers, credentials, TLS and limits |
//! | `subject.rs` | channel → subject |
//! | `completion.rs` | result of a call |
//! | `channels.rs` | table of the subscribed channels |
//! | `calls.rs` | calls that are not completed |
//! | `reader.rs` | task that passes payloads on |
//! | `session.rs` | one client of `async-nats`, from its first connection until it ends |
//! | `connection.rs` | task that connects until the backplane is closed |
//! | `nats_backplane.rs` | [`NatsBackplane`] |

mod calls;
mod channels;
mod completion;
mod connection;
mod nats_backplane;
mod options;
mod reader;
mod session;
mod subject;

pub use nats_backplane::NatsBackplane;
pub use options::NatsConfigError;
