//! Delays between attempts to connect.

use std::time::Duration;

/// Delays that double from [`MIN_DELAY`] to [`MAX_DELAY`], with a random part so that servers do not
/// reconnect at the same moment.
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) fn new() -> Self {
        Self(MIN_DELAY)
    }

    /// Returns the next delay: between half of the current one and all of it.
    pub(super) fn next_delay(&mut self) -> Duration {
        let delay = self.0;
        self.0 = (delay * 2).min(MAX_DELAY);
        let random = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        delay.mul_f64(0.5 + random / 2.0)
    }

    /// Begins again with the shortest delay.
    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }
}

const MIN_DELAY: Duration = Duration::from_millis(50);
const MAX_DELAY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum() {
        let mut backoff = Backoff::new();
        for full in [50, 100, 200, 400, 800, 1600, 2000, 2000].map(Duration::from_millis) {
            let delay = backoff.next_delay();
            assert!(full / 2 <= delay && delay <= full, "{delay:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= MIN_DELAY);
    }
}
