//! What the tests of random requests hold, looked for by coverage: `World::refresh` in `tests/support/stranger.rs`.

#![no_main]

#[path = "../../tests/support/stranger.rs"]
#[expect(dead_code, reason = "each target needs a part of it")]
mod stranger;

use std::cell::RefCell;

thread_local! {
    static WORLD: RefCell<stranger::World> = RefCell::new(stranger::World::new());
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| WORLD.with_borrow_mut(|world| world.refresh(input)));
