//! Code of the fuzz targets: one function for each file in `fuzz_targets`, all called through
//! [`budget::check`].

pub mod budget;
pub mod framing;
pub mod handshake;
mod hub;
mod input;
mod memory;
pub mod payload;
pub mod post;
mod raw;
pub mod requests;
pub mod session;
pub mod websocket;
