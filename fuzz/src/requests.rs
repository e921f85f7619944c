//! Requests, with the properties of `tests/it/random_requests.rs`.

use std::cell::RefCell;

use signalr_test_support::fuzz_server::FuzzServer;

thread_local! {
    static SERVER: RefCell<FuzzServer> = RefCell::new(FuzzServer::new());
}

/// Only credentials let a request in.
pub fn token(input: &[u8]) {
    SERVER.with_borrow_mut(|server| server.token(input));
}

/// Negotiate responses are readable.
pub fn negotiate(input: &[u8]) {
    SERVER.with_borrow_mut(|server| server.negotiate(input));
}

/// Responses to an authentication refresh are readable, and it succeeds only for the user of the
/// connection.
pub fn refresh(input: &[u8]) {
    SERVER.with_borrow_mut(|server| server.refresh(input));
}
