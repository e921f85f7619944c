//! One reusable buffer a thread, for what is encoded and written in one go.

use std::cell::Cell;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer that grew beyond this is given back to the allocator instead of being kept.
const KEPT: usize = 64 * 1024;

/// Runs `write` with an empty buffer of this thread. Nested use gets a fresh buffer.
pub(crate) fn with_scratch<T>(write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut buffer = take();
    let result = write(&mut buffer);
    give(buffer);
    result
}

/// Takes this thread's buffer, or a new one; [`give`] returns it.
pub(super) fn take() -> Vec<u8> {
    let mut buffer = SPARE.take();
    buffer.clear();
    buffer
}

pub(super) fn give(buffer: Vec<u8>) {
    if buffer.capacity() <= KEPT {
        SPARE.set(buffer);
    }
}
