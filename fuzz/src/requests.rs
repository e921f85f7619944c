//! Requests, with the properties of `tests/it/random_requests.rs`.

use std::cell::RefCell;

use signalr_test_support::fuzz_server::World;

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

/// Only credentials let a request in.
pub fn token(input: &[u8]) {
    WORLD.with_borrow_mut(|world| world.token(input));
}

/// Negotiate responses are readable.
pub fn negotiate(input: &[u8]) {
    WORLD.with_borrow_mut(|world| world.negotiate(input));
}

/// Responses to an authentication refresh are readable, and it succeeds only for the user of the
/// connection.
pub fn refresh(input: &[u8]) {
    WORLD.with_borrow_mut(|world| world.refresh(input));
}
