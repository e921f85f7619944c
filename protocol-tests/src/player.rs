//! Playing a transcript against a server.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::bindings::Bindings;
use crate::compare::{Difference, compare, shown};
use crate::transcript::{Action, Body, Event, Kind, Sight, Transcript};
use crate::wire::{Peer, Server};

/// Plays transcripts against one server.
#[derive(Debug, Clone)]
pub struct Player {
    server: Server,
    patience: Patience,
}

/// How long the player waits before it takes a thing for not coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Patience {
    /// For a message: 5 seconds.
    pub message: Duration,
    /// For an opening, a response, a ping or an end: 8 seconds, or 4 seconds beyond twice the time it is to take.
    pub other: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { message: Duration::from_secs(5), other: Duration::from_secs(8) }
    }
}

impl Player {
    /// A player against a server, with the usual patience.
    #[must_use]
    pub fn new(server: Server) -> Self {
        Self { server, patience: Patience::default() }
    }

    /// Changes how long the player waits.
    #[must_use]
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Plays one transcript and returns what the server did otherwise: nothing, when it kept to it.
    ///
    /// Ends early where something does not come at all, since all that follows would only echo this.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cuts every connection of the transcript.
    pub async fn replay(&self, transcript: &Transcript) -> Vec<Difference> {
        let mut play = Play { player: self, bindings: Bindings::default(), peers: HashMap::new() };
        let mut differences = Vec::new();
        for (event, step) in transcript.events.iter().enumerate() {
            let Step { differences: found, over } = match step {
                Event::Do(action) => play.act(action).await,
                Event::See(sight) => play.see(sight).await,
            };
            differences.extend(found.into_iter().map(|what| Difference { event, what }));
            if over {
                break;
            }
        }
        differences
    }
}

/// One transcript while it is played.
#[derive(Debug)]
struct Play<'a> {
    player: &'a Player,
    bindings: Bindings,
    peers: HashMap<String, Peer>,
}

/// What became of one event.
#[derive(Debug, Default)]
struct Step {
    differences: Vec<String>,
    /// Whether there is no point in going on.
    over: bool,
}

impl Step {
    fn over(difference: String) -> Self {
        Self { differences: vec![difference], over: true }
    }
}

impl Play<'_> {
    async fn act(&mut self, action: &Action) -> Step {
        let done = match action {
            Action::Token(request) => match request.mint() {
                Ok(token) => {
                    self.bindings.bind(&request.name, token);
                    Ok(())
                }
                Err(error) => Err(format!("the token cannot be minted: {error}")),
            },
            Action::Http(opening) => self.open(&opening.name, self.player.server.http(opening, &self.bindings)),
            Action::Ws(opening) => self.open(&opening.name, self.player.server.websocket(opening, &self.bindings)),
            Action::Sse(opening) => self.open(&opening.name, self.player.server.events(opening, &self.bindings)),
            Action::Mode { on, mode } => self.peer(on).map(|peer| peer.set_mode(*mode)),
            Action::Send { on, text, base64 } => {
                let message = match Body::of(text.as_deref(), base64.as_deref()) {
                    Some(Body::Bytes(bytes)) => Message::binary(bytes.to_vec()),
                    Some(Body::Text(text)) => Message::text(self.bindings.fill(text)),
                    None => Message::text(""),
                };
                self.peer(on).map(|peer| peer.send(message))
            }
            Action::Close { on, code, reason } => self.close(on, *code, reason),
            Action::Abort { on } => self.cut(on),
            Action::Wait { ms } => {
                sleep(Duration::from_millis(*ms)).await;
                Ok(())
            }
        };
        done.map_or_else(Step::over, |()| Step::default())
    }

    async fn see(&mut self, sight: &Sight) -> Step {
        let patience = self.player.patience;
        let in_all = match sight.elapsed_ms {
            Some(ms @ 1..) => Duration::from_millis(ms) * 2 + patience.other / 2,
            _ => patience.other,
        };
        let wait = match sight.see {
            Kind::Http | Kind::Closed | Kind::Ping => in_all,
            Kind::Opened => patience.other,
            Kind::Message => patience.message,
            Kind::Silence => Duration::from_millis(sight.ms.unwrap_or(0)),
        };
        let what = format!("{:?}", sight.see).to_lowercase();
        let seen = match self.peer(&sight.of) {
            Ok(peer) => look(peer, sight.see, Instant::now() + wait).await,
            Err(error) => return Step::over(error),
        };
        let Some(seen) = seen else {
            let want = shown(&Value::Object(sight.expected.clone()));
            return Step::over(format!("{what} of {}: nothing within {wait:?}, want {want}", sight.of));
        };
        let mut differences = compare_seen(sight, &seen, &mut self.bindings);
        for difference in &mut differences {
            difference.insert_str(0, &format!("{what} of {}: ", sight.of));
        }
        Step { differences, over: seen.contains_key("gone") && !sight.expected.contains_key("gone") }
    }

    fn open(&mut self, name: &str, peer: Result<Peer, impl ToString>) -> Result<(), String> {
        self.peers.insert(name.to_owned(), peer.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn peer(&mut self, name: &str) -> Result<&mut Peer, String> {
        self.peers.get_mut(name).ok_or_else(|| no_connection(name))
    }

    fn close(&mut self, on: &str, code: u16, reason: &str) -> Result<(), String> {
        let peer = self.peer(on)?;
        if peer.is_websocket() {
            peer.send(Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() })));
            return Ok(());
        }
        self.cut(on)
    }

    fn cut(&mut self, on: &str) -> Result<(), String> {
        self.peers.remove(on).map(drop).ok_or_else(|| no_connection(on))
    }
}

async fn look(peer: &mut Peer, kind: Kind, deadline: Instant) -> Option<Map<String, Value>> {
    match kind {
        Kind::Http | Kind::Closed => peer.ended(deadline).await,
        Kind::Opened => peer.opened(deadline).await,
        Kind::Message => peer.message(false, deadline).await,
        Kind::Ping => peer.message(true, deadline).await,
        Kind::Silence => {
            let held = peer.silent(deadline).await;
            Some(Map::from_iter([("held".to_owned(), json!(held))]))
        }
    }
}

fn compare_seen(sight: &Sight, seen: &Map<String, Value>, bindings: &mut Bindings) -> Vec<String> {
    let mut seen = seen.clone();
    let elapsed = seen.remove("elapsedMs").and_then(|ms| ms.as_u64());
    let mut differences = compare(&sight.expected, &seen, bindings);
    if let (Some(want), Some(got)) = (sight.elapsed_ms, elapsed)
        && !about(want, got)
    {
        differences.push(format!("after {got} ms, want about {want} ms"));
    }
    differences
}

/// Whether an end came about when it should. What is to come at once may come at any time: the server may be busy.
fn about(want: u64, got: u64) -> bool {
    want <= AT_ONCE_MS || ((want * 6 / 10).saturating_sub(200)..=want * 16 / 10 + 400).contains(&got)
}

fn no_connection(name: &str) -> String {
    format!("no connection is called `{name}`, or it was cut")
}

/// Ends that came this soon came at once; their time says nothing.
const AT_ONCE_MS: u64 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_end_must_come_about_when_it_came() {
        assert!(!about(2000, 999) && about(2000, 1000) && about(2000, 3600) && !about(2000, 3601));
    }

    #[test]
    fn early_end_may_come_at_any_time() {
        assert!(about(500, 0) && about(500, 60_000));
        assert!(!about(501, 60_000));
    }
}
