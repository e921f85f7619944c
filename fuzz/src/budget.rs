//! Limits the CPU time of one input, so that code whose cost grows quadratically with its input is
//! a finding.

use std::time::Duration;

use cpu_time::ThreadTime;

/// Budget of an empty input, for a server and a connection.
const BASE: Duration = Duration::from_millis(5);

/// Additional budget for each KiB of input.
const PER_KIB: Duration = Duration::from_millis(1);

/// Number of runs that must exceed the budget, since a single slow run may be due to a page fault,
/// a cold cache or a busy machine.
const RUNS: usize = 3;

/// Runs a target with an input until a run is within the budget, at most [`RUNS`] times.
///
/// # Panics
///
/// Panics if the target panics, or if each run exceeds the budget.
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
