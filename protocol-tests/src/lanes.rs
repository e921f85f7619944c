//! Transcripts side by side: each lane has a server of its own, since some transcripts send to everybody on a hub.

use std::sync::{Mutex, PoisonError};

use futures_util::future::join_all;

use crate::compare::Difference;
use crate::player::Player;
use crate::transcript::Transcript;
use crate::wire::Server;

/// What became of one transcript.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Its name, `area/name`.
    pub name: String,
    /// What the server did otherwise; nothing, when it kept to it.
    pub differences: Vec<Difference>,
}

/// Plays all transcripts, one after another on each server, those first that take longest. The outcomes are sorted by
/// name.
pub async fn hold(servers: &[Server], mut transcripts: Vec<Transcript>) -> Vec<Outcome> {
    transcripts.sort_by_key(Transcript::pace);
    let (todo, done) = (Mutex::new(transcripts), Mutex::new(Vec::new()));
    let lane = async |server: &Server| {
        let player = Player::new(server.clone());
        loop {
            let next = todo.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(transcript) = next else { return };
            let differences = player.replay(&transcript).await;
            let outcome = Outcome { name: transcript.name, differences };
            done.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
        }
    };
    join_all(servers.iter().map(lane)).await;
    let mut outcomes = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));
    outcomes
}
