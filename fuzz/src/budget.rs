//! The CPU time that one input may take, so that a path whose cost grows with the square of its
//! input is a finding.

use std::time::Duration;

use cpu_time::ThreadTime;

/// For an input of any size: a server, a connection and its end.
const BASE: Duration = Duration::from_millis(5);

const PER_KIB: Duration = Duration::from_millis(1);

/// A single slow run may be due to a page fault, a cold cache or a busy machine.
const RUNS: usize = 3;

/// Runs a target with an input.
///
/// # Panics
///
/// When the target does, and when each of [`RUNS`] runs exceeds the budget. The first run within
/// the budget is the last.
pub fn check(input: &[u8], target: impl Fn(&[u8])) {
    let budget = BASE + PER_KIB.mul_f64(input.len() as f64 / 1024.0);
    let mut exceeded = Vec::new();
    while exceeded.len() < RUNS {
        let start = ThreadTime::now();
        target(input);
        match start.elapsed() {
            elapsed if elapsed > budget => exceeded.push(elapsed),
            _ => return,
        }
    }
    panic!("CPU time budget of {budget:?} for {} bytes exceeded in each run: {exceeded:?}", input.len());
}
