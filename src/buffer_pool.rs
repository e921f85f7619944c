//! A few buffers for each thread, so that encoding and writing a message allocates no buffer in the
//! steady state.

use std::cell::RefCell;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Maximum number of buffers of one thread. As many are in use at once: a completion, the bytes
/// that are collected for a socket, and one more.
const MAX_POOLED: usize = 3;

/// Maximum capacity in bytes of a buffer in the pool. Larger ones are freed.
const MAX_RETAINED_CAPACITY: usize = 64 * 1024;

/// Runs `write` with an empty buffer of this thread.
pub(crate) fn with_scratch<T>(write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut buffer = take();
    let result = write(&mut buffer);
    recycle(buffer);
    result
}

/// Takes an empty buffer from the pool of this thread, or creates one. [`recycle`] returns it to
/// the pool of the thread that calls it.
pub(crate) fn take() -> Vec<u8> {
    POOL.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Returns a buffer to the pool of this thread.
pub(crate) fn recycle(mut buffer: Vec<u8>) {
    if (1..=MAX_RETAINED_CAPACITY).contains(&buffer.capacity()) {
        buffer.clear();
        POOL.with_borrow_mut(|pool| {
            if pool.len() < MAX_POOLED {
                pool.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recycled_buffers_are_empty_and_limited_in_number_and_capacity() {
        recycle(Vec::from(*b"used"));
        let buffer = take();
        assert!(buffer.is_empty() && buffer.capacity() >= 4);
        for _ in 0..10 {
            recycle(Vec::with_capacity(8));
        }
        recycle(Vec::with_capacity(MAX_RETAINED_CAPACITY + 1));
        let pooled = std::iter::from_fn(|| Some(take()).filter(|buffer| buffer.capacity() > 0)).count();
        assert_eq!(pooled, MAX_POOLED);
    }
}
