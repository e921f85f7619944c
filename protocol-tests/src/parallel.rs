//! Runs transcripts in parallel, one at a time on each server, since some transcripts send to all
//! clients of a hub.

use std::sync::{Mutex, PoisonError};

use futures_util::future::join_all;

use crate::compare::Difference;
use crate::runner::Runner;
use crate::transcript::Transcript;
use crate::wire::Server;

/// Outcome of one transcript.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Name of the transcript, `area/name`.
    pub name: String,
    /// Differences between server and transcript; empty if it passed.
    pub differences: Vec<Difference>,
}

/// Runs all transcripts, one after another on each server, the longest ones first. Returns the
/// outcomes sorted by name.
pub async fn run_all(servers: &[Server], mut transcripts: Vec<Transcript>) -> Vec<Outcome> {
    transcripts.sort_by_key(Transcript::min_duration);
    let (queue, done) = (Mutex::new(transcripts), Mutex::new(Vec::new()));
    let run_on = async |server: &Server| {
        let runner = Runner::new(server.clone());
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(transcript) = next else { return };
            let differences = runner.replay(&transcript).await;
            let outcome = Outcome { name: transcript.name, differences };
            done.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
        }
    };
    join_all(servers.iter().map(run_on)).await;
    let mut outcomes = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));
    outcomes
}
