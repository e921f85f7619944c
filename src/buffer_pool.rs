//! A few buffers a thread, so that encoding and writing an answer allocates none in the steady state.

use std::cell::RefCell;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// As many as are out at once: an answer, what is being gathered for a socket, and one in between.
const MAX_POOLED: usize = 3;

/// A buffer that grew beyond this is given back to the allocator instead of being kept.
const MAX_RETAINED_CAPACITY: usize = 64 * 1024;

/// Runs `write` with an empty buffer of this thread.
pub(crate) fn with_scratch<T>(write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut buffer = take();
    let result = write(&mut buffer);
    recycle(buffer);
    result
}

/// Takes an empty buffer of this thread, or a new one; [`recycle`] returns it, on whatever thread.
pub(crate) fn take() -> Vec<u8> {
    POOL.with_borrow_mut(Vec::pop).unwrap_or_default()
}

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
    fn buffers_serve_again_and_come_back_empty() {
        recycle(Vec::from(*b"used"));
        let buffer = take();
        assert!(buffer.is_empty() && buffer.capacity() >= 4);
        for _ in 0..10 {
            recycle(Vec::with_capacity(8));
        }
        recycle(Vec::with_capacity(MAX_RETAINED_CAPACITY + 1));
        let kept = std::iter::from_fn(|| Some(take()).filter(|buffer| buffer.capacity() > 0)).count();
        assert_eq!(kept, MAX_POOLED);
    }
}
