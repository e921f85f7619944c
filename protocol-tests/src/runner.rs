//! Runs a transcript against a server.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::bindings::Bindings;
use crate::compare::{Difference, compare, truncated};
use crate::transcript::{Action, Body, Event, Expectation, ExpectationKind, Transcript};
use crate::wire::{Client, Server};

/// Runs transcripts against one server.
#[derive(Debug, Clone)]
pub struct Runner {
    server: Server,
    timeouts: Timeouts,
}

/// Maximum times that the runner waits for an expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Timeout of a message: 5 seconds.
    pub message: Duration,
    /// Timeout of an opening, a response, a ping or an end: 8 seconds, or 4 seconds more than twice
    /// its expected time.
    pub other: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { message: Duration::from_secs(5), other: Duration::from_secs(8) }
    }
}

impl Runner {
    /// Creates a runner for a server, with the default timeouts.
    #[must_use]
    pub fn new(server: Server) -> Self {
        Self { server, timeouts: Timeouts::default() }
    }

    /// Sets the timeouts.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Runs one transcript and returns the differences; none if it passes.
    ///
    /// Stops after an expectation that times out, since all later ones would fail for the same
    /// reason.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future aborts all connections of the transcript.
    pub async fn replay(&self, transcript: &Transcript) -> Vec<Difference> {
        let mut run = Run { runner: self, bindings: Bindings::default(), clients: HashMap::new() };
        let mut differences = Vec::new();
        for (event, step) in transcript.events.iter().enumerate() {
            let Step { differences: found, is_last } = match step {
                Event::Do(action) => run.act(action).await,
                Event::See(expectation) => run.see(expectation).await,
            };
            differences.extend(found.into_iter().map(|what| Difference { event, what }));
            if is_last {
                break;
            }
        }
        differences
    }
}

/// State of a running transcript.
#[derive(Debug)]
struct Run<'a> {
    runner: &'a Runner,
    bindings: Bindings,
    clients: HashMap<String, Client>,
}

/// Result of one event.
#[derive(Debug, Default)]
struct Step {
    differences: Vec<String>,
    /// Whether the transcript cannot continue.
    is_last: bool,
}

impl Step {
    fn last(difference: String) -> Self {
        Self { differences: vec![difference], is_last: true }
    }
}

impl Run<'_> {
    async fn act(&mut self, action: &Action) -> Step {
        let done = match action {
            Action::Token(request) => match request.mint() {
                Ok(token) => {
                    self.bindings.bind(&request.name, token);
                    Ok(())
                }
                Err(error) => Err(format!("cannot create the token: {error}")),
            },
            Action::Http(request) => self.open(&request.name, self.runner.server.http(request, &self.bindings)),
            Action::Ws(request) => self.open(&request.name, self.runner.server.websocket(request, &self.bindings)),
            Action::Sse(request) => self.open(&request.name, self.runner.server.events(request, &self.bindings)),
            Action::Mode { on, mode } => self.client(on).map(|client| client.set_mode(*mode)),
            Action::Send { on, text, base64 } => {
                let message = match Body::of(text.as_deref(), base64.as_deref()) {
                    Some(Body::Bytes(bytes)) => Message::binary(bytes.to_vec()),
                    Some(Body::Text(text)) => Message::text(self.bindings.fill(text)),
                    None => Message::text(""),
                };
                self.client(on).map(|client| client.send(message))
            }
            Action::Close { on, code, reason } => self.close(on, *code, reason),
            Action::Abort { on } => self.abort(on),
            Action::Wait { ms } => {
                sleep(Duration::from_millis(*ms)).await;
                Ok(())
            }
        };
        done.map_or_else(Step::last, |()| Step::default())
    }

    async fn see(&mut self, expectation: &Expectation) -> Step {
        let timeouts = self.runner.timeouts;
        let in_all = match expectation.elapsed_ms {
            Some(ms @ 1..) => Duration::from_millis(ms) * 2 + timeouts.other / 2,
            _ => timeouts.other,
        };
        let wait = match expectation.see {
            ExpectationKind::Http | ExpectationKind::Closed | ExpectationKind::Ping => in_all,
            ExpectationKind::Opened => timeouts.other,
            ExpectationKind::Message => timeouts.message,
            ExpectationKind::Silence => Duration::from_millis(expectation.ms.unwrap_or(0)),
        };
        let what = format!("{:?}", expectation.see).to_lowercase();
        let seen = match self.client(&expectation.of) {
            Ok(client) => look(client, expectation.see, Instant::now() + wait).await,
            Err(error) => return Step::last(error),
        };
        let Some(seen) = seen else {
            let want = truncated(&Value::Object(expectation.expected.clone()));
            return Step::last(format!("{what} of {}: nothing within {wait:?}, want {want}", expectation.of));
        };
        let mut differences = compare_seen(expectation, &seen, &mut self.bindings);
        for difference in &mut differences {
            difference.insert_str(0, &format!("{what} of {}: ", expectation.of));
        }
        Step { differences, is_last: seen.contains_key("gone") && !expectation.expected.contains_key("gone") }
    }

    fn open(&mut self, name: &str, client: Result<Client, impl ToString>) -> Result<(), String> {
        self.clients.insert(name.to_owned(), client.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn client(&mut self, name: &str) -> Result<&mut Client, String> {
        self.clients.get_mut(name).ok_or_else(|| no_connection(name))
    }

    fn close(&mut self, on: &str, code: u16, reason: &str) -> Result<(), String> {
        let client = self.client(on)?;
        if client.is_websocket() {
            client.send(Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() })));
            return Ok(());
        }
        self.abort(on)
    }

    fn abort(&mut self, on: &str) -> Result<(), String> {
        self.clients.remove(on).map(drop).ok_or_else(|| no_connection(on))
    }
}

async fn look(client: &mut Client, kind: ExpectationKind, deadline: Instant) -> Option<Map<String, Value>> {
    match kind {
        ExpectationKind::Http | ExpectationKind::Closed => client.ended(deadline).await,
        ExpectationKind::Opened => client.opened(deadline).await,
        ExpectationKind::Message => client.message(false, deadline).await,
        ExpectationKind::Ping => client.message(true, deadline).await,
        ExpectationKind::Silence => {
            let held = client.silent(deadline).await;
            Some(Map::from_iter([("held".to_owned(), json!(held))]))
        }
    }
}

fn compare_seen(expectation: &Expectation, seen: &Map<String, Value>, bindings: &mut Bindings) -> Vec<String> {
    let mut seen = seen.clone();
    let elapsed = seen.remove("elapsedMs").and_then(|ms| ms.as_u64());
    let mut differences = compare(&expectation.expected, &seen, bindings);
    if let (Some(want), Some(got)) = (expectation.elapsed_ms, elapsed)
        && !is_within_tolerance(want, got)
    {
        differences.push(format!("after {got} ms, want about {want} ms"));
    }
    differences
}

/// Whether an end came at about the expected time. If it is expected at once, any time is accepted,
/// since the server may be busy.
fn is_within_tolerance(want: u64, got: u64) -> bool {
    want <= AT_ONCE_MS || ((want * 6 / 10).saturating_sub(200)..=want * 16 / 10 + 400).contains(&got)
}

fn no_connection(name: &str) -> String {
    format!("no connection `{name}`, or it was aborted")
}

/// Ends within this time count as immediate, and their exact time is not compared.
const AT_ONCE_MS: u64 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_ends_must_come_at_about_the_recorded_time() {
        assert!(
            !is_within_tolerance(2000, 999)
                && is_within_tolerance(2000, 1000)
                && is_within_tolerance(2000, 3600)
                && !is_within_tolerance(2000, 3601)
        );
    }

    #[test]
    fn immediate_ends_may_come_at_any_time() {
        assert!(is_within_tolerance(500, 0) && is_within_tolerance(500, 60_000));
        assert!(!is_within_tolerance(501, 60_000));
    }
}
