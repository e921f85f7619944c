//! Requests, with the properties of `tests/it/random_requests.rs`.

use std::cell::RefCell;

use signalr_test_support::fuzz_server::FuzzServer;

thread_local! {
    static SERVER: RefCell<FuzzServer> = RefCell::new(FuzzServer::new());
}

/// Checks that only valid credentials are accepted.
pub fn token(input: &[u8]) {
    SERVER.with_borrow_mut(|server| server.token(input));
}

/// Checks that negotiate responses are valid.
pub fn negotiate(input: &[u8]) {
    SERVER.with_borrow_mut(|server| server.negotiate(input));
}

/// Checks that responses to an authentication refresh are valid, and that it succeeds only for the
/// user of the connection.
pub fn refresh(input: &[u8]) {
    SERVER.with_borrow_mut(|server| server.refresh(input));
}
