//! Payloads of other servers.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| signalr_fuzz::budget::check(input, signalr_fuzz::payload::run));
