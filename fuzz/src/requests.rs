//! Requests, with the properties of `tests/strangers.rs`.

use std::cell::RefCell;

#[path = "../../tests/support/stranger.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod stranger;

use stranger::World;

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

/// Checks that only valid credentials are accepted.
pub fn token(input: &[u8]) {
    WORLD.with_borrow_mut(|world| world.token(input));
}

/// Checks that negotiate responses are valid.
pub fn negotiate(input: &[u8]) {
    WORLD.with_borrow_mut(|world| world.negotiate(input));
}

/// Checks that responses to an authentication refresh are valid, and that it succeeds only for the
/// user of the connection.
pub fn refresh(input: &[u8]) {
    WORLD.with_borrow_mut(|world| world.refresh(input));
}
